"""The flags on the surroundings of containers: on creation, in updates, and taken back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from swarmd.cli import container_options
from swarmd.cli.container_changes import ContainerChanges, ListChange, changed, device
from swarmd.model.host_access import (
    AppArmor,
    Device,
    HostAccess,
    Privileges,
    Seccomp,
    SELinuxContext,
)
from swarmd.model.spec import ContainerSpec, DnsConfig, ImageMountOptions, Mount, Ulimit
from swarmd.model.states import AppArmorMode, MountType, SeccompMode
from tests.support.commands import failing, names_of, spec_of

FULL = (
    *("-t", "-i", "--read-only", "--init", "--oom-score-adj", "5", "--privileged"),
    *("--limit-memory", "64m", "--memory-swap", "1m", "--memory-swappiness", "7"),
    *("--host", "db:10.0.0.1", "--dns", "10.0.0.53", "--dns-search", "x.test"),
    *("--dns-option", "ndots:2", "--sysctl", "net.core.somaxconn=9", "--ulimit", "nofile=1:2"),
    *("--cap-add", "net_admin", "--cap-drop", "CHOWN", "--security-opt", "no-new-privileges"),
    *("--security-opt", "seccomp=unconfined", "--security-opt", "apparmor=unconfined"),
    *("--security-opt", "systempaths=unconfined", "--security-opt", "label=disable"),
    *("--device", "/dev/fuse:/dev/f:rw", "--device-cgroup-rule", "c 10:* rwm"),
    *("--pid", "host", "--uts", "host", "--cgroupns", "host", "--userns", "host"),
    *("--shm-size", "1m", "--runtime", "crun", "--cgroup-parent", "/batch"),
)
IN_FULL = HostAccess(
    privileged=True,
    devices=(Device(source="/dev/fuse", target="/dev/f", permissions="rw"),),
    device_rules=("c 10:* rwm",),
    pid=True,
    uts=True,
    cgroup=True,
    user=True,
    shm_bytes=1 << 20,
    system_paths=True,
    runtime="crun",
    cgroup_parent="/batch",
)


def created(daemon: Any, *flags: str) -> ContainerSpec:
    daemon.ok("service", "create", "-d", "--name", "web", *flags, "box:1")
    return container(daemon)


def container(daemon: Any) -> ContainerSpec:
    spec = spec_of(daemon).task_template.container_spec
    assert spec is not None
    return spec


def test_creation_takes_everything_at_once(daemon):
    # An init and the node's processes exclude each other.
    flags = [flag for flag in FULL if flag != "--init"]
    spec = created(daemon, *flags)
    assert spec.tty
    assert spec.open_stdin
    assert spec.read_only
    assert spec.oom_score_adj == 5
    assert spec.hosts == ("10.0.0.1 db",)
    assert spec.dns_config == DnsConfig(("10.0.0.53",), ("x.test",), ("ndots:2",))
    assert spec.sysctls == {"net.core.somaxconn": "9"}
    assert spec.ulimits == (Ulimit("nofile", 1, 2),)
    assert (spec.capability_add, spec.capability_drop) == (("NET_ADMIN",), ("CHOWN",))
    assert spec.privileges == Privileges(
        selinux_context=SELinuxContext(disable=True),
        seccomp=Seccomp(mode=SeccompMode.UNCONFINED),
        apparmor=AppArmor(mode=AppArmorMode.DISABLED),
        no_new_privileges=True,
    )
    assert spec.host_access == IN_FULL
    resources = spec_of(daemon).task_template.resources
    assert resources is not None
    assert (resources.swap_bytes, resources.memory_swappiness) == (1 << 20, 7)


def test_without_flags_nothing_is_said_of_it(daemon):
    spec = created(daemon)
    assert (spec.privileges, spec.host_access, spec.dns_config, spec.init) == (None,) * 4
    assert not spec.sysctls


# What every flag of an update is given, what the field is before it, and after it.
UPDATES: dict[str, tuple[tuple[str, ...], Any, Any, Any]] = {
    "--tty": ((), lambda c: c.tty, False, True),
    "--interactive": ((), lambda c: c.open_stdin, False, True),
    "--read-only": ((), lambda c: c.read_only, False, True),
    "--init": ((), lambda c: c.init, None, True),
    "--oom-score-adj": (("-7",), lambda c: c.oom_score_adj, 0, -7),
    "--cap-add": (("sys_time",), lambda c: c.capability_add, ("NET_ADMIN",), None),
    "--cap-drop": (("ALL",), lambda c: c.capability_drop, (), ("ALL",)),
    "--security-opt": (
        ("no-new-privileges",),
        lambda c: c.privileges,
        None,
        Privileges(no_new_privileges=True),
    ),
    "--privileged": ((), lambda c: access(c).privileged, False, True),
    "--pid": (("host",), lambda c: access(c).pid, False, True),
    "--ipc": (("host",), lambda c: access(c).ipc, False, True),
    "--uts": (("host",), lambda c: access(c).uts, False, True),
    "--cgroupns": (("host",), lambda c: access(c).cgroup, False, True),
    "--userns": (("host",), lambda c: access(c).user, False, True),
    "--shm-size": (("1m",), lambda c: access(c).shm_bytes, 0, 1 << 20),
    "--runtime": (("crun",), lambda c: access(c).runtime, "", "crun"),
    "--cgroup-parent": (("/x",), lambda c: access(c).cgroup_parent, "", "/x"),
    "--host-add": (("a:10.0.0.2",), lambda c: len(c.hosts), 1, 2),
    "--host-rm": (("db:10.0.0.1",), lambda c: c.hosts, ("10.0.0.1 db",), ()),
    "--dns-add": (("10.0.0.54",), lambda c: len(c.dns_config.nameservers), 1, 2),
    "--dns-rm": (("10.0.0.53",), lambda c: c.dns_config.nameservers, ("10.0.0.53",), ()),
    "--dns-search-add": (("y.test",), lambda c: len(c.dns_config.search), 1, 2),
    "--dns-search-rm": (("x.test",), lambda c: c.dns_config.search, ("x.test",), ()),
    "--dns-option-add": (("rotate",), lambda c: len(c.dns_config.options), 1, 2),
    "--dns-option-rm": (("ndots:2",), lambda c: c.dns_config.options, ("ndots:2",), ()),
    "--sysctl-add": (
        ("net.core.somaxconn=10",),
        lambda c: c.sysctls,
        {"net.core.somaxconn": "9"},
        {"net.core.somaxconn": "10"},
    ),
    "--sysctl-rm": (("net.core.somaxconn",), lambda c: len(c.sysctls), 1, 0),
    "--ulimit-add": (("nofile=3",), lambda c: c.ulimits[0].hard, 2, 3),
    "--ulimit-rm": (("nofile",), lambda c: len(c.ulimits), 1, 0),
    "--device-add": (("/dev/kvm",), lambda c: len(access(c).devices), 1, 2),
    "--device-rm": (("/dev/fuse",), lambda c: len(access(c).devices), 1, 0),
    "--device-cgroup-rule-add": (("a *:* r",), lambda c: len(access(c).device_rules), 1, 2),
    "--device-cgroup-rule-rm": (("c 10:* rwm",), lambda c: len(access(c).device_rules), 1, 0),
}
ELSEWHERE = {"--memory-swap", "--memory-swappiness"}  # not of the container; tried below
BEFORE = (
    *("--host", "db:10.0.0.1", "--dns", "10.0.0.53", "--dns-search", "x.test"),
    *("--dns-option", "ndots:2", "--sysctl", "net.core.somaxconn=9", "--ulimit", "nofile=1:2"),
    *("--cap-add", "net_admin", "--device", "/dev/fuse", "--device-cgroup-rule", "c 10:* rwm"),
)


def access(spec: ContainerSpec) -> HostAccess:
    return spec.host_access or HostAccess()


def test_every_flag_of_an_update_is_tried():
    assert names_of([*container_options.SHARED, *container_options.UPDATE]) == (
        set(UPDATES) | ELSEWHERE
    )


@pytest.mark.parametrize("flag", UPDATES)
def test_an_update_changes_what_it_names_and_nothing_else(daemon, flag):
    created(daemon, *BEFORE)
    given, seen, before, after = UPDATES[flag]
    assert seen(container(daemon)) == before
    daemon.ok("service", "update", "-d", flag, *given, "web")
    expected = ("NET_ADMIN", "SYS_TIME") if flag == "--cap-add" else after
    assert seen(container(daemon)) == expected


def test_swap_is_changed_beside_the_limits(daemon):
    created(daemon, "--limit-memory", "64m")
    daemon.ok(
        *("service", "update", "-d", "--memory-swap", "-1", "--memory-swappiness", "0", "web")
    )
    resources = spec_of(daemon).task_template.resources
    assert (resources.swap_bytes, resources.memory_swappiness) == (-1, 0)
    assert resources.limits.memory_bytes == 64 << 20


def test_what_was_given_can_be_taken_back(daemon):
    created(daemon, *(flag for flag in FULL if flag != "--init"))
    daemon.ok(
        *("service", "update", "-d", "--no-privileged", "--no-tty", "--no-read-only"),
        *("--security-opt", "no-new-privileges=false", "--security-opt", "seccomp=default"),
        *("--security-opt", "apparmor=default", "--security-opt", "systempaths=default"),
        *("--pid", "private", "--uts", "private", "--cgroupns", "private", "--userns", ""),
        *("--shm-size", "0", "--runtime", "", "--cgroup-parent", "", "--device-rm", "/dev/fuse"),
        *("--device-cgroup-rule-rm", "c 10:* rwm", "--cap-add", "RESET", "--cap-drop", "RESET"),
        "web",
    )
    spec = container(daemon)
    assert spec.host_access is None
    assert spec.privileges == Privileges(selinux_context=SELinuxContext(disable=True))
    assert (spec.capability_add, spec.capability_drop) == ((), ())


def test_adding_a_capability_undoes_that_it_was_dropped():
    spec = ContainerSpec(capability_add=("SYS_TIME",), capability_drop=("CAP_CHOWN",))
    after = changed(
        spec,
        ContainerChanges(capabilities_added=("chown",), capabilities_dropped=("cap_sys_time",)),
    )
    assert (after.capability_add, after.capability_drop) == (("CHOWN",), ("SYS_TIME",))


def test_an_entry_that_is_there_is_not_added_again():
    spec = ContainerSpec(hosts=("10.0.0.1 db",))
    again = ContainerChanges(hosts=ListChange(("10.0.0.1 db", "10.0.0.2 db")))
    assert changed(spec, again).hosts == ("10.0.0.1 db", "10.0.0.2 db")


def test_the_network_of_the_node_is_none_of_the_swarms(daemon):
    spec = created(daemon, "--network", "host")
    assert access(spec).network
    assert spec_of(daemon).task_template.networks == ()
    daemon.ok("service", "update", "-d", "--network-rm", "host", "web")
    assert container(daemon).host_access is None


def test_a_profile_of_system_calls_comes_from_a_file(daemon, tmp_path: Path):
    path = tmp_path / "profile.json"
    path.write_text(json.dumps({"defaultAction": "SCMP_ACT_ALLOW"}))
    spec = created(daemon, "--security-opt", f"seccomp={path}")
    seccomp = spec.privileges.seccomp
    assert seccomp.mode is SeccompMode.CUSTOM
    assert json.loads(seccomp.profile) == {"defaultAction": "SCMP_ACT_ALLOW"}


def test_a_profile_of_apparmor_is_named(daemon):
    assert access(created(daemon, "--security-opt", "apparmor=mine")).apparmor_profile == "mine"


def test_labels_of_selinux_are_ignored_aloud(daemon):
    result = daemon.run(
        *("service", "create", "-d", "--name", "web", "--security-opt", "label=level:s0", "box:1")
    )
    assert result.exit_code == 0
    assert "label=level:s0 is ignored, as no SELinux labels are set" in result.stderr
    assert container(daemon).privileges is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/dev/fuse", Device(source="/dev/fuse")),
        ("/dev/fuse:r", Device(source="/dev/fuse", permissions="r")),
        ("/dev/fuse:/dev/f", Device(source="/dev/fuse", target="/dev/f")),
        ("/dev/a:/dev/b:rw", Device(source="/dev/a", target="/dev/b", permissions="rw")),
    ],
)
def test_a_device_is_read_as_docker_reads_it(text, expected):
    assert device(text) == expected


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (("--device", "fuse"), "is no device"),
        (("--device", "/dev/a:/dev/b:x"), "is no device"),
        (("--device", "/a:/b:r:w"), "is not understood"),
        (("--host", "db"), "write NAME:ADDRESS"),
        (("--ulimit", "nofile=many"), "is no limit"),
        (("--security-opt", "all=off"), "'all=off' is not understood"),
        (("--security-opt", "seccomp=/none"), "/none can't be read"),
        (("--security-opt", f"seccomp={__file__}"), "it is no seccomp profile"),
        (("--memory-swap", "much"), "is not a size"),
    ],
)
def test_what_can_not_be_read_is_a_mistake_of_usage(daemon, flags, sentence):
    words = " ".join(failing(daemon, "service", "create", *flags, "box:1", code=2).split())
    assert sentence in words


def test_processes_have_none_of_it(daemon):
    message = failing(
        daemon, "service", "create", "--privileged", "--process", "--", "sleep", "1", code=1
    )
    assert "container.host_access needs a container" in message


def test_images_are_mounted_whole_or_in_part(daemon):
    spec = created(
        daemon,
        *("--mount", "type=image,source=assets:1,target=/a,image-subpath=site"),
        *("--mount", "type=tmpfs,target=/t,tmpfs-options=exec;noatime"),
    )
    assert spec.mounts[0] == Mount(
        type=MountType.IMAGE,
        source="assets:1",
        target="/a",
        image_options=ImageMountOptions(subpath="site"),
    )
    assert spec.mounts[1].tmpfs_options.options == "exec,noatime"
    message = failing(
        daemon,
        *("service", "update", "--mount-add", "type=image,source=a,target=/b,image-subpath=../x"),
        "web",
    )
    assert "leads out of the image" in message


def test_what_tasks_may_have_is_a_setting_of_the_swarm(daemon):
    daemon.ok("update", "--allow", "privileged,pid", "--allow", "bind=/srv")
    assert daemon.swarm.store.find_cluster().spec.allow == ("privileged", "pid", "bind=/srv")
    daemon.ok("update", "--allow", "none")
    assert daemon.swarm.store.find_cluster().spec.allow == ("none",)
    assert "'root' can't be allowed" in failing(daemon, "update", "--allow", "root", code=2)


def test_user_ids_of_its_own_are_refused_with_the_reason(daemon):
    for wanted in ("private", "auto", "65536"):
        result = daemon.run("service", "create", "-d", "--userns", wanted, "nginx")
        assert result.exit_code == 2
        assert "containers have the user ids of their node" in " ".join(result.output.split())
