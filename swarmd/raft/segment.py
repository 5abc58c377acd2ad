"""One file of the write-ahead log: a header, then encrypted blocks up to a tail of zeros.

    header   magic, format, number, data key id, salt, checksum            64 bytes
    block    marker, length, checksum of what follows, nonce, ciphertext    32 bytes + n

The key is derived from the data key and the header's random salt, so a nonce never meets the
same key twice in two files. The associated data of a block are its file number and offset: a
block cannot be moved. Blocks are written one at a time, each synced before the next, which is
what makes a torn write recognisable: it is the last thing in the last file.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterator

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from swarmd.raft.errors import Damaged
from swarmd.raft.keys import KeyRing
from swarmd.raft.ports import DiskFile

HEADER_BYTES = 64
_HEADER = struct.Struct("<8sIQI16s")
_MAGIC = b"SWRDLOG\0"
_FORMAT = 1
_BLOCK = struct.Struct("<4sII12s")
BLOCK_OVERHEAD = _BLOCK.size + 16
_READ = 1 << 20


class Segment(msgspec.Struct, frozen=True):
    """What a file's header says, with the keys to its blocks."""

    number: int
    key_id: int
    marker: bytes
    cipher: AESGCM

    def seal(self, offset: int, payload: bytes) -> bytes:
        """The bytes of the block that holds `payload` at `offset`."""
        nonce = os.urandom(12)
        aad = struct.pack("<QQ", self.number, offset)
        ciphertext = self.cipher.encrypt(nonce, payload, aad)
        checksum = zlib.crc32(ciphertext, zlib.crc32(nonce))
        return _BLOCK.pack(self.marker, len(ciphertext), checksum, nonce) + ciphertext

    def block_at(self, data: bytes | memoryview, offset: int) -> int | None:
        """The length of the whole block at `offset`, or None when no valid one starts there."""
        if offset + _BLOCK.size > len(data):
            return None
        marker, length, checksum, nonce = _BLOCK.unpack_from(data, offset)
        end = offset + _BLOCK.size + length
        if marker != self.marker or length < 16 or end > len(data):
            return None
        if zlib.crc32(data[offset + _BLOCK.size : end], zlib.crc32(nonce)) != checksum:
            return None
        return _BLOCK.size + int(length)

    def open_block(self, data: bytes | memoryview, offset: int, length: int) -> bytes:
        """The payload of the valid block at `offset`.

        Raises:
            Damaged: the block is not the one written at this place.
        """
        nonce = bytes(data[offset + _BLOCK.size - 12 : offset + _BLOCK.size])
        ciphertext = data[offset + _BLOCK.size : offset + length]
        aad = struct.pack("<QQ", self.number, offset)
        try:
            return self.cipher.decrypt(nonce, bytes(ciphertext), aad)
        except InvalidTag:
            raise Damaged(
                f"journal file {self.number} holds a block at {offset} that was not written there"
            ) from None


def new_segment(number: int, keys: KeyRing) -> tuple[Segment, bytes]:
    """A segment for a fresh file, and the header to write at its start."""
    salt = os.urandom(16)
    body = _HEADER.pack(_MAGIC, _FORMAT, number, keys.current_id, salt)
    body += bytes(HEADER_BYTES - 4 - len(body))
    header = body + struct.pack("<I", zlib.crc32(body))
    return _segment(number, keys.current_id, salt, keys), header


def read_header(number: int, header: bytes, keys: KeyRing) -> Segment:
    """The segment whose file starts with `header`.

    Raises:
        Damaged: these are not the first bytes of journal file `number`.
    """
    if len(header) < HEADER_BYTES:
        raise Damaged(f"journal file {number} is too short to have a header")
    (checksum,) = struct.unpack_from("<I", header, HEADER_BYTES - 4)
    magic, form, stored, key_id, salt = _HEADER.unpack_from(header)
    if magic != _MAGIC or zlib.crc32(header[: HEADER_BYTES - 4]) != checksum:
        raise Damaged(f"journal file {number} has a damaged header")
    if form != _FORMAT:
        raise Damaged(f"journal file {number} has format {form}; this version reads {_FORMAT}")
    if stored != number:
        raise Damaged(f"journal file {number} carries the header of file {stored}")
    return _segment(number, key_id, salt, keys)


def _segment(number: int, key_id: int, salt: bytes, keys: KeyRing) -> Segment:
    key = keys.key(key_id, salt, b"log")
    marker = bytes(b | 1 for b in salt[:4])
    return Segment(number, key_id, marker, AESGCM(key))


class Scan(msgspec.Struct):
    """What reading a segment found: payloads, the end of the valid part, and the rest's nature."""

    payloads: list[bytes]
    end: int
    tail_is_zero: bool


def scan(segment: Segment, file: DiskFile) -> Scan:
    """Read all blocks of a file up to the first invalid one.

    Raises:
        Damaged: a valid block follows an invalid one, so the gap is no torn write.
    """
    data = file.read(0, file.size())
    payloads, offset = [], HEADER_BYTES
    while (length := segment.block_at(data, offset)) is not None:
        payloads.append(segment.open_block(data, offset, length))
        offset += length
    tail_is_zero = not any(
        data[i : i + _READ].strip(b"\0") for i in range(offset, len(data), _READ)
    )
    if not tail_is_zero:
        for position in _occurrences(data, segment.marker, offset):
            if segment.block_at(data, position) is not None and position > offset:
                raise Damaged(
                    f"journal file {segment.number} is damaged at byte {offset}: "
                    f"intact data follows at byte {position}"
                )
    return Scan(payloads, offset, tail_is_zero)


def _occurrences(data: bytes, needle: bytes, start: int) -> Iterator[int]:
    position = data.find(needle, start)
    while position >= 0:
        yield position
        position = data.find(needle, position + 1)
