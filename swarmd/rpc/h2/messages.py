"""gRPC messages in a stream of bytes: one flag byte, four bytes of length, the message."""

from __future__ import annotations

import struct

from swarmd.rpc.h2.errors import MessageViolation

PREFIX_BYTES = 5
_PREFIX = struct.Struct(">BL")

INTERNAL = 13
RESOURCE_EXHAUSTED = 8
UNIMPLEMENTED = 12


def enclose(message: bytes) -> bytes:
    """The message with its prefix; we never compress."""
    return _PREFIX.pack(0, len(message)) + message


class Assembler:
    """Cuts the bytes of one stream into messages. Memory is bounded by `limit` and one frame."""

    __slots__ = ("_limit", "_missing", "_parts")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._parts: list[bytes] = []
        # Bytes still missing from what `_parts` holds: of the message, or of its prefix.
        self._missing = 0

    @property
    def within_message(self) -> bool:
        """Whether the stream would be cut short if it ended here."""
        return bool(self._parts)

    def feed(self, data: bytes) -> list[bytes]:
        """Messages completed by `data`.

        Raises:
            MessageViolation: a message that is too large or compressed. Nothing that follows on
                the stream can be read.
        """
        if self._parts:
            self._parts.append(data)
            self._missing -= len(data)
            if self._missing > 0:
                return []
            data = b"".join(self._parts)
            self._parts = []
        messages: list[bytes] = []
        at = 0
        end = len(data)
        while at < end:
            if end - at < PREFIX_BYTES:
                self._missing = PREFIX_BYTES - (end - at)
                self._parts = [data[at:]]
                break
            flag, length = _PREFIX.unpack_from(data, at)
            if flag:
                raise MessageViolation(UNIMPLEMENTED, "compressed messages are not supported")
            if length > self._limit:
                raise MessageViolation(
                    RESOURCE_EXHAUSTED,
                    f"a message of {length} bytes is larger than the {self._limit} bytes accepted",
                )
            after = at + PREFIX_BYTES + length
            if after > end:
                self._missing = after - end
                self._parts = [data[at:]]
                break
            messages.append(data[at + PREFIX_BYTES : after])
            at = after
        return messages
