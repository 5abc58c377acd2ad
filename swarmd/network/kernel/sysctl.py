"""Settings of a network namespace below /proc/sys/net, as the calling thread finds them there.

To be called inside of the namespace (`netns.inside`): those files show whichever namespace the
thread that opens them is in.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

_ROOT = "/proc/sys/net"
_LONGEST = 4096


def put(settings: Mapping[str, str]) -> None:
    """Write settings, by their path below /proc/sys/net.

    One that this kernel doesn't have is left out: what it would govern isn't there either.

    Raises:
        OSError: the kernel refuses.
    """
    for name, value in settings.items():
        try:
            if _read(name) != value:
                _write(name, value)
        except FileNotFoundError:
            continue


def get(name: str) -> str:
    """A setting; empty where the kernel doesn't have it."""
    try:
        return _read(name)
    except FileNotFoundError:
        return ""


def _read(name: str) -> str:
    # Not by buffered files: each task has its settings, which took a tenth of attaching it.
    descriptor = os.open(f"{_ROOT}/{name}", os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(descriptor, _LONGEST).decode().strip()
    finally:
        os.close(descriptor)


def _write(name: str, value: str) -> None:
    descriptor = os.open(f"{_ROOT}/{name}", os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(descriptor, value.encode())
    finally:
        os.close(descriptor)
