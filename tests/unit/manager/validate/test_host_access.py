"""What containers may ask of nodes at all, and how the rest is refused."""

from __future__ import annotations

import pytest

from swarmd.manager.validate.host_access import check_host_access, check_privileges
from swarmd.manager.validate.log_driver import check_log_driver
from swarmd.manager.validate.task import check_container, check_resources
from swarmd.model.errors import Rejection
from swarmd.model.host_access import AppArmor, Device, HostAccess, Privileges, Seccomp
from swarmd.model.spec import (
    ContainerSpec,
    LogDriver,
    NetworkAttachmentConfig,
    ResourceRequirements,
    Resources,
    TaskSpec,
)
from swarmd.model.states import AppArmorMode, SeccompMode

EVERYTHING = HostAccess(
    privileged=True,
    devices=(Device(source="/dev/a", target="/dev/b", permissions="rw"), Device(source="/dev/c")),
    device_rules=("a *:* rwm", "c 10:200 r", "b 8:* m"),
    network=True,
    pid=True,
    uts=True,
    cgroup=True,
    user=True,
    shm_bytes=4096,
    apparmor_profile="mine//child",
    system_paths=True,
    runtime="io.containerd.kata.v2",
    cgroup_parent="/batch/low",
)


def checked(access: HostAccess, **fields: object) -> None:
    spec = ContainerSpec(image="a", host_access=access, **fields)  # type: ignore[arg-type]
    check_host_access(TaskSpec(container_spec=spec), spec)


def test_everything_that_a_node_could_give_is_accepted():
    checked(EVERYTHING, sysctls={"kernel.shmmax": "1"})
    checked(HostAccess())


@pytest.mark.parametrize(
    ("access", "fields", "sentence"),
    [
        (HostAccess(devices=(Device(source="dev/a"),)), {}, "'dev/a' is not a plain absolute path"),
        (HostAccess(devices=(Device(source="/dev/../etc"),)), {}, "not a plain absolute path"),
        (HostAccess(devices=(Device(source="/a", target="b"),)), {}, "'b' is not a plain"),
        (HostAccess(devices=(Device(source="/a", permissions="x"),)), {}, "permissions 'x' are"),
        (HostAccess(devices=(Device(source="/a", permissions="rr"),)), {}, "permissions 'rr' are"),
        (
            HostAccess(devices=(Device(source="/a"), Device(source="/b", target="/a"))),
            {},
            "two devices have the target '/a'",
        ),
        (HostAccess(device_rules=("c 10:200",)), {}, "'c 10:200' is no rule"),
        (HostAccess(device_rules=("x *:* r",)), {}, "'x *:* r' is no rule"),
        (HostAccess(shm_bytes=1), {}, "shm_bytes is 1 bytes"),
        (HostAccess(shm_bytes=-1), {}, "shm_bytes is -1 bytes"),
        (HostAccess(runtime="/bin/sh"), {}, "'/bin/sh' is no name"),
        (HostAccess(apparmor_profile="a b"), {}, "'a b' is no name"),
        (
            HostAccess(apparmor_profile="a"),
            {"privileges": Privileges(apparmor=AppArmor(mode=AppArmorMode.DISABLED))},
            "AppArmor is disabled",
        ),
        (HostAccess(cgroup_parent="batch"), {}, "'batch' names no cgroup"),
        (HostAccess(cgroup_parent="/"), {}, "'/' names no cgroup"),
        (HostAccess(cgroup_parent="/a/../b"), {}, "names no cgroup"),
        (HostAccess(uts=True), {"hostname": "h"}, "it has its node's name"),
        (HostAccess(ipc=True, shm_bytes=4096), {}, "the /dev/shm is the node's"),
        (HostAccess(pid=True), {"init": True}, "it shares the node's; leave one out"),
        (HostAccess(network=True), {"sysctls": {"net.core.somaxconn": "1"}}, "change the node"),
        (HostAccess(ipc=True), {"sysctls": {"kernel.shmmax": "1"}}, "would change the node"),
        (HostAccess(uts=True), {"sysctls": {"kernel.domainname": "x"}}, "would change the node"),
    ],
)
def test_what_no_node_could_give_is_refused(access, fields, sentence):
    with pytest.raises(Rejection) as refusal:
        checked(access, **fields)
    assert sentence in refusal.value.message


def test_a_container_on_the_nodes_network_is_in_no_other():
    spec = ContainerSpec(image="a", host_access=HostAccess(network=True))
    task = TaskSpec(container_spec=spec, networks=(NetworkAttachmentConfig(target="back"),))
    with pytest.raises(Rejection, match="takes part in no other"):
        check_host_access(task, spec)


@pytest.mark.parametrize(
    ("seccomp", "sentence"),
    [
        (Seccomp(mode=SeccompMode.CUSTOM), "is no seccomp profile"),
        (Seccomp(profile=b"{}"), "its mode must be custom"),
    ],
)
def test_a_filter_that_can_not_be_read_is_refused(seccomp, sentence):
    with pytest.raises(Rejection, match=sentence):
        check_privileges(ContainerSpec(privileges=Privileges(seccomp=seccomp)))


@pytest.mark.parametrize(
    ("driver", "sentence"),
    [
        (LogDriver(name="syslog"), "log driver 'syslog' is not available; use json-file or local"),
        (LogDriver(name="json-file", options={"tag": "x"}), "'tag' is not available; json-file"),
        (LogDriver(name="none", options={"max-size": "1m"}), "none has none"),
        (LogDriver(name="local", options={"max-size": "big"}), "max-size='big' is none; write 10m"),
        (LogDriver(name="local", options={"max-file": "0"}), "max-file='0' is none; write 3"),
    ],
)
def test_logs_that_nobody_would_keep_are_refused(driver, sentence):
    with pytest.raises(Rejection) as refusal:
        check_log_driver(driver, within="task.log_driver")
    assert sentence in refusal.value.message


@pytest.mark.parametrize("name", ["", "json-file", "local"])
def test_logs_are_kept_in_files_that_are_replaced(name):
    options = {"max-size": "10m", "max-file": "3"}
    check_log_driver(LogDriver(name=name, options=options), within="task.log_driver")
    check_log_driver(None, within="task.log_driver")


@pytest.mark.parametrize(
    ("requirements", "sentence"),
    [
        (ResourceRequirements(swap_bytes=1), "set that as well"),
        (ResourceRequirements(limits=Resources(nano_cpus=10**9), swap_bytes=1), "set that as well"),
        (
            ResourceRequirements(limits=Resources(memory_bytes=1 << 23), swap_bytes=-2),
            "swap_bytes is -2",
        ),
        (ResourceRequirements(memory_swappiness=101), "memory_swappiness is 101"),
        (ResourceRequirements(memory_swappiness=-1), "memory_swappiness is -1"),
    ],
)
def test_swap_needs_a_limit_that_it_comes_on_top_of(requirements, sentence):
    with pytest.raises(Rejection) as refusal:
        check_resources(requirements)
    assert sentence in refusal.value.message


def test_processes_have_no_swap():
    spec = TaskSpec(
        container_spec=ContainerSpec(command=("a",)),
        resources=ResourceRequirements(memory_swappiness=1),
    )
    with pytest.raises(Rejection, match="a process has no swap"):
        check_container(spec)
