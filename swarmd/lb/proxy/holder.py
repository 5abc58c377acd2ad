"""Which program holds a port, as far as /proc tells: only to make a refusal helpful.

Looking through the descriptors of every process costs some milliseconds, so one search is bounded.
Without the right to look into another user's processes the answer is simply not known.
"""

from __future__ import annotations

import os
from pathlib import Path

from swarmd.lb.core.plan import PortKey

PROCESSES_MAX = 2_000
_PROC = Path("/proc")


def holder_of(key: PortKey, proc: Path = _PROC) -> str:
    """Name and process id of who holds a port, as in `nginx, process 812`; empty if unknown."""
    sockets = _sockets_at(key, proc)
    if not sockets:
        return ""
    own = os.getpid()
    pids = sorted(int(entry.name) for entry in proc.iterdir() if entry.name.isdigit())
    for pid in pids[:PROCESSES_MAX]:
        if pid != own and _holds(proc / str(pid), sockets):
            return f"{_name(proc / str(pid))}, process {pid}"
    return ""


def _sockets_at(key: PortKey, proc: Path) -> frozenset[str]:
    """Links of descriptors (`socket:[inode]`) bound to a port, whatever the address."""
    wanted = f"{key.port:04X}"
    found: set[str] = set()
    for table in (key.protocol.value, f"{key.protocol.value}6"):
        try:
            lines = (proc / "net" / table).read_text().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            fields = line.split()
            if fields[1].rpartition(":")[2] == wanted and fields[9] != "0":
                found.add(f"socket:[{fields[9]}]")
    return frozenset(found)


def _holds(process: Path, sockets: frozenset[str]) -> bool:
    try:
        descriptors = os.listdir(process / "fd")
    except OSError:
        return False  # it has ended, or is not ours to look into
    for descriptor in descriptors:
        try:
            if os.readlink(process / "fd" / descriptor) in sockets:
                return True
        except OSError:
            continue  # closed meanwhile
    return False


def _name(process: Path) -> str:
    try:
        return (process / "comm").read_text().strip()
    except OSError:
        return "unknown"
