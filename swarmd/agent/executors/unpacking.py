"""Tar archives from others, unpacked where they belong and nowhere else.

An archive may be hostile. Its entries stay below the directory; what is in the way of a file is
never opened for writing, only replaced, lest it be a device or a link; and devices are refused.
Python's own ways to be careful with archives came after the versions that we run on.
"""

from __future__ import annotations

import os
import tarfile
from typing import IO

COPY_BYTES = 1024 * 1024


class Refused(Exception):
    """It can't be copied; the message says why."""


def unpack(
    source: IO[bytes],
    directory: str,
    *,
    renamed: str,
    through_links: bool,
    keep_owner: bool,
    mode_mask: int,
) -> None:
    """Unpack a stream into a directory that is there, and read it to its end.

    Without privileges files are the caller's whatever the archive says. What was unpacked before
    a refusal stays.

    Args:
        renamed: what the one top entry becomes, its own name if empty. The top entry `.` stands
            for the contents of one.
        through_links: whether links to directories are followed below `directory`. Only for who
            has the same root as whoever made them.
        keep_owner: whether owners are as the archive says rather than root.
        mode_mask: which bits of its modes files get.

    Raises:
        Refused, OSError, tarfile.TarError
    """
    place = _Place(directory, renamed, through_links=through_links)
    directories: list[tuple[tarfile.TarInfo, str]] = []
    try:
        with tarfile.open(fileobj=source, mode="r|", bufsize=COPY_BYTES) as archive:
            for info in archive:
                target = place.of(info.name)
                if target is None:
                    continue
                if info.islnk():
                    info.linkname = place.of(info.linkname) or ""
                info.mode &= mode_mask
                _make(archive, info, target, keep_owner=keep_owner)
                if info.isdir():
                    directories.append((info, target))
        while source.read(COPY_BYTES):
            continue  # the padding after the archive
        for info, target in reversed(directories):
            _finish(info, target)  # not before what is in it, which changes its time, and may not
    except (ValueError, OverflowError) as error:
        raise Refused(f"the archive has an entry that cannot be: {error}") from None


class _Place:
    """Where the entries of an archive belong."""

    def __init__(self, directory: str, renamed: str, *, through_links: bool) -> None:
        self._directory = directory.rstrip("/")
        self._renamed = renamed
        self._through_links = through_links

    def of(self, name: str) -> str | None:
        """The path of an entry, its directory being there or made; None for the directory itself.

        Raises:
            Refused: it would be elsewhere.
        """
        parts = [part for part in name.split("/") if part not in ("", ".")]
        if ".." in parts:
            raise Refused(f"the archive has an entry that leads out: {name}")
        if self._renamed:
            parts = [self._renamed, *(parts if name.split("/")[0] == "." else parts[1:])]
        if not parts:
            return None
        way = self._directory
        for part in parts[:-1]:
            way = f"{way}/{part}"
            if not self._through_links and os.path.islink(way):
                raise Refused(f"{way} is a link; nothing is copied through it")
        os.makedirs(way or "/", exist_ok=True)
        return f"{way}/{parts[-1]}"


def _make(
    archive: tarfile.TarFile, info: tarfile.TarInfo, target: str, *, keep_owner: bool
) -> None:
    is_directory = os.path.isdir(target) and not os.path.islink(target)
    if os.path.lexists(target) and not is_directory:
        if info.isdir():
            raise Refused(f"{target} is there and no directory")
        os.unlink(target)
    elif is_directory and not info.isdir():
        raise Refused(f"{target} is a directory")
    if info.isdir():
        if not is_directory:
            os.mkdir(target, 0o700)
    elif info.isreg():
        _write(archive, info, target)
    elif info.issym():
        os.symlink(info.linkname, target)
    elif info.islnk():
        os.link(info.linkname, target, follow_symlinks=False)
        return
    elif info.isfifo():
        os.mkfifo(target, 0o600)
    else:
        raise Refused(f"{info.name} is a device; devices are not copied")
    if os.geteuid() == 0:
        owner = (info.uid, info.gid) if keep_owner else (0, 0)
        os.chown(target, *owner, follow_symlinks=False)
    if not info.issym() and not info.isdir():
        _finish(info, target)


def _finish(info: tarfile.TarInfo, target: str) -> None:
    os.chmod(target, info.mode)
    os.utime(target, (info.mtime, info.mtime))


def _write(archive: tarfile.TarFile, info: tarfile.TarInfo, target: str) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    source = archive.extractfile(info)
    with open(os.open(target, flags, 0o600), "wb") as file:
        while source is not None and (data := source.read(COPY_BYTES)):
            file.write(data)
