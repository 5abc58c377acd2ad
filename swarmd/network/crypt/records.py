"""What goes over a stream of a tunnel: packets, many to a record, each record sealed as one.

    record   length (4 bytes) │ AES-GCM of: { length (2 bytes) │ packet } …

A key is for one direction of one stream, and records are counted, so none can be repeated, left out
or put elsewhere. The first record from the end that opened the stream is empty: until it comes, the
other end says nothing. A packet of no length means that no more packets come.
"""

from __future__ import annotations

from collections.abc import Iterator

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_BYTES = 16
PLAIN_BYTES_MAX = 256 * 1024
LENGTH_BYTES = 2
PACKET_BYTES_MAX = 2**16 - 1
NO_MORE = bytes(LENGTH_BYTES)
_HEAD_BYTES, _TAG_BYTES, _NONCE_BYTES = 4, 16, 12
_SEALED_BYTES_MAX = PLAIN_BYTES_MAX + _TAG_BYTES
_BUFFER_BYTES = 2 * (_SEALED_BYTES_MAX + _HEAD_BYTES)


class Broken(Exception):
    """What came is not what the other end has sealed; the stream is of no more use."""


class Sealer:
    """The sending end of one direction."""

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(key)
        self._count = 0

    def seal(self, plain: bytes | memoryview) -> tuple[bytes, bytes]:
        """A record: its head, and the rest of it."""
        assert len(plain) <= PLAIN_BYTES_MAX
        sealed = self._cipher.encrypt(self._count.to_bytes(_NONCE_BYTES, "big"), plain, None)
        self._count += 1
        return len(sealed).to_bytes(_HEAD_BYTES, "big"), sealed


class Opener:
    """The receiving end of one direction.

    What comes is received into `space`; `received` says how much of it, and gives what records
    hold that are whole by now.
    """

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(key)
        self._count = 0
        self._buffer = memoryview(bytearray(_BUFFER_BYTES))
        self._end = 0

    @property
    def space(self) -> memoryview:
        return self._buffer[self._end :]

    def received(self, count: int) -> list[bytes]:
        """Raises: Broken."""
        opened = []
        start, self._end = 0, self._end + count
        while self._end - start >= _HEAD_BYTES:
            body = start + _HEAD_BYTES
            length = int.from_bytes(self._buffer[start:body], "big")
            if not _TAG_BYTES <= length <= _SEALED_BYTES_MAX:
                raise Broken(f"a record of {length} bytes")
            if self._end - body < length:
                break
            opened.append(self._open(self._buffer[body : body + length]))
            start = body + length
        left = self._end - start
        if start and left:
            self._buffer[:left] = self._buffer[start : self._end]
        self._end = left
        return opened

    def _open(self, sealed: memoryview) -> bytes:
        try:
            plain = self._cipher.decrypt(self._count.to_bytes(_NONCE_BYTES, "big"), sealed, None)
        except InvalidTag:
            raise Broken("a record that somebody has tampered with") from None
        self._count += 1
        return plain


def packets_of(plain: bytes) -> Iterator[memoryview]:
    """The packets of a record; an empty one where no more come. Raises: Broken."""
    view = memoryview(plain)
    at, end = 0, len(plain)
    while at < end:
        after = at + LENGTH_BYTES
        length = int.from_bytes(view[at:after], "big")
        at = after + length
        if at > end:
            raise Broken("a record that ends within a packet")
        yield view[after:at]
