"""A user namespace of the daemon's own, in which an ordinary user may make networks and mounts.

The daemon of an ordinary user moves there before it has threads, with a mount namespace but without
a network: it goes on to listen and to connect where the machine does, as the same user, and has the
rights that networks of tasks take, over nothing but what is made in there. Its keeper and the tasks
are started in there, too, so whoever comes after finds the same namespaces by the keeper, and the
last process takes them away. Tasks are the same user without these rights.

Users and groups other than the daemon's own have no names in there: files of theirs show as those
of `nobody`, and programs that change the user (sudo, su) don't.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import struct

_CLONE_NEWNS, _CLONE_NEWUSER, _CLONE_NEWNET = 0x00020000, 0x10000000, 0x40000000
_NS_GET_USERNS = 0xB701
_MS_REC, _MS_SLAVE, _MS_BIND = 0x4000, 0x80000, 0x1000
_CAPABILITY_VERSION_3 = 0x20080522
_PR_CAP_AMBIENT, _RAISE, _CLEAR_ALL = 47, 2, 4
_NET_ADMIN, _NET_RAW, _SYS_CHROOT, _SYS_PTRACE, _SYS_ADMIN = 12, 13, 18, 19, 21
# What making networks and mounts takes, and entering those of tasks.
_RIGHTS = (_NET_ADMIN, _NET_RAW, _SYS_CHROOT, _SYS_PTRACE, _SYS_ADMIN)
_SETS = struct.Struct("=6I")  # effective, permitted, inheritable; the second half is of no use here
_OWN = "/proc/self"

_libc = ctypes.CDLL(None, use_errno=True)


def is_needed() -> bool:
    """Whether this process is an ordinary user's, without the right to make networks."""
    return os.geteuid() != 0 and not _effective() & 1 << _SYS_ADMIN


def is_inside() -> bool:
    """Whether this process is in a namespace that `enter` has made."""
    uid = os.geteuid()
    if uid == 0:
        return False
    try:
        with open(f"{_OWN}/uid_map") as file:
            return file.read().split() == [str(uid), str(uid), "1"]
    except OSError:
        return False


def owns_network() -> bool:
    """Whether this process's network is of its own user namespace, and so its to change."""
    network = os.open(f"{_OWN}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        owner = fcntl.ioctl(network, _NS_GET_USERNS)
    except PermissionError:
        return False  # it belongs to somebody further out
    finally:
        os.close(network)
    try:
        return os.fstat(owner).st_ino == os.stat(f"{_OWN}/ns/user").st_ino
    finally:
        os.close(owner)


def enter() -> None:
    """Move this process, which has one thread, into namespaces of its own.

    Raises:
        OSError: the machine doesn't allow it; nothing has changed.
    """
    _try()
    uid, gid = os.geteuid(), os.getegid()
    _enter(uid, gid)
    _keep_rights()


def join(pid: int) -> None:
    """Move this process, which has one thread, where another one of ours is inside.

    Raises:
        OSError: there is no such process, or it isn't ours.
    """
    where = os.getcwd()
    with (
        open(f"/proc/{pid}/ns/user", "rb") as user,
        open(f"/proc/{pid}/ns/mnt", "rb") as mounts,
    ):
        for namespace in (user, mounts):
            _check(_libc.setns(namespace.fileno(), 0), f"process {pid}")
    os.chdir(where)
    _keep_rights()


def shares(pid: int) -> bool:
    """Whether another process is in this one's user namespace.

    Raises:
        OSError: there is no such process, or it isn't ours.
    """
    return os.stat(f"/proc/{pid}/ns/user").st_ino == os.stat(f"{_OWN}/ns/user").st_ino


def give_up_rights() -> None:
    """Have the next program that this process becomes be without the rights of the enclave."""
    if is_inside():
        _check(_libc.prctl(_PR_CAP_AMBIENT, _CLEAR_ALL, 0, 0, 0), "prctl")


def _try() -> None:
    """Do it in a child first: some machines let users in and then leave them without rights.

    Raises:
        OSError: what was refused.
    """
    uid, gid = os.geteuid(), os.getegid()
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            _enter(uid, gid)
            _check(_libc.unshare(_CLONE_NEWNET), "unshare")
            flags = ctypes.c_ulong(_MS_BIND)
            _check(_libc.mount(b"/proc/self/ns/net", b"/dev/null", None, flags, None), "mount")
            code = 0
        except OSError as error:
            code = error.errno or 1
        finally:
            os._exit(code)
    number = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if number != 0:
        raise OSError(abs(number), os.strerror(abs(number)), "user namespaces")


def _enter(uid: int, gid: int) -> None:
    _check(_libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNS), "unshare")
    # Without the right to change groups, one's own may be named.
    with contextlib.suppress(FileNotFoundError):
        _write("setgroups", "deny")
    _write("uid_map", f"{uid} {uid} 1")
    _write("gid_map", f"{gid} {gid} 1")
    flags = ctypes.c_ulong(_MS_REC | _MS_SLAVE)
    _check(_libc.mount(None, b"/", None, flags, None), "mount")


def _write(name: str, text: str) -> None:
    with open(f"{_OWN}/{name}", "w") as file:
        file.write(text)


def _keep_rights() -> None:
    """Have these rights and no others, and hand them on to programs that are started."""
    mask = sum(1 << number for number in _RIGHTS)
    header = struct.pack("=Ii", _CAPABILITY_VERSION_3, 0)
    sets = _SETS.pack(mask, mask, mask, 0, 0, 0)
    _check(_libc.capset(header, sets), "capset")
    for number in _RIGHTS:
        _check(_libc.prctl(_PR_CAP_AMBIENT, _RAISE, number, 0, 0), "prctl")


def _effective() -> int:
    header = struct.pack("=Ii", _CAPABILITY_VERSION_3, 0)
    sets = ctypes.create_string_buffer(_SETS.size)
    _check(_libc.capget(header, sets), "capget")
    return int(_SETS.unpack(sets.raw)[0])


def _check(result: int, about: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), about)
