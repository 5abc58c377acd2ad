"""Cutting a machine's power: everything on it ends at once, and what only memory held is gone.

The machines of the demo share a kernel, so what a power cut would take along is taken away here:
processes, mounts and control groups, known by the machine's state directory.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

ROUNDS = 50
PAUSE_S = 0.02


def cut(state_dir: Path, daemon: int) -> None:
    """End all that runs on the machine with this daemon."""
    groups: set[str] = set()
    for _ in range(ROUNDS):
        pids = running(state_dir)
        if _is_alive(daemon):
            pids.append(daemon)
        if not pids:
            break
        for pid in pids:
            groups |= _groups(pid) | _bases(pid)
        for pid in pids:
            kill(pid)
        time.sleep(PAUSE_S)
    _unmount(state_dir)
    _remove(groups)


def running(state_dir: Path) -> list[int]:
    """What a daemon leaves running: its keeper, containerd, shims, and the tasks below them."""
    needle = os.fsencode(state_dir / "worker")
    children: dict[int, list[int]] = {}
    found: list[int] = []
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            words = Path("/proc", entry, "cmdline").read_bytes()
            status = Path("/proc", entry, "stat").read_text(errors="replace").rpartition(")")[2]
        except OSError:
            continue
        state, parent = status.split()[:2]
        if state == "Z":
            continue
        children.setdefault(int(parent), []).append(int(entry))
        if needle in words:
            found.append(int(entry))
    for pid in found:  # grows while it is gone through
        found.extend(child for child in children.get(pid, ()) if child not in found)
    return found


def _groups(pid: int) -> set[str]:
    """Control groups of swarmd's making that a process is in."""
    try:
        lines = Path(f"/proc/{pid}/cgroup").read_text().splitlines()
    except OSError:
        return set()
    paths = (line.split(":", 2)[2] for line in lines)
    return {path for path in paths if "/swarmd" in path}


def _bases(pid: int) -> set[str]:
    """Directories of the machine's groups, if this is its keeper, which is told the node's id."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_text(errors="replace").split("\0")
    except OSError:
        return set()
    if not any("keeper" in word for word in words):
        return set()
    return {f"/swarmd/{word}" for word in words if word.isalnum()}


def _remove(groups: set[str]) -> None:
    """Delete groups, and the directories of the machine above them."""
    with_parents = groups | {os.path.dirname(path) for path in groups}
    for path in sorted(with_parents, key=len, reverse=True):
        if path.count("/") < 2:
            continue  # what all machines share
        for tree in ("", *os.listdir("/sys/fs/cgroup")):
            try:
                os.rmdir(f"/sys/fs/cgroup/{tree}{path}")
            except OSError:
                continue


def _unmount(state_dir: Path) -> None:
    mounts = Path("/proc/mounts").read_text().splitlines()
    points = [line.split()[1] for line in mounts]
    for point in reversed(points):
        if point.startswith(f"{state_dir}/"):
            subprocess.run(["umount", "-l", point], check=False, capture_output=True)


def _is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return
