"""The set of processes that make up one task: found, signalled, limited and removed as a whole.

A task's own cgroup is what no descendant can leave, however often it forks; it lives at
`swarmd/<node>/<task>` in the unified hierarchy where there is one (cgroup v2 and hybrid systems),
else in one of version 1. Hierarchies of version 1 that hold a limit of the task get a group of the
same name. Without any writable hierarchy (no privileges) the processes are found by a mark in
their environment or by their session, which a descendant could shed; the node then says so.

Shared by the daemon and the keeper, so it imports next to nothing.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import NamedTuple

CPU_PERIOD_US = 100_000
CPU_QUOTA_US_MIN = 1_000
TASK_MARK = "SWARMD_TASK_ID"
NODE_MARK = "SWARMD_NODE_ID"


class Limits(NamedTuple):
    """Upper bounds of one task; zero means unlimited."""

    nano_cpus: int = 0
    memory_bytes: int = 0
    pids: int = 0


class Hierarchy(NamedTuple):
    """One mounted cgroup tree and the directory in it below which a node's tasks live."""

    unified: bool
    controllers: frozenset[str]
    base: str  # exists and is writable
    top: str  # the directory above `swarmd/`, from which controllers are handed down


class Group(NamedTuple):
    """The directories of one task, the first of which tracks its processes."""

    task_id: str
    directories: tuple[str, ...]
    limits: Limits
    unapplied: tuple[str, ...]  # sentences on limits the kernel would not take


def parse_mounts(mounts: str) -> list[tuple[str, bool, frozenset[str]]]:
    """Mount point, whether it is unified, and controllers of each cgroup tree in /proc/mounts."""
    found = []
    for line in mounts.splitlines():
        _, point, kind, options, *_ = line.split(" ")
        if kind == "cgroup2":
            found.append((point, True, frozenset[str]()))
        elif kind == "cgroup":
            found.append((point, False, frozenset(options.split(","))))
    return found


def detect(node_id: str, *, mounts_path: str = "/proc/mounts") -> tuple[Hierarchy, ...]:
    """Writable hierarchies with a base for `node_id`, the one that tracks processes first.

    Creates the base directories. An empty result means cgroups cannot be used here.
    """
    with open(mounts_path) as file:
        trees = parse_mounts(file.read())
    own = _own_paths()
    found: list[Hierarchy] = []
    seen: set[str] = set()
    for point, unified, options in trees:
        if unified:
            key, controllers = "", frozenset(_read(f"{point}/cgroup.controllers").split())
        else:
            controllers = options & {"cpu", "memory", "pids", "freezer", "name=systemd"}
            key = ",".join(sorted(controllers))
            if not controllers:
                continue
        if key in seen:
            continue
        own_path = own.get("" if unified else next(iter(sorted(controllers))), "/")
        for top in (point, point + own_path.rstrip("/")):
            base = f"{top}/swarmd/{node_id}"
            if _writable(base):
                seen.add(key)
                found.append(Hierarchy(unified, controllers, base, top))
                break
    order = ("", "pids", "freezer", "name=systemd")
    return tuple(sorted(found, key=lambda h: _rank(h, order)))


def _rank(hierarchy: Hierarchy, order: tuple[str, ...]) -> int:
    if hierarchy.unified:
        return 0
    return min((order.index(c) for c in hierarchy.controllers if c in order), default=len(order))


def _own_paths() -> dict[str, str]:
    paths: dict[str, str] = {}
    for line in _read("/proc/self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        for controller in controllers.split(","):
            paths[controller] = path
    return paths


def _writable(base: str) -> bool:
    try:
        os.makedirs(base, exist_ok=True)
    except OSError:
        return False
    return os.access(f"{base}/cgroup.procs", os.W_OK)


def create(hierarchies: tuple[Hierarchy, ...], task_id: str, limits: Limits) -> Group:
    """Make the groups of a task and set its limits; what could not be set is in `unapplied`."""
    directories: list[str] = []
    unapplied: list[str] = []
    for position, hierarchy in enumerate(hierarchies):
        wanted = _settings(hierarchy, limits)
        if position > 0 and not wanted:
            continue
        directory = f"{hierarchy.base}/{task_id}"
        try:
            _hand_down(hierarchy, wanted)
            os.makedirs(directory, exist_ok=True)
        except OSError as error:
            unapplied.append(f"group {directory} could not be made: {error.strerror}")
            continue
        directories.append(directory)
        for name, value, optional in wanted:
            try:
                _write(f"{directory}/{name}", value)
            except OSError as error:
                if not optional:
                    unapplied.append(f"{name} was refused: {error.strerror}")
    held = {c for h in hierarchies for c in h.controllers}
    for controller, amount in zip(("cpu", "memory", "pids"), limits, strict=True):
        if amount and controller not in held:
            unapplied.append(f"the {controller} limit needs a cgroup controller not available here")
    return Group(task_id, tuple(directories), limits, tuple(unapplied))


def _settings(hierarchy: Hierarchy, limits: Limits) -> list[tuple[str, str, bool]]:
    """File, value and whether the kernel may lack it, for each limit this hierarchy enforces."""
    found: list[tuple[str, str, bool]] = []
    if limits.nano_cpus and "cpu" in hierarchy.controllers:
        quota = max(limits.nano_cpus * CPU_PERIOD_US // 1_000_000_000, CPU_QUOTA_US_MIN)
        if hierarchy.unified:
            found.append(("cpu.max", f"{quota} {CPU_PERIOD_US}", False))
        else:
            found.append(("cpu.cfs_period_us", str(CPU_PERIOD_US), False))
            found.append(("cpu.cfs_quota_us", str(quota), False))
    if limits.memory_bytes and "memory" in hierarchy.controllers:
        # The limit covers swap as well; kernels without swap accounting lack the second file.
        if hierarchy.unified:
            found.append(("memory.max", str(limits.memory_bytes), False))
            found.append(("memory.swap.max", "0", True))
        else:
            found.append(("memory.limit_in_bytes", str(limits.memory_bytes), False))
            found.append(("memory.memsw.limit_in_bytes", str(limits.memory_bytes), True))
    if limits.pids and "pids" in hierarchy.controllers:
        found.append(("pids.max", str(limits.pids), False))
    return found


def _hand_down(hierarchy: Hierarchy, wanted: list[tuple[str, str, bool]]) -> None:
    """Enable the controllers of `wanted` for the children of every directory down to the base."""
    if not hierarchy.unified or not wanted:
        return
    needed = {name.split(".")[0] for name, _, _ in wanted}
    relative = os.path.relpath(hierarchy.base, hierarchy.top).split("/")
    for depth in range(len(relative) + 1):
        control = "/".join([hierarchy.top, *relative[:depth], "cgroup.subtree_control"])
        missing = sorted(needed - set(_read(control).split()))
        if missing:
            _write(control, " ".join(f"+{controller}" for controller in missing))


def members(group: Group) -> list[int]:
    """Processes of the task that are alive, its leader included; zombies may or may not count."""
    if group.directories:
        return [int(pid) for pid in _read(f"{group.directories[0]}/cgroup.procs").split()]
    return [pid for pid in _processes() if _marked(pid, TASK_MARK, group.task_id)]


def kill(group: Group) -> bool:
    """Send SIGKILL to every process of the task; True when there was none left to kill.

    A process may fork while we look, so the caller repeats this until it returns True.
    """
    if group.directories:
        # Version 1 and kernels before 5.14 lack this file: there, one by one, below.
        with contextlib.suppress(OSError):
            _write(f"{group.directories[0]}/cgroup.kill", "1")
    pids = members(group)
    for pid in pids:
        send_signal(pid, 9)
    return not pids


def send_signal(pid: int, number: int) -> None:
    """Signal a process that may be gone already."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def oom_kills(group: Group) -> int:
    """How many processes of the task the kernel has killed for want of memory."""
    for directory in group.directories:
        for name in ("memory.events", "memory.oom_control"):
            for line in _read(f"{directory}/{name}").splitlines():
                key, _, value = line.partition(" ")
                if key == "oom_kill" and value != "0":
                    return int(value)
    return 0


def remove(group: Group) -> bool:
    """Delete the task's directories; False while the kernel still has processes in one."""
    gone = True
    for directory in group.directories:
        try:
            os.rmdir(directory)
        except FileNotFoundError:
            continue
        except OSError:
            gone = False
    return gone


def leftovers(hierarchies: tuple[Hierarchy, ...], node_id: str) -> list[Group]:
    """Groups of this node's tasks that exist now; without cgroups, those of marked processes."""
    names: dict[str, list[str]] = {}
    for hierarchy in hierarchies:
        for entry in os.scandir(hierarchy.base):
            if entry.is_dir(follow_symlinks=False):
                names.setdefault(entry.name, []).append(entry.path)
    if not hierarchies:
        for pid in _processes():
            environment = _environment(pid)
            if environment.get(NODE_MARK) == node_id and TASK_MARK in environment:
                names.setdefault(environment[TASK_MARK], [])
    return [Group(name, tuple(paths), Limits(), ()) for name, paths in sorted(names.items())]


def remove_bases(hierarchies: tuple[Hierarchy, ...]) -> None:
    """Delete the node's own directories if they are empty."""
    for hierarchy in hierarchies:
        for directory in (hierarchy.base, os.path.dirname(hierarchy.base)):
            try:
                os.rmdir(directory)
            except OSError:
                break


def _processes() -> Iterator[int]:
    own = os.getpid()
    for name in os.listdir("/proc"):
        if name.isdigit() and int(name) != own:
            yield int(name)


def _marked(pid: int, name: str, value: str) -> bool:
    return _environment(pid).get(name) == value


def _environment(pid: int) -> dict[str, str]:
    """Environment of a process as it was at its start; empty when it is not ours to read."""
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            raw = file.read()
    except OSError:
        return {}
    pairs = (item.decode(errors="replace").partition("=") for item in raw.split(b"\0") if item)
    return {name: value for name, _, value in pairs}


def _read(path: str) -> str:
    """Contents of a small kernel file; empty when it is not there."""
    try:
        with open(path) as file:
            return file.read()
    except OSError:
        return ""


def _write(path: str, value: str) -> None:
    with open(path, "w") as file:
        file.write(value)
