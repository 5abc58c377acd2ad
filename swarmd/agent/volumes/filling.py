"""Filling a fresh volume with what the image has at the place where it is mounted."""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path

from swarmd.agent import mount_calls
from swarmd.agent.volumes.options import mount_flags
from swarmd.model.record import Record


class View(Record, frozen=True):
    """How to mount the files of an image: a file system, its source and its options."""

    kind: str
    source: str
    options: tuple[str, ...] = ()


def fill_from(view: View, target: str, directory: str, *, near: Path) -> None:
    """Copy what `view` has at `target` into `directory`, with owners, modes and attributes.

    Links in the image are followed within the image only. Nothing there is fine.

    Args:
        near: a directory below which the view may be mounted for the while.

    Raises:
        OSError
    """
    point = tempfile.mkdtemp(prefix="view-", dir=near)
    flags, rest = mount_flags(",".join(view.options))
    if view.kind == "bind":
        flags |= mount_calls.MS_BIND
    try:
        mount_calls.mount(view.source, point, view.kind, flags | mount_calls.MS_RDONLY, rest)
        try:
            _copy(point, target, directory)
        finally:
            mount_calls.unmount(point)
    finally:
        os.rmdir(point)


def _copy(root: str, target: str, directory: str) -> None:
    base = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        try:
            found = mount_calls.open_within(base, target, os.O_RDONLY | os.O_DIRECTORY)
        except (FileNotFoundError, NotADirectoryError):
            return
        try:
            done = subprocess.run(
                ["cp", "-a", f"/proc/self/fd/{found}/.", directory],
                pass_fds=(found,),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
                check=False,
            )
        finally:
            os.close(found)
    finally:
        os.close(base)
    if done.returncode:
        raise OSError(0, done.stderr.strip().splitlines()[-1] if done.stderr else "cp failed")
