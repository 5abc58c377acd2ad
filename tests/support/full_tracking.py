"""Filling the table of tracked connections of a namespace, as a flood of clients would.

What is put there counts as connections that are in use: the kernel makes room for new ones by
throwing away others only.
"""

from __future__ import annotations

import itertools
import socket
import struct
from collections.abc import Iterator

_NETFILTER = 12
_NEW, _REQUEST, _CREATE = 1 << 8, 0x1, 0x400
_HEADER = struct.Struct("=LHHLLBBH")
_ATTRIBUTE = struct.Struct("=HH")
_NESTED = 0x8000
_ORIGIN, _REPLY, _STATUS, _TIMEOUT = 1, 2, 3, 7
_IP, _PROTOCOL, _SOURCE, _TARGET = 1, 2, 1, 2
_NUMBER, _SOURCE_PORT, _TARGET_PORT = 1, 2, 3
_IN_USE = 0b1110  # seen answers, assured, confirmed
_LIVES_S = 600
_AT_ONCE = 256
_PORTS = range(1024, 65_536)
CLIENT, SERVER = "198.51.100.1", "198.51.100.2"


def fill(count: int) -> None:
    """Put so many connections into the table of the namespace of this thread.

    Where it gets full the kernel refuses the rest, which is fine.
    """
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETFILTER) as sock:
        messages = itertools.islice(_messages(), count)
        while batch := b"".join(itertools.islice(messages, _AT_ONCE)):
            sock.send(batch)


def _messages() -> Iterator[bytes]:
    for source, target in itertools.product(_PORTS, _PORTS):
        body = (
            _tuple(_ORIGIN, CLIENT, SERVER, source, target)
            + _tuple(_REPLY, SERVER, CLIENT, target, source)
            + _attribute(_STATUS, struct.pack("!L", _IN_USE))
            + _attribute(_TIMEOUT, struct.pack("!L", _LIVES_S))
        )
        length = _HEADER.size + len(body)
        yield _HEADER.pack(length, _NEW, _REQUEST | _CREATE, 1, 0, socket.AF_INET, 0, 0) + body


def _tuple(kind: int, source: str, target: str, source_port: int, target_port: int) -> bytes:
    addresses = _ADDRESSES[source, target]
    protocol = (
        _UDP
        + _attribute(_SOURCE_PORT, struct.pack("!H", source_port))
        + _attribute(_TARGET_PORT, struct.pack("!H", target_port))
    )
    return _attribute(kind | _NESTED, addresses + _attribute(_PROTOCOL | _NESTED, protocol))


def _attribute(kind: int, value: bytes) -> bytes:
    return _ATTRIBUTE.pack(4 + len(value), kind) + value + bytes(-len(value) % 4)


_UDP = _attribute(_NUMBER, bytes([socket.IPPROTO_UDP]))
_ADDRESSES = {
    (source, target): _attribute(
        _IP | _NESTED,
        _attribute(_SOURCE, socket.inet_aton(source))
        + _attribute(_TARGET, socket.inet_aton(target)),
    )
    for source, target in ((CLIENT, SERVER), (SERVER, CLIENT))
}
