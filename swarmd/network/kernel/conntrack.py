"""Connection tracking: having the kernel forget the connections that lead to a task.

Each connection bears the mark of its target, by which the kernel picks out those that are meant.
What is sent on a forgotten connection is looked at anew: TCP clients are reset or led elsewhere
within milliseconds instead of hanging, UDP clients reach another task. Call these functions by
`netns.inside`.

They are listed first and then deleted one by one. The kernel would delete all that bear a mark in
one go, but by one walk at a time on the whole machine, which the end of each namespace takes too:
where many namespaces end, as with every task, such a request waits for tens of seconds. A list
waits for nobody. It costs some 140 ns for each connection of the machine, where the namespace
tracks anything at all.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Collection, Iterator, Set
from ipaddress import ip_address
from pathlib import Path

_NETFILTER = 12
_GET, _DELETE = 1 << 8 | 1, 1 << 8 | 2
_REQUEST, _ACK, _DUMP = 0x1, 0x4, 0x300
_ERROR, _DONE = 2, 3
_HEADER = struct.Struct("=LHHLLBBH")
_CODE = struct.Struct("=i")
_ATTRIBUTE = struct.Struct("=HH")
_TUPLE_ORIGIN, _TUPLE_REPLY, _PROTOCOL_STATE, _MARK, _ID, _ZONE = 1, 2, 4, 8, 12, 18
_MARK_MASK, _FILTER = 21, 25
_TUPLE_IP = 1
_FAMILIES = {4: (socket.AF_INET, 1), 6: (socket.AF_INET6, 3)}  # and what a source is called
_TUPLE_PROTOCOL, _PROTOCOL_NUMBER = 2, 1
_ORIGIN_FLAGS, _REPLY_FLAGS = 1, 2
_BY_SOURCE, _BY_PROTOCOL = 1 << 0, 1 << 3
_NAMES_ONE = (_TUPLE_ORIGIN, _ID, _ZONE)
_TCP, _TCP_STATE = 1, 1
# Nothing is sent any more on a connection in TIME_WAIT, and the kernel begins anew where a client
# uses its port again. One that was reset, in CLOSE, it would lead to where it led before.
_TIME_WAIT = 7
_KIND = 0x3FFF
_NESTED = 0x8000
_AT_ONCE = 50  # confirmations of so many fit the socket's buffer
_ANSWER_BYTES = 256 * 1024
_COUNT = Path("/proc/sys/net/netfilter/nf_conntrack_count")


def flush(mark: int) -> None:
    """Forget every connection with this mark.

    Raises:
        OSError: the kernel refuses.
    """
    _forget(socket.AF_UNSPEC, _marked(mark))


def flush_udp(marks: Collection[int], family: socket.AddressFamily) -> None:
    """Forget the UDP sessions with one of these marks; other connections go on.

    All in one walk: where there are several the kernel lists the sessions of the namespace.

    Raises:
        OSError: the kernel refuses; before Linux 5.8 it knows no such request.
    """
    protocol = _attribute(_PROTOCOL_NUMBER, bytes([socket.IPPROTO_UDP]))
    origin = _attribute(_TUPLE_ORIGIN | _NESTED, _attribute(_TUPLE_PROTOCOL | _NESTED, protocol))
    which = origin + _by(origin=_BY_PROTOCOL)
    if len(marks) == 1:
        which += b"".join(map(_marked, marks))
    _forget(family, which, marks=frozenset(struct.pack("!L", mark) for mark in marks))


def flush_answered_by(address: str) -> None:
    """Forget every connection that has been led to this address: answers come from there.

    What was begun towards it and led on to another one is let be.

    Raises:
        OSError: the kernel refuses; before Linux 5.8 it knows no such request.
    """
    known = ip_address(address)
    family, kind = _FAMILIES[known.version]
    source = _attribute(_TUPLE_IP | _NESTED, _attribute(kind, known.packed))
    _forget(family, _attribute(_TUPLE_REPLY | _NESTED, source) + _by(replies=_BY_SOURCE))


def _forget(family: int, which: bytes, *, marks: Set[bytes] = frozenset()) -> None:
    if _COUNT.read_text() == "0\n":
        return
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETFILTER) as sock:
        sock.settimeout(5)
        for some in _portions(list(_listed(sock, family, which, marks))):
            sock.send(b"".join(some))
            missing = len(some)
            while missing:
                for kind, _, body in _messages(sock.recv(_ANSWER_BYTES)):
                    if kind == _ERROR:
                        missing -= 1
                        _check(body, fine=(errno.ENOENT,))


def _listed(sock: socket.socket, family: int, which: bytes, marks: Set[bytes]) -> Iterator[bytes]:
    """The requests to delete what fits and bears one of the marks; any, where there are none."""
    sock.send(_message(_GET, _REQUEST | _DUMP, family, which))
    while True:
        for kind, its_family, body in _messages(sock.recv(_ANSWER_BYTES)):
            if kind == _DONE:
                return
            if kind == _ERROR:
                _check(body)
            attributes = {one & _KIND: (one, value) for one, value in _attributes(body)}
            if marks and attributes.get(_MARK, (0, b""))[1] not in marks:
                continue
            if not _is_over(attributes.get(_PROTOCOL_STATE, (0, b""))[1]):
                name = (attributes[one] for one in _NAMES_ONE if one in attributes)
                named = b"".join(_attribute(one, value) for one, value in name)
                yield _message(_DELETE, _REQUEST | _ACK, its_family, named)


def _portions(requests: list[bytes]) -> Iterator[list[bytes]]:
    for begin in range(0, len(requests), _AT_ONCE):
        yield requests[begin : begin + _AT_ONCE]


def _is_over(state: bytes) -> bool:
    return any(
        kind & _KIND == _TCP_STATE and value[0] == _TIME_WAIT
        for protocol, inner in _attributes(state)
        if protocol & _KIND == _TCP
        for kind, value in _attributes(inner)
    )


def _marked(mark: int) -> bytes:
    return _attribute(_MARK, struct.pack("!L", mark)) + _attribute(
        _MARK_MASK, struct.pack("!L", 0xFFFF_FFFF)
    )


def _by(*, origin: int = 0, replies: int = 0) -> bytes:
    """Which parts of either tuple count."""
    flags = _attribute(_ORIGIN_FLAGS, struct.pack("=L", origin))
    flags += _attribute(_REPLY_FLAGS, struct.pack("=L", replies))
    return _attribute(_FILTER | _NESTED, flags)


def _message(kind: int, flags: int, family: int, attributes: bytes) -> bytes:
    length = _HEADER.size + len(attributes)
    return _HEADER.pack(length, kind, flags, 1, 0, family, 0, 0) + attributes


def _attribute(kind: int, value: bytes) -> bytes:
    padding = bytes(-len(value) % 4)
    return _ATTRIBUTE.pack(4 + len(value), kind) + value + padding


def _attributes(body: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at + _ATTRIBUTE.size <= len(body):
        length, kind = _ATTRIBUTE.unpack_from(body, at)
        yield kind, body[at + _ATTRIBUTE.size : at + length]
        at += (length + 3) & ~3


def _messages(answer: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Kind, family and body of each; an error's body begins with its code."""
    at = 0
    while at < len(answer):
        length, kind, _, _, _, family, _, _ = _HEADER.unpack_from(answer, at)
        if kind in (_ERROR, _DONE):
            yield kind, 0, answer[at + _HEADER.size - 4 : at + length]
        else:
            yield kind, family, answer[at + _HEADER.size : at + length]
        at += (length + 3) & ~3


def _check(body: bytes, *, fine: tuple[int, ...] = ()) -> None:
    code = -_CODE.unpack_from(body)[0]
    if code and code not in fine:
        raise OSError(code, f"the kernel forgets no connections: {os.strerror(code)}")
