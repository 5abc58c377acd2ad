"""The kernel's WireGuard: identities and peers of its interfaces, by generic netlink.

Interfaces themselves are made and removed as all others are (`links`). Each peer has one address:
it may send from it, and is sent to at it.
"""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Iterable, Iterator
from ipaddress import ip_address
from pathlib import Path

from msgspec import Struct

from swarmd.model.instant import SECOND
from swarmd.network.kernel import links, netns
from swarmd.network.kernel.netlink import (
    Netlink,
    Request,
    attribute,
    attributes,
    number,
    open_netlink,
)

KIND = "wireguard"
# Also keeps sessions up that nothing passes by, so that packets never wait for one to be made.
KEEPALIVE_S = 25
IPV4 = 4

_NETLINK_GENERIC = 16
_CONTROL, _GET_FAMILY, _FAMILY_ID, _FAMILY_NAME = 0x10, 3, 1, 2
_GET_DEVICE, _SET_DEVICE = 0, 1
_NAME, _PRIVATE_KEY, _PUBLIC_KEY, _FLAGS, _PORT, _PEERS = 2, 3, 4, 5, 6, 8
_REPLACE_PEERS = 1
_PEER_KEY, _PEER_SHARED, _PEER_FLAGS, _PEER_ENDPOINT, _PEER_KEEPALIVE = 1, 2, 3, 4, 5
_PEER_MET, _PEER_ALLOWED = 6, 9
_REMOVE, _REPLACE_ALLOWED = 1, 2
_ALLOWED_FAMILY, _ALLOWED_ADDRESS, _ALLOWED_LENGTH = 1, 2, 3
_NESTED = 0x8000
_PEERS_AT_ONCE = 128  # an attribute has less than 64 KiB
_PROBE = "swwg-probe"


class Peer(Struct, frozen=True, order=True):
    """A peer as the kernel has it."""

    public_key: bytes
    address: str  # all that it may send from; empty when that isn't one address
    endpoint: str
    port: int
    shared: bytes

    def __repr__(self) -> str:
        return f"Peer({self.public_key.hex()[:8]} at {self.endpoint}:{self.port}, secret hidden)"


class Device(Struct, frozen=True):
    """An interface as the kernel has it."""

    public_key: bytes = b""  # empty: it has no identity yet
    port: int = 0
    peers: frozenset[Peer] = frozenset()


class WireguardNetlink:
    """A conversation on the interfaces of one namespace. Every method may raise OSError."""

    def __init__(self, netlink: Netlink) -> None:
        self._netlink = netlink
        question = _header(_GET_FAMILY) + attribute(_FAMILY_NAME, b"wireguard\0")
        known = attributes(netlink.ask(_CONTROL, question), 4)
        (self._family,) = struct.unpack_from("=H", known[_FAMILY_ID])

    def __enter__(self) -> WireguardNetlink:
        return self

    def __exit__(self, *_: object) -> None:
        self._netlink.__exit__(None, None, None)

    def device(self, name: str) -> Device:
        """What an interface is set to."""
        public, port, peers = b"", 0, set()
        question = _header(_GET_DEVICE) + _named(name)
        for payload in self._netlink.dump(self._family, question):
            known = attributes(payload, 4)
            public = known.get(_PUBLIC_KEY, public)
            if _PORT in known:
                (port,) = struct.unpack("=H", known[_PORT])
            for one in _listed(known.get(_PEERS, b"")):
                peers.add(_peer(attributes(one)))
        return Device(public, port, frozenset(peers))

    def met(self, name: str) -> dict[tuple[str, int], int]:
        """When an interface has last met the other end of each session, in nanoseconds since the
        epoch (0: never), by its address and port."""
        found: dict[tuple[str, int], int] = {}
        question = _header(_GET_DEVICE) + _named(name)
        for payload in self._netlink.dump(self._family, question):
            for one in _listed(attributes(payload, 4).get(_PEERS, b"")):
                known = attributes(one)
                seconds, rest_ns = struct.unpack("=qq", known.get(_PEER_MET, bytes(16)))
                found[_endpoint(known.get(_PEER_ENDPOINT, b""))] = seconds * SECOND + rest_ns
        return found

    def identify(self, name: str, *, private_key: bytes, port: int) -> None:
        """Give an interface another identity; its peers are gone then."""
        body = (
            attribute(_PRIVATE_KEY, private_key)
            + number(_FLAGS, _REPLACE_PEERS)
            + attribute(_PORT, struct.pack("=H", port))
        )
        self._netlink.do(self._change(name, body))

    def change_peers(self, name: str, *, put: Iterable[Peer], remove: Iterable[bytes]) -> None:
        """Have these peers, and not those with these keys any more; others stay as they are."""
        wanted = [_gone(key) for key in remove] + [_put(peer) for peer in put]
        self._netlink.do(
            *(
                self._change(name, attribute(_PEERS | _NESTED, _list(some)))
                for some in _some(wanted, _PEERS_AT_ONCE)
            )
        )

    def _change(self, name: str, body: bytes) -> Request:
        head = _header(_SET_DEVICE) + _named(name)
        return Request(self._family, 0, head + body, f"WireGuard interface {name}")


def open_wireguard(path: Path | None = None) -> WireguardNetlink:
    """The WireGuard netlink of a namespace. Raises: OSError, where the kernel has none."""
    return WireguardNetlink(netns.inside(path, _open))


def missing(path: Path | None = None) -> str:
    """Why the kernel has no WireGuard; empty when it has, as was tried out."""
    try:
        with open_netlink(path) as netlink:
            netlink.do(links.plain(_PROBE, KIND))
            netlink.do(links.delete(_PROBE))
        with open_wireguard(path):
            return ""
    except OSError as error:
        if error.errno == errno.EPERM:
            return f"WireGuard can't be used ({error.strerror})"
        return f"the kernel has no WireGuard ({error.strerror or error})"


def _open() -> Netlink:
    sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETLINK_GENERIC)
    sock.bind((0, 0))
    return Netlink(sock)


def _header(command: int) -> bytes:
    return struct.pack("=BBH", command, 1, 0)


def _named(name: str) -> bytes:
    return attribute(_NAME, name.encode() + b"\0")


def _put(peer: Peer) -> bytes:
    endpoint, allowed = ip_address(peer.endpoint), ip_address(peer.address)
    if endpoint.version == IPV4:
        where = struct.pack("=HH4s8x", socket.AF_INET, socket.htons(peer.port), endpoint.packed)
    else:
        where = struct.pack(
            "=HHI16sI", socket.AF_INET6, socket.htons(peer.port), 0, endpoint.packed, 0
        )
    family = socket.AF_INET if allowed.version == IPV4 else socket.AF_INET6
    address = (
        attribute(_ALLOWED_FAMILY, struct.pack("=H", family))
        + attribute(_ALLOWED_ADDRESS, allowed.packed)
        + attribute(_ALLOWED_LENGTH, bytes((allowed.max_prefixlen,)))
    )
    return (
        attribute(_PEER_KEY, peer.public_key)
        + attribute(_PEER_SHARED, peer.shared)
        + number(_PEER_FLAGS, _REPLACE_ALLOWED)
        + attribute(_PEER_ENDPOINT, where)
        + attribute(_PEER_KEEPALIVE, struct.pack("=H", KEEPALIVE_S))
        + attribute(_PEER_ALLOWED | _NESTED, _list([address]))
    )


def _gone(public_key: bytes) -> bytes:
    return attribute(_PEER_KEY, public_key) + number(_PEER_FLAGS, _REMOVE)


def _peer(known: dict[int, bytes]) -> Peer:
    endpoint, port = _endpoint(known.get(_PEER_ENDPOINT, b""))
    allowed = [attributes(one) for one in _listed(known.get(_PEER_ALLOWED, b""))]
    addresses = [
        str(ip_address(one[_ALLOWED_ADDRESS]))
        for one in allowed
        if one[_ALLOWED_LENGTH][0] == 8 * len(one[_ALLOWED_ADDRESS])
    ]
    return Peer(
        public_key=known[_PEER_KEY],
        address=addresses[0] if len(addresses) == len(allowed) == 1 else "",
        endpoint=endpoint,
        port=port,
        shared=known.get(_PEER_SHARED, b""),
    )


def _endpoint(where: bytes) -> tuple[str, int]:
    if not where:
        return "", 0
    family, port = struct.unpack_from("=HH", where)
    packed = where[4:8] if family == socket.AF_INET else where[8:24]
    return str(ip_address(packed)), socket.ntohs(port)


def _list(values: Iterable[bytes]) -> bytes:
    return b"".join(attribute(_NESTED, value) for value in values)


def _listed(data: bytes) -> Iterator[bytes]:
    """The values of a list, whose attributes all have one number."""
    offset = 0
    while offset + 4 <= len(data):
        (length,) = struct.unpack_from("=H", data, offset)
        if length < 4:
            return
        yield data[offset + 4 : offset + length]
        offset += (length + 3) & ~3


def _some(values: list[bytes], size: int) -> Iterator[list[bytes]]:
    return (values[first : first + size] for first in range(0, len(values), size))
