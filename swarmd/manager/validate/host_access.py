"""What containers want of their nodes, and their security settings: what makes no sense is refused.

Whether a node gives it is for the node to say (docs/design/containers.md, "What a node allows").
"""

from __future__ import annotations

import posixpath
import re

from swarmd.manager.validate.limits import INT64_MAX, Limit, as_bytes
from swarmd.model import seccomp_profile
from swarmd.model.errors import invalid
from swarmd.model.host_access import AppArmor, Device, HostAccess, Privileges, Seccomp
from swarmd.model.spec import ContainerSpec, TaskSpec
from swarmd.model.states import AppArmorMode, SeccompMode

SHM_BYTES = Limit("shm_bytes", 4096, INT64_MAX, zero=True, show=as_bytes)
DEVICES = Limit("devices", 0, 256)
_RULE = re.compile(r"[acb] (?:\d{1,10}|\*):(?:\d{1,10}|\*) (?!.*(.).*\1)[rwm]{1,3}")
_RIGHTS = re.compile(r"(?!.*(.).*\1)[rwm]{0,3}")
_RUNTIME = re.compile(r"[a-zA-Z0-9][\w.-]{0,127}", re.ASCII)
_PROFILE = re.compile(r"[\w.:/-]{1,128}", re.ASCII)
_IPC_SYSCTLS = ("kernel.msg", "kernel.sem", "kernel.shm", "fs.mqueue.")


def check_privileges(spec: ContainerSpec) -> None:
    """Refuse a filter of system calls that can't be read."""
    seccomp = (spec.privileges or Privileges()).seccomp or Seccomp()
    if seccomp.mode is not SeccompMode.CUSTOM:
        if seccomp.profile:
            raise invalid("privileges.seccomp has a profile; its mode must be custom to use it")
        return
    try:
        seccomp_profile.read(seccomp.profile)
    except ValueError as error:
        raise invalid(f"privileges.seccomp.profile: {error}") from None


def check_host_access(task: TaskSpec, spec: ContainerSpec) -> None:
    """Refuse what no node could give, and what contradicts the rest of the spec."""
    access = spec.host_access
    if access is None:
        return
    SHM_BYTES.check(access.shm_bytes, within="host_access")
    DEVICES.check(len(access.devices), within="host_access")
    targets: set[str] = set()
    for device in access.devices:
        _check_device(device)
        if device.path in targets:
            raise invalid(f"host_access.devices: two devices have the target {device.path!r}")
        targets.add(device.path)
    for rule in access.device_rules:
        if not _RULE.fullmatch(rule):
            raise invalid(
                f"host_access.device_rules {rule[:80]!r} is no rule; write for example 'c 10:* rwm'"
            )
    if access.runtime and not _RUNTIME.fullmatch(access.runtime):
        raise invalid(
            f"host_access.runtime {access.runtime[:80]!r} is no name; write for example crun or "
            "io.containerd.kata.v2"
        )
    _check_apparmor(access, spec)
    _check_parent(access.cgroup_parent)
    _check_contradictions(access, task, spec)


def _check_device(device: Device) -> None:
    for path in (device.source, device.path):
        if not path.startswith("/") or posixpath.normpath(path) != path or "\0" in path:
            raise invalid(f"host_access.devices: {path[:80]!r} is not a plain absolute path")
    if not _RIGHTS.fullmatch(device.permissions):
        raise invalid(
            f"host_access.devices {device.source[:80]!r}: permissions "
            f"{device.permissions[:8]!r} are none; use some of r, w and m"
        )


def _check_apparmor(access: HostAccess, spec: ContainerSpec) -> None:
    if not access.apparmor_profile:
        return
    if not _PROFILE.fullmatch(access.apparmor_profile):
        raise invalid(f"host_access.apparmor_profile {access.apparmor_profile[:80]!r} is no name")
    wanted = (spec.privileges or Privileges()).apparmor or AppArmor()
    if wanted.mode is AppArmorMode.DISABLED:
        raise invalid("host_access.apparmor_profile names a profile, but AppArmor is disabled")


def _check_parent(parent: str) -> None:
    if not parent:
        return
    if not parent.startswith("/") or posixpath.normpath(parent) != parent or parent == "/":
        raise invalid(
            f"host_access.cgroup_parent {parent[:80]!r} names no cgroup; write for example /batch"
        )


def _check_contradictions(access: HostAccess, task: TaskSpec, spec: ContainerSpec) -> None:
    if access.network and task.networks:
        raise invalid("a container on its node's network takes part in no other; leave one out")
    if access.uts and spec.hostname:
        raise invalid("container.hostname: it has its node's name, as it shares the uts namespace")
    if access.ipc and access.shm_bytes:
        raise invalid("host_access.shm_bytes: the /dev/shm is the node's, with the node's size")
    if access.pid and spec.init:
        raise invalid(
            "container.init collects orphans of the container's own processes, but it shares the "
            "node's; leave one out"
        )
    for name in spec.sysctls:
        shared = (
            (access.network and name.startswith("net."))
            or (access.ipc and name.startswith(_IPC_SYSCTLS))
            or (access.uts and name == "kernel.domainname")
        )
        if shared:
            raise invalid(f"container.sysctls {name[:80]!r} would change the node, as it is shared")
