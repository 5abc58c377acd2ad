"""The TCP connections of a network namespace, and for how long nothing has moved on each.

The kernel's socket diagnosis tells it, where its files tell of addresses and states alone. Nothing
is sampled twice: each socket remembers when data last came and went.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterator
from ipaddress import IPv6Address, ip_address
from typing import NamedTuple

from swarmd.model.instant import MILLISECOND

_NETLINK_SOCK_DIAG = 4
_BY_FAMILY = 20
_REQUEST_DUMP = 0x301
_ERROR, _DONE = 2, 3
_ESTABLISHED, _SYN_RECEIVED, _SYN_RECEIVED_NEW = 1, 3, 12
_STATES = 1 << _ESTABLISHED | 1 << _SYN_RECEIVED | 1 << _SYN_RECEIVED_NEW
_INFO = 2
_HEADER = struct.Struct("=IHHII")
_QUESTION = struct.Struct("=BBBxI48x")
_ANSWER = struct.Struct("=BBBB2s2s16s16s12xIII8x")  # up to the queues, user and inode left out
_ATTRIBUTE = struct.Struct("=HH")
# Of what TCP tells: data sent, data received, data of ours confirmed; milliseconds ago.
_LAST = struct.Struct("=44xI4xII")
_BUFFER_BYTES = 256 * 1024


class Stream(NamedTuple):
    """A connection that is established, or about to be.

    `idle_ns`: for how long nobody has said anything, on a connection on which this end has said
    the last word and nothing is under way: a client that has got its answer and asks nothing.
    0: somebody is waiting for the other, or it isn't known.
    """

    port: int  # of this end
    internal: bool  # the other end is on the loopback interface
    idle_ns: int = 0


def streams() -> tuple[Stream, ...]:
    """Those of the namespace this thread is in. Blocks.

    Raises:
        OSError: the kernel tells nothing.
    """
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_SOCK_DIAG) as sock:
        sock.settimeout(5)
        return tuple(
            found for family in (socket.AF_INET, socket.AF_INET6) for found in _dump(sock, family)
        )


def _dump(sock: socket.socket, family: socket.AddressFamily) -> Iterator[Stream]:
    question = _QUESTION.pack(family, socket.IPPROTO_TCP, 1 << (_INFO - 1), _STATES)
    sock.send(
        _HEADER.pack(_HEADER.size + len(question), _BY_FAMILY, _REQUEST_DUMP, 1, 0) + question
    )
    while True:
        answer = memoryview(sock.recv(_BUFFER_BYTES))
        while answer:
            length, kind, _, _, _ = _HEADER.unpack_from(answer)
            body = answer[_HEADER.size : length]
            if kind == _DONE:
                return
            if kind == _ERROR:
                code = -struct.unpack_from("=i", body)[0]
                raise OSError(code, f"the kernel tells of no connections: {os.strerror(code)}")
            yield _stream(body)
            answer = answer[(length + 3) & ~3 :]


def _stream(body: memoryview) -> Stream:
    family, _, _, _, port, _, _, remote, _, unread, unsent = _ANSWER.unpack_from(body)
    return Stream(
        port=int.from_bytes(port, "big"),
        internal=_is_loopback(remote if family == socket.AF_INET6 else remote[:4]),
        idle_ns=0 if unread or unsent else _idle_ns(body[_ANSWER.size :]),
    )


def _idle_ns(attributes: memoryview) -> int:
    while len(attributes) >= _ATTRIBUTE.size:
        length, kind = _ATTRIBUTE.unpack_from(attributes)
        if kind == _INFO:
            sent_ms, received_ms, confirmed_ms = _LAST.unpack_from(attributes, _ATTRIBUTE.size)
            # Whoever was asked later than it last answered is still at work. The kernel's clock
            # may be too coarse to tell; a confirmation that came by itself was no next question.
            is_last = sent_ms < received_ms or confirmed_ms < sent_ms == received_ms
            return int(sent_ms) * MILLISECOND if is_last else 0
        attributes = attributes[(length + 3) & ~3 :]
    return 0


def _is_loopback(packed: bytes) -> bool:
    address = ip_address(packed)
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped.is_loopback
    return address.is_loopback
