"""What a task uses of its node, and which processes it has, as the kernel tells.

Everything is read from control groups and /proc; files that a kernel lacks count as zero. Blocks a
moment, so not on the event loop.
"""

from __future__ import annotations

import os
import pwd
from pathlib import Path
from typing import Any, NamedTuple

from swarmd.agent.executors import groups

TICKS = os.sysconf("SC_CLK_TCK")
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
UNLIMITED_BYTES = 1 << 60
PROC = Path("/proc")


class Subject(NamedTuple):
    """Whose use: a task by its first process and its control groups, of which there may be none."""

    pid: int
    directories: tuple[str, ...]


def subject(pid: int, task_id: str) -> Subject:
    """The task of which `pid` is the first process; its groups bear its id."""
    lines = _read(PROC / str(pid) / "cgroup").splitlines()
    trees = groups.parse_mounts(_read(PROC / "mounts"))
    found = []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if task_id not in path:
            continue
        for point, unified, options in trees:
            if unified if not controllers else set(controllers.split(",")) <= set(options):
                found.append(f"{point}{path}")
    return Subject(pid, tuple(dict.fromkeys(found)))


def usage(of: Subject) -> dict[str, Any]:
    """Totals since the start, and what is used just now; times in nanoseconds, sizes in bytes.

    `Time` is when, since the machine was started.
    """
    pids = members(of)
    received, sent = _network(of.pid)
    read, written = _blocks(of)
    memory = _number(of, "memory.current", "memory.usage_in_bytes")
    if memory is None:
        memory = sum(_resident(pid) for pid in pids)
    cache = _field(of, "memory.stat", "inactive_file", "total_inactive_file")
    limit = _number(of, "memory.max", "memory.limit_in_bytes") or 0
    return {
        "Time": _uptime_ns(),
        "CPU": _cpu_ns(of, pids),
        "Memory": max(memory - cache, 0),
        "MemoryLimit": limit if limit < UNLIMITED_BYTES else 0,
        "NetworkReceived": received,
        "NetworkSent": sent,
        "BlockRead": read,
        "BlockWritten": written,
        "Processes": len(pids),
    }


def processes(of: Subject) -> list[dict[str, Any]]:
    """The task's processes as the node sees them, the first one first."""
    now = _uptime_ns()
    rows = []
    for pid in members(of):
        stat = _read(PROC / str(pid) / "stat").rpartition(")")[2].split()
        if not stat:
            continue  # it has ended meanwhile
        words = _read(PROC / str(pid) / "cmdline").replace("\0", " ").strip()
        uid = _uid(pid)
        rows.append(
            {
                "PID": pid,
                "PPID": int(stat[1]),
                "User": _user(uid),
                "State": stat[0],
                "Age": max(now - int(stat[19]) * 1_000_000_000 // TICKS, 0),
                "CPU": (int(stat[11]) + int(stat[12])) * 1_000_000_000 // TICKS,
                "Memory": int(stat[21]) * PAGE_BYTES,
                "Command": words or f"[{_read(PROC / str(pid) / 'comm').strip()}]",
            }
        )
    return sorted(rows, key=lambda row: (row["PID"] != of.pid, row["PID"]))


def members(of: Subject) -> list[int]:
    """Its processes: those of its group, or without one the first and what descends from it."""
    for directory in of.directories:
        found = {
            int(pid)
            for path, _, _ in os.walk(directory)  # skips what vanishes meanwhile
            for pid in _read(Path(path, "cgroup.procs")).split()
        }
        if found:
            return sorted(found)
    found, fresh = {of.pid}, [of.pid]
    while fresh:
        pid = fresh.pop()
        for task in _listed(PROC / str(pid) / "task"):
            for child in _read(PROC / str(pid) / "task" / task / "children").split():
                if int(child) not in found:
                    found.add(int(child))
                    fresh.append(int(child))
    return sorted(found)


def _cpu_ns(of: Subject, pids: list[int]) -> int:
    micros = _field(of, "cpu.stat", "usage_usec")
    nanos = micros * 1000 if micros else _number(of, "cpuacct.usage")
    if nanos is not None:
        return nanos
    stats = [_read(PROC / str(pid) / "stat").rpartition(")")[2].split() for pid in pids]
    return sum(int(stat[11]) + int(stat[12]) for stat in stats if stat) * 1_000_000_000 // TICKS


def _network(pid: int) -> tuple[int, int]:
    """Bytes received and sent; zeros for a task that shares the node's network."""
    try:
        if os.readlink(f"/proc/{pid}/ns/net") == os.readlink("/proc/self/ns/net"):
            return 0, 0
    except OSError:
        return 0, 0
    received = sent = 0
    for line in _read(PROC / str(pid) / "net" / "dev").splitlines()[2:]:
        name, _, counters = line.partition(":")
        words = counters.split()
        if name.strip() != "lo":
            received, sent = received + int(words[0]), sent + int(words[8])
    return received, sent


def _blocks(of: Subject) -> tuple[int, int]:
    read = written = 0
    for directory in of.directories:
        for line in _read(Path(directory, "io.stat")).splitlines():
            counters = dict(word.split("=") for word in line.split()[1:] if "=" in word)
            read += int(counters.get("rbytes", 0))
            written += int(counters.get("wbytes", 0))
        for line in _read(Path(directory, "blkio.throttle.io_service_bytes")).splitlines():
            words = line.split()
            if len(words) == 3:
                read += int(words[2]) if words[1] == "Read" else 0
                written += int(words[2]) if words[1] == "Write" else 0
    return read, written


def _number(of: Subject, *names: str) -> int | None:
    for directory in of.directories:
        for name in names:
            text = _read(Path(directory, name)).strip()
            if text.isdigit():
                return int(text)
    return None


def _field(of: Subject, name: str, *keys: str) -> int:
    for directory in of.directories:
        for line in _read(Path(directory, name)).splitlines():
            key, _, value = line.partition(" ")
            if key in keys:
                return int(value)
    return 0


def _uptime_ns() -> int:
    """Since the machine was started, in the steps in which the kernel tells it."""
    return int(float(_read(PROC / "uptime").split()[0]) * 1000) * 1_000_000


def _resident(pid: int) -> int:
    words = _read(PROC / str(pid) / "statm").split()
    return int(words[1]) * PAGE_BYTES if words else 0


def _uid(pid: int) -> int:
    try:
        return (PROC / str(pid)).stat().st_uid
    except OSError:
        return 0


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _listed(directory: Path) -> list[str]:
    try:
        return os.listdir(directory)
    except OSError:
        return []


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""
