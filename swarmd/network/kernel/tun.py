"""An interface whose packets this process gets to read, and to write."""

from __future__ import annotations

import errno
import fcntl
import os
import struct
from pathlib import Path

from swarmd.network.kernel import netns

DEVICE = Path("/dev/net/tun")
_TUNSETIFF = 0x400454CA
_TUN, _WITHOUT_HEADER = 0x0001, 0x1000


def open_tun(name: str, *, node: Path | None = None) -> int:
    """A descriptor, which doesn't block, for a new interface; that lasts as long as it is open.

    Each read and write is one IP packet.

    Args:
        node: the namespace that gets the interface; None: this process's.

    Raises:
        OSError: the kernel has no such interfaces, or refuses; EBUSY when somebody has it already.
    """
    return netns.inside(node, lambda: _open(name))


def missing(node: Path | None = None) -> str:
    """Why there can't be such interfaces; empty when there can."""
    try:
        os.close(open_tun("", node=node))
    except FileNotFoundError:
        return f"{DEVICE} is missing (modprobe tun)"
    except OSError as error:
        return f"{DEVICE} can't be used: {os.strerror(error.errno or errno.EIO)}"
    return ""


def _open(name: str) -> int:
    descriptor = os.open(DEVICE, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        request = struct.pack("16sH22x", name.encode(), _TUN | _WITHOUT_HEADER)
        fcntl.ioctl(descriptor, _TUNSETIFF, request)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor
