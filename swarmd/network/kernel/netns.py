"""Network namespaces as files: made, entered for a moment, removed.

A namespace lives for as long as something refers to it; a file mounted on it does, whatever becomes
of this process. A thread that calls here enters a namespace for the moment, and is back when the
call returns: threads cost ten times as much as the way there and back. The main thread stays where
it is, since what others see of a process is what its main thread has; it, and whoever would not be
let back in, has a thread go that ends afterwards. Nothing is forked: that would take twenty times
as long in a process of the daemon's size.

Sockets and nftables contexts belong for life to the namespace they were made in, and may be used
from any thread afterwards. All calls block, a fraction of a millisecond besides what `call` takes.
"""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import TypeVar

_CLONE_NEWNET = 0x40000000
_MS_BIND = 0x1000
_MNT_DETACH = 2
_OWN = Path("/proc/thread-self/ns/net")
_HOME = Path("/proc/self/ns/net")

_libc = ctypes.CDLL(None, use_errno=True)

T = TypeVar("T")


def create(path: Path) -> bool:
    """Make an empty namespace at `path`, with the directories above it; False if one is there.

    Raises:
        OSError: the kernel refuses; nothing is left behind but directories.
    """
    if exists(path):
        return False
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # One that was unmounted here lives on in the mount namespaces that have inherited it, with
    # all that it holds, until its file goes.
    path.unlink(missing_ok=True)
    path.touch(mode=0o600)
    try:
        _elsewhere(lambda: _make(path))
    except OSError:
        path.unlink(missing_ok=True)
        raise
    return True


def keep(path: Path, *, pid: int) -> None:
    """Have `path` refer to the namespace of a process.

    Raises:
        OSError: there is no such process, or the kernel refuses.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.touch(mode=0o600)
    _mount(f"/proc/{pid}/ns/net", path)


def process_in(namespace: int) -> int | None:
    """A process of the namespace with this inode; None if there is none. Looks at all there are."""
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            try:
                if os.stat(process / "ns" / "net").st_ino == namespace:
                    return int(process.name)
            except OSError:
                continue  # it has ended
    return None


def remove(path: Path) -> None:
    """Let go of the namespace at `path`; it ends with the last process in it. Again is fine.

    Removing the file takes the mount away from every mount namespace that has inherited it.
    """
    while inode(path) is not None:
        _check(_libc.umount2(os.fsencode(path), _MNT_DETACH), str(path))
    path.unlink(missing_ok=True)


def exists(path: Path) -> bool:
    """Whether a namespace is at `path`, rather than nothing or a mere file."""
    return inode(path) is not None


def inode(path: Path | None) -> int | None:
    """What tells the namespace at `path` (None: this process's) from any other that is there."""
    try:
        found = os.stat(_OWN if path is None else path)
    except FileNotFoundError:
        return None
    return found.st_ino if found.st_dev == os.stat(_OWN).st_dev else None


def inside(path: Path | None, call: Callable[[], T]) -> T:
    """What `call` returns or raises in the namespace at `path`; None stands for this process's.

    Raises:
        FileNotFoundError: there is no namespace at `path`.
        OSError: it cannot be entered.
    """
    if path is None:
        return call()

    def visit() -> T:
        _enter(path)
        return call()

    return _elsewhere(visit)


def go_home() -> None:
    """Have the calling thread be in the namespace of its process.

    A new thread is where the one was that started it, and would keep that namespace for its life.
    """
    home = os.open(_HOME, os.O_RDONLY | os.O_CLOEXEC)
    try:
        # Refused to those who may not enter other namespaces, so that they are in no other.
        _libc.setns(home, _CLONE_NEWNET)
    finally:
        os.close(home)


def _elsewhere(call: Callable[[], T]) -> T:
    """What `call` returns, which may move the thread it runs in to another namespace."""
    if threading.current_thread() is threading.main_thread():
        return _in_thread(call)
    here = os.open(_OWN, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if _libc.setns(here, _CLONE_NEWNET) != 0:
            return _in_thread(call)
        try:
            return call()
        finally:
            _check(_libc.setns(here, _CLONE_NEWNET), "the way back to the thread's own namespace")
    finally:
        os.close(here)


def _enter(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if _libc.setns(descriptor, _CLONE_NEWNET) != 0:
            if not exists(path):
                raise FileNotFoundError(f"there is no network namespace at {path}")
            _check(-1, str(path))
    finally:
        os.close(descriptor)


def _make(path: Path) -> None:
    _check(_libc.unshare(_CLONE_NEWNET), "unshare")
    _mount(str(_OWN), path)


def _mount(namespace: str, path: Path) -> None:
    target, flags = os.fsencode(path), ctypes.c_ulong(_MS_BIND)
    _check(_libc.mount(namespace.encode(), target, b"none", flags, None), str(path))


def _in_thread(call: Callable[[], T]) -> T:
    outcome: Future[T] = Future()

    def work() -> None:
        try:
            outcome.set_result(call())
        except BaseException as error:
            outcome.set_exception(error)

    thread = threading.Thread(target=work, name="netns", daemon=True)
    thread.start()
    thread.join()
    return outcome.result()


def _check(result: int, about: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), about)
