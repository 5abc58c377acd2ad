"""The few system calls the standard library of Python 3.11 does not offer."""

from __future__ import annotations

import ctypes
import fcntl
import os
import termios

PR_SET_PDEATHSIG = 1
PR_SET_NAME = 15
PR_SET_CHILD_SUBREAPER = 36

CLONE_NEWNS = 0x00020000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000

MS_REC = 0x4000
MS_SLAVE = 0x80000

_libc = ctypes.CDLL(None, use_errno=True)


def prctl(option: int, value: int) -> None:
    _check(_libc.prctl(option, ctypes.c_ulong(value), 0, 0, 0), "prctl")


def prctl_name(name: bytes) -> None:
    """What tools call the calling process; 15 bytes of it."""
    _check(_libc.prctl(PR_SET_NAME, ctypes.c_char_p(name), 0, 0, 0), "prctl")


def unshare(flags: int) -> None:
    """Move the calling process into fresh namespaces."""
    _check(_libc.unshare(flags), "unshare")


def setns(descriptor: int) -> None:
    """Move the calling process, which has one thread, into a namespace that exists."""
    _check(_libc.setns(descriptor, 0), "setns")


def make_controlling_terminal(descriptor: int) -> None:
    """Give the calling session, whose leader calls, this terminal."""
    fcntl.ioctl(descriptor, termios.TIOCSCTTY, 0)


def sethostname(name: str) -> None:
    encoded = name.encode()
    _check(_libc.sethostname(encoded, len(encoded)), "sethostname")


def receive_mounts_only() -> None:
    """Let mounts made outside still appear here, and those made here stay here."""
    _check(_libc.mount(None, b"/", None, ctypes.c_ulong(MS_REC | MS_SLAVE), None), "mount")


def _check(result: int, name: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")
