"""What a container may have of its node, or be spared, beyond what every container has.

`Privileges` are swarm mode's. `HostAccess` is what swarm mode refuses altogether; here a node
allows it by name (`swarmd.model.permissions`).
"""

from __future__ import annotations

from swarmd.model.record import Record
from swarmd.model.states import AppArmorMode, SeccompMode


class Seccomp(Record, frozen=True):
    """The filter of system calls; `profile` is a Docker profile, in JSON, for CUSTOM only."""

    mode: SeccompMode = SeccompMode.DEFAULT
    profile: bytes = b""


class AppArmor(Record, frozen=True):
    mode: AppArmorMode = AppArmorMode.DEFAULT


class SELinuxContext(Record, frozen=True):
    """No labels are ever set, so that disabling them is all that can be asked for."""

    disable: bool = False


class Privileges(Record, frozen=True):
    selinux_context: SELinuxContext | None = None
    seccomp: Seccomp | None = None
    apparmor: AppArmor | None = None
    no_new_privileges: bool = False


class Device(Record, frozen=True):
    """A device of the node, or a directory of devices, that appears in the container."""

    source: str = ""
    target: str = ""  # empty: as on the node
    permissions: str = ""  # of r, w and m; empty: all three

    @property
    def path(self) -> str:
        return self.target or self.source


class HostAccess(Record, frozen=True):
    """The namespaces named here are the node's own instead of new ones."""

    privileged: bool = False
    devices: tuple[Device, ...] = ()
    device_rules: tuple[str, ...] = ()  # as in "c 10:* rwm"
    network: bool = False
    pid: bool = False
    ipc: bool = False
    uts: bool = False
    cgroup: bool = False
    user: bool = False
    shm_bytes: int = 0  # of /dev/shm; 0: 64 MiB
    apparmor_profile: str = ""  # by name; empty: the node's default for containers
    system_paths: bool = False  # nothing of /proc and /sys is hidden or read-only
    runtime: str = ""  # a program like runc, or a shim by containerd's name for it
    cgroup_parent: str = ""
