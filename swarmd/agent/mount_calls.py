"""Mounting and unmounting, and opening paths within a directory: calls Python 3.11 does not offer.

They block, need root, and raise OSError with the path they were about.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct

MS_RDONLY = 0x1
MS_NOSUID = 0x2
MS_NODEV = 0x4
MS_NOEXEC = 0x8
MS_REMOUNT = 0x20
MS_BIND = 0x1000
MS_REC = 0x4000
MS_PRIVATE = 0x40000
MS_SLAVE = 0x80000
MS_SHARED = 0x100000
MNT_DETACH = 2

_OPENAT2 = 437
_RESOLVE_IN_ROOT = 0x10
_libc = ctypes.CDLL(None, use_errno=True)


def mount(source: str, target: str, kind: str, flags: int, data: str = "") -> None:
    """mount(2)."""
    result = _libc.mount(
        source.encode(),
        target.encode(),
        kind.encode(),
        ctypes.c_ulong(flags),
        data.encode() if data else None,
    )
    _check(result, target)


def mount_memory(target: str, *, flags: int, options: str) -> None:
    """Mount a tmpfs that is kept from swap, where the kernel can do that (Linux 6.4)."""
    try:
        mount("tmpfs", target, "tmpfs", flags, f"{options},noswap")
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        mount("tmpfs", target, "tmpfs", flags, options)


def bind(source: str, target: str, *, recursive: bool, read_only: bool) -> None:
    """Show `source` at `target`; read-only goes for what is mounted there itself."""
    mount(source, target, "", MS_BIND | (MS_REC if recursive else 0))
    if read_only:
        flags = MS_REMOUNT | MS_BIND | MS_RDONLY | _kept_flags(target)
        mount("", target, "", flags)


def unmount(target: str) -> bool:
    """Take away what is mounted at `target`, even if it is in use; False when nothing is."""
    if _libc.umount2(target.encode(), MNT_DETACH) == 0:
        return True
    number = ctypes.get_errno()
    if number in (errno.EINVAL, errno.ENOENT):
        return False
    raise OSError(number, os.strerror(number), target)


def open_within(root: int, path: str, flags: int) -> int:
    """Open `path` as if the directory of descriptor `root` were the root of all files.

    Links can't lead out of it.
    """
    how = struct.pack("QQQ", flags | os.O_CLOEXEC, 0, _RESOLVE_IN_ROOT)
    result = _libc.syscall(_OPENAT2, root, path.encode(), how, len(how))
    if result < 0:
        _check(result, path)
    return int(result)


def path_within(directory: str, path: str) -> str:
    """The full path of `path` within a directory, free of links, which can't lead out of it."""
    root = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        inner = open_within(root, path, os.O_PATH)
        try:
            return os.readlink(f"/proc/self/fd/{inner}")
        finally:
            os.close(inner)
    finally:
        os.close(root)


def _kept_flags(target: str) -> int:
    """Flags of a mount that may not get lost when it is mounted again."""
    found = os.statvfs(target).f_flag
    return found & (os.ST_NOSUID | os.ST_NODEV | os.ST_NOEXEC)


def _check(result: int, about: str) -> None:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), about)
