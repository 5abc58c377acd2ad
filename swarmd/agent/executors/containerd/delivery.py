"""Secrets and configs of one container: a memory file system of the node's that it looks into.

It is mounted just before the container comes up and unmounted when the container has ended; nothing
of it is ever on disk. Files below /run/secrets lie in one directory that appears there, every other
file is shown at its own place; all are read-only. Blocks.
"""

from __future__ import annotations

import os
from pathlib import Path

from swarmd.agent import mount_calls
from swarmd.agent.core.mounts import Placed
from swarmd.agent.core.task_files import SECRETS, TaskFile

MEMORY = "files"
_SECRETS, _OTHERS = "secrets", "others"
PAGE = 4096
SLACK_BYTES = 1024 * 1024
_SAFE = mount_calls.MS_NOSUID | mount_calls.MS_NODEV | mount_calls.MS_NOEXEC


def file_mounts(directory: Path, targets: tuple[str, ...]) -> tuple[Placed, ...]:
    """Where the files of these targets will be; they need not be there yet."""
    memory = directory / MEMORY
    mounts = []
    if any(_is_below_secrets(target) for target in targets):
        mounts.append(_placed(memory / _SECRETS, SECRETS))
    for number, target in enumerate(targets):
        if not _is_below_secrets(target):
            mounts.append(_placed(memory / _OTHERS / str(number), target))
    return tuple(mounts)


def deliver(directory: Path, files: tuple[TaskFile, ...]) -> None:
    """Put the files into memory, afresh: whatever was begun before is taken away first.

    Raises:
        OSError
    """
    take_away(directory)
    if not files:
        return
    memory = directory / MEMORY
    memory.mkdir(mode=0o700, exist_ok=True)
    pages = sum(len(file.data) // PAGE + 1 for file in files)
    size = pages * PAGE + SLACK_BYTES
    mount_calls.mount_memory(str(memory), flags=_SAFE, options=f"mode=700,size={size}")
    (memory / _OTHERS).mkdir()
    secrets = memory / _SECRETS
    _make_directories(secrets, within=memory)
    for number, file in enumerate(files):
        if _is_below_secrets(file.target):
            path = secrets / os.path.relpath(file.target, SECRETS)
            _make_directories(path.parent, within=memory)
        else:
            path = memory / _OTHERS / str(number)
        _write(path, file)


def take_away(directory: Path) -> None:
    """Forget the files, also for a container that still has them open."""
    memory = str(directory / MEMORY)
    while mount_calls.unmount(memory):
        continue


def _placed(source: Path, target: str) -> Placed:
    return Placed(
        target=target, source=str(source), read_only=True, recursive=False, read_only_below=False
    )


def _is_below_secrets(target: str) -> bool:
    return target.startswith(f"{SECRETS}/")


def _make_directories(path: Path, *, within: Path) -> None:
    """Make a directory with those above it, open to every user whatever the daemon's umask."""
    if path == within or path.exists():
        return
    _make_directories(path.parent, within=within)
    path.mkdir()
    path.chmod(0o755)


def _write(path: Path, file: TaskFile) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with open(descriptor, "wb") as opened:
        opened.write(file.data)
        os.fchown(descriptor, file.uid, file.gid)
        os.fchmod(descriptor, file.mode)
