"""The few requests to the kernel's route netlink that containers need, encoded by hand.

Connecting a container takes half a dozen messages on its way to starting; a library that mirrors
the whole kernel state first would take longer than the container itself.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import socket
import struct
from ipaddress import IPv4Address, IPv4Interface
from types import TracebackType

_NEWLINK, _DELLINK, _NEWADDR, _NEWROUTE = 16, 17, 20, 24
_ERROR = 2
_REQUEST, _ACK, _EXCL, _CREATE = 0x1, 0x4, 0x200, 0x400
_IFLA_IFNAME, _IFLA_MASTER, _IFLA_LINKINFO, _IFLA_NET_NS_PID = 3, 10, 18, 19
_INFO_KIND, _INFO_DATA, _VETH_PEER = 1, 2, 1
_IFA_ADDRESS, _IFA_LOCAL = 1, 2
_RTA_OIF, _RTA_GATEWAY = 4, 5
_IFF_UP = 1
_MAIN_TABLE, _BY_BOOT, _UNIVERSE, _UNICAST = 254, 3, 0, 1
_CLONE_NEWNET = 0x40000000
_SIOCGIFINDEX = 0x8933
ANSWER_BYTES_MAX = 65_536


class RouteNetlink:
    """A conversation with the kernel about one network namespace; every request is confirmed.

    Raises:
        OSError: with the kernel's number, from any method.
    """

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._sequence = 0

    def __enter__(self) -> RouteNetlink:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._socket.close()

    def index(self, name: str) -> int:
        """The number of an interface of this namespace."""
        request = struct.pack("16si20x", name.encode(), 0)
        answer = fcntl.ioctl(self._socket, _SIOCGIFINDEX, request)
        index: int = struct.unpack_from("16si", answer)[1]
        return index

    def add_bridge(self, name: str) -> None:
        """Make a bridge; one of that name that is there already will do."""
        kind = _attribute(_IFLA_LINKINFO, _attribute(_INFO_KIND, b"bridge"))
        self._ask(_NEWLINK, _link() + _name(name) + kind, _CREATE | _EXCL, fine=errno.EEXIST)

    def add_veth(self, name: str, *, master: int, peer: str, peer_pid: int) -> None:
        """Make a pair: one end here at the bridge `master`, the other in a process' namespace."""
        other = _link() + _name(peer) + _attribute(_IFLA_NET_NS_PID, struct.pack("I", peer_pid))
        info = _attribute(_INFO_KIND, b"veth") + _attribute(
            _INFO_DATA, _attribute(_VETH_PEER, other)
        )
        message = (
            _link(flags=_IFF_UP)
            + _name(name)
            + _attribute(_IFLA_MASTER, struct.pack("I", master))
            + _attribute(_IFLA_LINKINFO, info)
        )
        self._ask(_NEWLINK, message, _CREATE | _EXCL)

    def delete_link(self, name: str) -> None:
        """Delete an interface; one that is gone already will do."""
        self._ask(_DELLINK, _link() + _name(name), 0, fine=errno.ENODEV)

    def up(self, index: int) -> None:
        self._ask(_NEWLINK, _link(index=index, flags=_IFF_UP), 0)

    def add_address(self, index: int, address: IPv4Interface) -> None:
        """Give an interface an address; one it has already will do."""
        header = struct.pack("BBBBI", socket.AF_INET, address.network.prefixlen, 0, 0, index)
        packed = address.ip.packed
        message = header + _attribute(_IFA_LOCAL, packed) + _attribute(_IFA_ADDRESS, packed)
        self._ask(_NEWADDR, message, _CREATE | _EXCL, fine=errno.EEXIST)

    def add_default_route(self, index: int, gateway: IPv4Address) -> None:
        header = struct.pack(
            "BBBBBBBBI", socket.AF_INET, 0, 0, 0, _MAIN_TABLE, _BY_BOOT, _UNIVERSE, _UNICAST, 0
        )
        message = (
            header
            + _attribute(_RTA_OIF, struct.pack("I", index))
            + _attribute(_RTA_GATEWAY, gateway.packed)
        )
        self._ask(_NEWROUTE, message, _CREATE | _EXCL, fine=errno.EEXIST)

    def _ask(self, kind: int, body: bytes, flags: int, *, fine: int = 0) -> None:
        self._sequence += 1
        header = struct.pack(
            "IHHII", 16 + len(body), kind, _REQUEST | _ACK | flags, self._sequence, 0
        )
        self._socket.send(header + body)
        answer = self._socket.recv(ANSWER_BYTES_MAX)
        _, answered, _, _, _, number = struct.unpack_from("=IHHIIi", answer)
        if answered != _ERROR:
            raise OSError(errno.EPROTO, f"netlink answered with a message of type {answered}")
        if number and -number != fine:
            raise OSError(-number, os.strerror(-number))


def here() -> RouteNetlink:
    """Netlink of the namespace this process lives in."""
    sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
    sock.bind((0, 0))
    return RouteNetlink(sock)


def within(pid: int) -> RouteNetlink:
    """Netlink of the namespace of another process; the calling thread visits it for a moment."""
    libc = ctypes.CDLL(None, use_errno=True)
    own = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        other = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            _enter(libc, other)
            try:
                return here()
            finally:
                _enter(libc, own)
        finally:
            os.close(other)
    finally:
        os.close(own)


def _enter(libc: ctypes.CDLL, namespace: int) -> None:
    if libc.setns(namespace, _CLONE_NEWNET) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"a network namespace cannot be entered: {os.strerror(number)}")


def _link(*, index: int = 0, flags: int = 0) -> bytes:
    return struct.pack("BxHiII", socket.AF_UNSPEC, 0, index, flags, flags)


def _name(name: str) -> bytes:
    return _attribute(_IFLA_IFNAME, name.encode() + b"\0")


def _attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("HH", 4 + len(value), kind) + value + b"\0" * (-len(value) % 4)
