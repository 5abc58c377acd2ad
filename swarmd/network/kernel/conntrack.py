"""Connection tracking: having the kernel forget the connections that lead to a task.

Each connection bears the mark of its target, so one message to the kernel is all it takes, however
many connections there are. What is sent on a forgotten connection is looked at anew: TCP clients
are reset or led elsewhere within milliseconds instead of hanging, UDP clients reach another task.
Call these functions by `netns.inside`.

Where a namespace tracks anything, the kernel walks through all that the machine tracks: some 140 ns
for each connection, and by one walk at a time.
"""

from __future__ import annotations

import os
import socket
import struct
from ipaddress import IPv4Address

_NETFILTER = 12
_DELETE = (1 << 8) | 2
_REQUEST, _ACK = 1, 4
_HEADER = struct.Struct("=LHHLLBBH")
_ERROR = struct.Struct("=16xi")
_TUPLE_ORIGIN, _MARK, _MARK_MASK, _FILTER = 1, 8, 21, 25
_TUPLE_PROTOCOL, _PROTOCOL_NUMBER = 2, 1
_ORIGIN_FLAGS, _REPLY_FLAGS = 1, 2
_TUPLE_IP, _IP_TARGET = 1, 2
_BY_TARGET, _BY_PROTOCOL = 1 << 1, 1 << 3
_NESTED = 0x8000
ANSWER_BYTES = 4096


def flush(mark: int) -> None:
    """Forget every connection with this mark.

    Raises:
        OSError: the kernel refuses.
    """
    _delete(socket.AF_UNSPEC, _marked(mark))


def flush_udp(mark: int, family: socket.AddressFamily) -> None:
    """Forget the UDP sessions with this mark; other connections go on.

    Raises:
        OSError: the kernel refuses; before Linux 5.8 it knows no such request.
    """
    protocol = _attribute(_PROTOCOL_NUMBER, bytes([socket.IPPROTO_UDP]))
    origin = _attribute(_TUPLE_ORIGIN | _NESTED, _attribute(_TUPLE_PROTOCOL | _NESTED, protocol))
    flags = _attribute(_ORIGIN_FLAGS, struct.pack("=L", _BY_PROTOCOL))
    flags += _attribute(_REPLY_FLAGS, struct.pack("=L", 0))
    by_protocol = origin + _attribute(_FILTER | _NESTED, flags)
    _delete(family, _marked(mark) + by_protocol)


def flush_to(address: str) -> None:
    """Forget every connection that was begun towards this IPv4 address, whatever became of it.

    Raises:
        OSError: the kernel refuses; before Linux 5.8 it knows no such request.
    """
    target = _attribute(_TUPLE_IP | _NESTED, _attribute(_IP_TARGET, IPv4Address(address).packed))
    origin = _attribute(_TUPLE_ORIGIN | _NESTED, target)
    flags = _attribute(_ORIGIN_FLAGS, struct.pack("=L", _BY_TARGET))
    flags += _attribute(_REPLY_FLAGS, struct.pack("=L", 0))
    _delete(socket.AF_INET, origin + _attribute(_FILTER | _NESTED, flags))


def _marked(mark: int) -> bytes:
    return _attribute(_MARK, struct.pack("!L", mark)) + _attribute(
        _MARK_MASK, struct.pack("!L", 0xFFFF_FFFF)
    )


def _attribute(kind: int, value: bytes) -> bytes:
    padding = bytes(-len(value) % 4)
    return struct.pack("=HH", 4 + len(value), kind) + value + padding


def _delete(family: int, attributes: bytes) -> None:
    head = _HEADER.pack(
        _HEADER.size + len(attributes), _DELETE, _REQUEST | _ACK, 1, 0, family, 0, 0
    )
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETFILTER) as sock:
        sock.settimeout(5)
        sock.send(head + attributes)
        (code,) = _ERROR.unpack_from(sock.recv(ANSWER_BYTES))
    if code:
        raise OSError(-code, f"the kernel forgets no connections: {os.strerror(-code)}")
