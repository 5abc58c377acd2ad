"""A conversation with the kernel's route netlink: requests that are confirmed, and dumps.

Encoded by hand. Attaching a task takes a dozen messages on its way to starting, and a network of a
thousand tasks two thousand; libraries that build an object for each, or mirror the kernel's state
first, take longer for it than the kernel does. Requests are values; many are sent at once.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from ipaddress import ip_address
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

from swarmd.network.kernel import netns

ADDRESSES_REMEMBERED = 8192

REQUEST, ACK, DUMP = 0x1, 0x4, 0x300
REPLACE, EXCL, CREATE, APPEND = 0x100, 0x200, 0x400, 0x800

_ERROR, _DONE = 2, 3
_F_CAPPED, _F_TLVS = 0x100, 0x200
_SOL_NETLINK, _CAP_ACK, _EXT_ACK = 270, 10, 11
_MESSAGE_TEXT = 1
_HEADER = struct.Struct("=IHHII")
_ATTRIBUTE = struct.Struct("=HH")
_TYPE_MASK = 0x3FFF
_ANSWER_BYTES_MAX = 256 * 1024
# Each is confirmed; so many confirmations fit the socket's buffer wherever it has its default size.
_AT_ONCE_MAX = 64

Attributes = Mapping[int, bytes]


class Request(NamedTuple):
    """One message. `fine` are the errors that mean that things are as they should be already."""

    kind: int
    flags: int
    body: bytes
    about: str
    fine: tuple[int, ...] = ()


class Netlink:
    """The route netlink of one network namespace. Every method blocks, and may raise OSError."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._sequence = 0
        for option in (_CAP_ACK, _EXT_ACK):
            sock.setsockopt(_SOL_NETLINK, option, 1)

    def __enter__(self) -> Netlink:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._socket.close()

    def fileno(self) -> int:
        return self._socket.fileno()

    def do(self, *requests: Request) -> None:
        """Carry out requests in order, in batches.

        Raises:
            OSError: the first that failed, with what it was about. Others of its batch, also later
                ones, have been carried out.
        """
        failures = self.attempt(requests)
        if failures:
            raise failures[0]

    def attempt(self, requests: Iterable[Request]) -> list[OSError]:
        """Carry out as many requests as can be, in order; what became of the others."""
        failures: list[OSError] = []
        waiting = list(requests)
        for first in range(0, len(waiting), _AT_ONCE_MAX):
            failures += self._batch(waiting[first : first + _AT_ONCE_MAX])
        return failures

    def dump(self, kind: int, body: bytes) -> Iterator[bytes]:
        """Everything of one kind that there is, each without its netlink header."""
        self._sequence += 1
        self._socket.send(_message(kind, REQUEST | DUMP, self._sequence, body))
        while True:
            for answered, sequence, payload in self._receive():
                if sequence != self._sequence:
                    continue
                if answered == _DONE:
                    return
                if answered == _ERROR:
                    number = -struct.unpack_from("=i", payload)[0]
                    raise OSError(number, os.strerror(number))
                yield payload

    def ask(self, kind: int, body: bytes) -> bytes:
        """The one thing that a request is about, without its netlink header.

        Raises:
            OSError: there is no such thing.
        """
        self._sequence += 1
        self._socket.send(_message(kind, REQUEST, self._sequence, body))
        while True:
            for answered, sequence, payload in self._receive():
                if sequence != self._sequence:
                    continue
                if answered == _ERROR:
                    number = -struct.unpack_from("=i", payload)[0]
                    raise OSError(number, os.strerror(number))
                return payload

    def _batch(self, requests: list[Request]) -> list[OSError]:
        first = self._sequence + 1
        self._sequence += len(requests)
        self._socket.send(
            b"".join(
                _message(request.kind, REQUEST | ACK | request.flags, number, request.body)
                for number, request in enumerate(requests, first)
            )
        )
        failures: list[OSError] = []
        left = len(requests)
        while left:
            for answered, sequence, payload in self._receive():
                if answered != _ERROR or sequence < first:
                    continue
                left -= 1
                request = requests[sequence - first]
                number = -struct.unpack_from("=i", payload)[0]
                if number and number not in request.fine:
                    failures.append(OSError(number, _reason(number, payload), request.about))
        return failures

    def _receive(self) -> Iterator[tuple[int, int, bytes]]:
        data = self._socket.recv(_ANSWER_BYTES_MAX)
        offset = 0
        while offset + _HEADER.size <= len(data):
            length, kind, _, sequence, _ = _HEADER.unpack_from(data, offset)
            yield kind, sequence, data[offset + _HEADER.size : offset + length]
            offset += (length + 3) & ~3


def open_netlink(path: Path | None = None) -> Netlink:
    """Netlink of the namespace at `path`; without, of the one this process lives in."""
    return Netlink(netns.inside(path, _socket))


def attribute(kind: int, value: bytes) -> bytes:
    return _ATTRIBUTE.pack(4 + len(value), kind) + value + b"\0" * (-len(value) % 4)


def number(kind: int, value: int) -> bytes:
    """An attribute of 32 bits in the machine's order."""
    return attribute(kind, struct.pack("=I", value))


def attributes(data: bytes, offset: int = 0) -> dict[int, bytes]:
    """The attributes of a message, by their kind."""
    found = {}
    while offset + 4 <= len(data):
        length, kind = _ATTRIBUTE.unpack_from(data, offset)
        if length < _ATTRIBUTE.size:
            break
        found[kind & _TYPE_MASK] = data[offset + 4 : offset + length]
        offset += (length + 3) & ~3
    return found


@lru_cache(maxsize=ADDRESSES_REMEMBERED)  # what there is is looked at again with every change
def address_text(packed: bytes) -> str:
    """An address of either family, as the kernel tells it, as text."""
    return str(ip_address(packed))


def _socket() -> socket.socket:
    sock = socket.socket(
        socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE
    )
    sock.bind((0, 0))
    return sock


def _message(kind: int, flags: int, sequence: int, body: bytes) -> bytes:
    length = _HEADER.size + len(body)
    return _HEADER.pack(length, kind, flags, sequence, 0) + body + b"\0" * (-len(body) % 4)


def _reason(number: int, payload: bytes) -> str:
    """The kernel's own words, where it has any, besides the name of the error."""
    known = os.strerror(number) if number in errno.errorcode else f"error {number}"
    # Behind the number comes the header of the failed request, and then what is to be said of it.
    said = attributes(payload, 4 + _HEADER.size).get(_MESSAGE_TEXT, b"")
    text = said.rstrip(b"\0").decode(errors="replace")
    return f"{known} ({text})" if text else known
