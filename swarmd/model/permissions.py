"""What nodes allow tasks to have of them: by default nothing that swarm mode would refuse. Pure.

A list of words says it: that of the node if it has one, else that of the cluster. Mounts of the
node's directories are allowed unless the list restricts them, as everybody's services use them.

    privileged, pid …     the task may have it
    all                   every one of them
    none                  nothing; said by a node, it wins over what the cluster allows
    bind=/srv             directories of the node: below these only
    no-bind               none at all
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from swarmd.model.host_access import AppArmor, HostAccess, Privileges, Seccomp
from swarmd.model.spec import ContainerSpec
from swarmd.model.states import AppArmorMode, SeccompMode

WORDS = (
    *("privileged", "devices", "network", "pid", "ipc", "uts", "cgroupns", "userns", "shm-size"),
    *("security-opt", "runtime", "cgroup-parent"),
)
ALL, NONE, NO_BIND, BIND = "all", "none", "no-bind", "bind="


class Ask(NamedTuple):
    """Something that a task wants of its node, and the word that allows it."""

    word: str
    what: str


def checked(words: Iterable[str]) -> tuple[str, ...]:
    """The words of a list, each once, in the order of their first use.

    Raises:
        ValueError: one is unknown, or contradicts another; the message says it.
    """
    found = tuple(dict.fromkeys(word for word in words if word))
    for word in found:
        if word.startswith(BIND):
            path = word.removeprefix(BIND)
            if not path.startswith("/") or posixpath.normpath(path) != path:
                raise ValueError(f"{word!r} names no directory; write for example bind=/srv")
        elif word not in (*WORDS, ALL, NONE, NO_BIND):
            raise ValueError(
                f"{word!r} can't be allowed; there are {', '.join(WORDS)}, {ALL}, {NONE}, "
                f"bind=DIRECTORY and {NO_BIND}"
            )
    if NONE in found and any(word in (*WORDS, ALL) for word in found):
        raise ValueError(f"{NONE!r} allows nothing; leave the other words out, or leave it out")
    if NO_BIND in found and any(word.startswith(BIND) for word in found):
        raise ValueError(f"{NO_BIND!r} and {BIND}DIRECTORY contradict each other")
    return found


def asked(spec: ContainerSpec) -> Iterator[Ask]:
    """What a container wants of its node that must be allowed, in the order of `WORDS`."""
    access = spec.host_access or HostAccess()
    privileges = spec.privileges or Privileges()
    if access.privileged:
        yield Ask("privileged", "it is privileged")
    for device in access.devices:
        yield Ask("devices", f"it has the device {device.source}")
    if access.device_rules:
        yield Ask("devices", f"it has the device rule {access.device_rules[0]!r}")
    for word, field, thing in (
        ("network", access.network, "network"),
        ("pid", access.pid, "processes"),
        ("ipc", access.ipc, "shared memory and message queues"),
        ("uts", access.uts, "host name"),
        ("cgroupns", access.cgroup, "cgroups"),
        ("userns", access.user, "users"),
    ):
        if field:
            yield Ask(word, f"it shares the node's {thing}")
    if access.shm_bytes:
        yield Ask("shm-size", f"its /dev/shm has {access.shm_bytes} bytes")
    if (privileges.seccomp or Seccomp()).mode is not SeccompMode.DEFAULT:
        yield Ask("security-opt", "it replaces the filter of system calls")
    if (privileges.apparmor or AppArmor()).mode is AppArmorMode.DISABLED:
        yield Ask("security-opt", "it has no AppArmor profile")
    if access.apparmor_profile:
        yield Ask("security-opt", f"it has the AppArmor profile {access.apparmor_profile}")
    if access.system_paths:
        yield Ask("security-opt", "nothing of /proc and /sys is hidden from it")
    if access.runtime:
        yield Ask("runtime", f"it has the runtime {access.runtime}")
    if access.cgroup_parent:
        yield Ask("cgroup-parent", f"its cgroup lies below {access.cgroup_parent}")


def refused(spec: ContainerSpec, allow: tuple[str, ...]) -> Ask | None:
    """The first thing that a container asks for and `allow` doesn't grant."""
    if ALL in allow:
        return None
    return next((ask for ask in asked(spec) if ask.word not in allow), None)


def may_bind(path: str, allow: tuple[str, ...]) -> bool:
    """Whether tasks may mount a directory of the node, given without links."""
    if NO_BIND in allow:
        return False
    roots = [word.removeprefix(BIND) for word in allow if word.startswith(BIND)]
    return not roots or any(is_within(path, root) for root in roots)


def is_within(path: str, directory: str) -> bool:
    return directory == "/" or path == directory or path.startswith(f"{directory}/")
