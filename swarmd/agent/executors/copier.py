"""A program of its own that copies files out of a task or into it: a tar archive through a pipe.

`python -m swarmd.agent.executors.copier REQUEST`, the request in JSON. It makes the task's root its
own before it looks at a single path, so no link of the task leads out. A task may be hostile, and
this runs as root, so from then on nothing is loaded any more, neither modules nor the libraries by
which names of users are looked up; and what is in the way is never opened for writing, only
replaced, lest it be a device.
"""

from __future__ import annotations

import json
import os
import stat
import sys
import tarfile
from typing import IO, Any

from swarmd.agent.executors.unpacking import Refused, unpack

REFUSED = 1
OF_THE_KERNEL = ("/proc", "/sys", "/dev")  # copied empty


def main() -> None:
    request: dict[str, Any] = json.loads(sys.argv[1])
    _settle_in(request["root"])
    try:
        if request["into"]:
            copy_into(sys.stdin.buffer, request["path"], keep_owner=request["keep_owner"])
        else:
            copy_from(sys.stdout.buffer, request["path"], follow=request["follow"])
    except (OSError, tarfile.TarError, Refused) as error:
        reason = f"{error.strerror}: {error.filename}" if isinstance(error, OSError) else str(error)
        sys.stderr.write(f"{reason}\n")
        sys.stderr.flush()
        os._exit(REFUSED)
    sys.stdout.flush()
    os._exit(0)


def _settle_in(root: str) -> None:
    """See files as the task does, and load nothing more."""
    tarfile.pwd = tarfile.grp = None  # type: ignore[attr-defined]
    for name in ("ascii", "latin-1", "utf-8"):
        "".encode(name)
    if os.geteuid() == 0:
        os.chroot(root)
    os.chdir("/")
    os.umask(0)
    sys.path.clear()
    sys.meta_path.clear()


def copy_from(out: IO[bytes], path: str, *, follow: bool) -> None:
    """Write the archive of a file or directory; its members begin with the path's last name."""
    path = "/" + path.strip("/") if path.strip("/") else "/"
    if follow:
        path = os.path.realpath(path)
    name = os.path.basename(path) or "."
    with tarfile.open(fileobj=out, mode="w|", format=tarfile.PAX_FORMAT) as archive:
        _add(archive, path, name)


def _add(archive: tarfile.TarFile, path: str, name: str) -> None:
    found = os.lstat(path)
    info = archive.gettarinfo(path, name)
    if info is None:
        return  # a socket
    if info.islnk():
        info.type, info.linkname, info.size = tarfile.REGTYPE, "", found.st_size
    if not info.isreg():
        archive.addfile(info)
        if info.isdir() and path not in OF_THE_KERNEL:
            for entry in sorted(os.listdir(path)):
                _add(archive, f"{path.rstrip('/')}/{entry}", f"{name}/{entry}")
        return
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(descriptor, "rb") as file:
        now = os.fstat(descriptor)
        if not stat.S_ISREG(now.st_mode):
            raise Refused(f"{path} changed while it was read")
        info.size = now.st_size
        archive.addfile(info, _Padded(file, now.st_size))


class _Padded:
    """A file of exactly the size that was announced, whatever becomes of it meanwhile."""

    def __init__(self, file: IO[bytes], size: int) -> None:
        self._file = file
        self._left = size

    def read(self, size: int = -1) -> bytes:
        size = self._left if size < 0 else min(size, self._left)
        data = self._file.read(size)
        self._left -= size
        return data + bytes(size - len(data))


def copy_into(source: IO[bytes], path: str, *, keep_owner: bool) -> None:
    """Unpack an archive at `path`.

    Into a directory it is unpacked as it is; otherwise its one top entry becomes `path` itself,
    the directory of which must be there. The top entry `.` stands for the contents of one.
    """
    is_directory = path.endswith("/")
    path = "/" + path.strip("/") if path.strip("/") else "/"
    renamed = ""
    if not os.path.isdir(path):
        parent = os.path.dirname(path)
        if is_directory or not os.path.isdir(parent):
            raise Refused(f"there is no directory {path if is_directory else parent}")
        path, renamed = os.path.dirname(path), os.path.basename(path)
    unpack(
        source,
        path,
        renamed=renamed,
        through_links=True,
        keep_owner=keep_owner,
        mode_mask=0o7777 if keep_owner else 0o1777,
    )


if __name__ == "__main__":
    main()
