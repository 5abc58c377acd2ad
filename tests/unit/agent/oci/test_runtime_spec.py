"""From a container to the document that its runtime gets."""

from __future__ import annotations

import pytest

from swarmd.agent.core.launch import Unfit
from swarmd.agent.images.manifest import RunConfig
from swarmd.agent.oci import devices, security
from swarmd.agent.oci.capabilities import DEFAULT, KNOWN
from swarmd.agent.oci.container import Container, Given, NodeFacts, container
from swarmd.agent.oci.runtime_spec import runtime_spec
from swarmd.agent.oci.users import ImageAccount
from swarmd.model.host_access import AppArmor, HostAccess, Privileges, Seccomp
from swarmd.model.ids import TaskId
from swarmd.model.spec import ContainerSpec, PortConfig, TaskSpec
from swarmd.model.states import AppArmorMode, SeccompMode
from swarmd.model.task import Task


def a_container(spec: ContainerSpec, *, given: Given = Given()) -> Container:  # noqa: B008
    return container(
        Task(id=TaskId("task12345678901"), spec=TaskSpec(container_spec=spec)),
        spec,
        RunConfig(cmd=("serve",)),
        account=ImageAccount(),
        hostname="inside",
        cgroup="/swarmd-containers/n/t",
        files=(),
        mounts=(),
        node=NodeFacts(kernel=(6, 1), capabilities=KNOWN),
        given=given,
        ports=(PortConfig(target_port=80, published_port=20_000),),
        network_namespace="/run/swarmd/n/tasks/t",
        architecture="x86_64",
        node_id="n",
    )


def document(access: HostAccess | None = None, **fields: object) -> dict[str, object]:
    spec = ContainerSpec(image="i", host_access=access, **fields)  # type: ignore[arg-type]
    return runtime_spec(a_container(spec))


def kinds(found) -> set[str]:
    return {row["type"] for row in found["linux"]["namespaces"]}


def test_a_plain_container_has_namespaces_of_its_own_and_sees_little():
    found = document()
    assert kinds(found) == {"pid", "network", "ipc", "uts", "mount", "cgroup"}
    assert "/proc/kcore" in found["linux"]["maskedPaths"]
    assert "/proc/sys" in found["linux"]["readonlyPaths"]
    assert found["linux"]["seccomp"]["defaultAction"] == "SCMP_ACT_ERRNO"
    assert found["process"]["capabilities"]["bounding"] == [c for c in KNOWN if c in DEFAULT]
    assert not found["process"]["noNewPrivileges"]
    assert found["hostname"] == "inside"
    assert "PORT=20000" not in found["process"]["env"]


def test_a_container_is_put_into_the_network_namespace_made_for_it():
    rows = document()["linux"]["namespaces"]  # type: ignore[index]
    assert {"type": "network", "path": "/run/swarmd/n/tasks/t"} in rows


@pytest.mark.parametrize(
    ("access", "missing"),
    [
        (HostAccess(pid=True), "pid"),
        (HostAccess(network=True), "network"),
        (HostAccess(ipc=True), "ipc"),
        (HostAccess(uts=True), "uts"),
        (HostAccess(cgroup=True), "cgroup"),
    ],
)
def test_what_is_shared_gets_no_namespace(access, missing):
    found = document(access)
    assert kinds(found) == {"pid", "network", "ipc", "uts", "mount", "cgroup"} - {missing}


def test_the_settings_of_a_shared_network_and_name_are_the_nodes():
    found = document(HostAccess(network=True, uts=True))
    assert found["linux"]["sysctl"] == {}
    assert "hostname" not in found
    assert "PORT=20000" in found["process"]["env"]
    assert "SWARMD_PORT_80=20000" in found["process"]["env"]


def test_a_privileged_container_is_not_kept_in():
    found = document(HostAccess(privileged=True), capability_drop=("ALL",))
    assert found["process"]["capabilities"]["effective"] == list(KNOWN)
    assert "seccomp" not in found["linux"]
    assert found["linux"]["maskedPaths"] == found["linux"]["readonlyPaths"] == []
    assert found["linux"]["resources"]["devices"] == [{"allow": True, "access": "rwm"}]
    modes = {mount["destination"]: mount["options"] for mount in found["mounts"]}
    assert "rw" in modes["/sys"]
    assert "rw" in modes["/sys/fs/cgroup"]


def test_an_init_comes_before_the_command():
    spec = ContainerSpec(image="i", args=("a", "b"), init=True)
    found = runtime_spec(a_container(spec, given=Given(init="/usr/bin/tini-static")))
    assert found["process"]["args"] == ["/dev/init", "--", "a", "b"]
    places = [mount["destination"] for mount in found["mounts"]]
    assert places.index("/dev/init") > places.index("/dev")


def test_rules_for_devices_follow_those_of_every_container():
    node = devices.DeviceNode(path="/dev/x", kind="b", major=8, minor=1, access="r")
    found = devices.rules((node,), ("c 10:* rw",), privileged=False)
    assert found[0] == {"allow": False, "access": "rwm"}
    assert found[-2:] == [
        {"allow": True, "type": "b", "major": 8, "minor": 1, "access": "r"},
        {"allow": True, "type": "c", "major": 10, "access": "rw"},
    ]


@pytest.mark.parametrize(
    ("spec", "default", "profile"),
    [
        (ContainerSpec(), "", ""),
        (ContainerSpec(), "swarmd-default", "swarmd-default"),
        (ContainerSpec(host_access=HostAccess(privileged=True)), "swarmd-default", "unconfined"),
        (
            ContainerSpec(privileges=Privileges(apparmor=AppArmor(mode=AppArmorMode.DISABLED))),
            "swarmd-default",
            "unconfined",
        ),
        (
            ContainerSpec(privileges=Privileges(apparmor=AppArmor(mode=AppArmorMode.DISABLED))),
            "",
            "",
        ),
        (ContainerSpec(host_access=HostAccess(apparmor_profile="mine")), "", "mine"),
    ],
)
def test_the_profile_of_apparmor_is_the_asked_or_the_nodes(spec, default, profile):
    assert security.apparmor_profile(spec, default=default) == profile


def test_a_filter_of_ones_own_holds_even_for_a_privileged_container():
    seccomp = Seccomp(mode=SeccompMode.CUSTOM, profile=b'{"defaultAction":"SCMP_ACT_LOG"}')
    found = document(HostAccess(privileged=True), privileges=Privileges(seccomp=seccomp))
    assert found["linux"]["seccomp"]["defaultAction"] == "SCMP_ACT_LOG"


def test_a_capability_that_the_node_has_not_got_is_no_silent_loss():
    spec = ContainerSpec(image="i", capability_add=("FLYING",))
    with pytest.raises(Unfit, match="CAP_FLYING can't be given"):
        a_container(spec)
