"""Putting header blocks together from HEADERS and CONTINUATION frames."""

from __future__ import annotations

from swarmd.rpc.h2 import frames
from swarmd.rpc.h2.errors import ConnectionViolation, ErrorCode
from swarmd.rpc.h2.limits import Limits


def unpad(payload: bytes) -> bytes:
    """The payload of a padded frame without its padding."""
    if not payload or payload[0] >= len(payload):
        raise ConnectionViolation(ErrorCode.PROTOCOL_ERROR, "a frame with more padding than bytes")
    return payload[1 : len(payload) - payload[0]]


def strip(flags: int, payload: bytes) -> bytes:
    """The block fragment of a HEADERS frame, without padding and priority."""
    if flags & frames.FLAG_PADDED:
        payload = unpad(payload)
    if flags & frames.FLAG_PRIORITY:
        if len(payload) < 5:
            raise ConnectionViolation(ErrorCode.FRAME_SIZE_ERROR, "HEADERS cut short")
        payload = payload[5:]
    return payload


class OpenBlock:
    """A header block of which the last frame has not arrived. Nothing may come in between."""

    __slots__ = ("_fragments", "_limits", "_size", "ends_stream", "stream_id")

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._fragments: list[bytes] = []
        self._size = 0
        # Zero while no block is open.
        self.stream_id = 0
        self.ends_stream = False

    def begin(self, stream_id: int, fragment: bytes, *, ends_stream: bool) -> None:
        self._fragments = [fragment]
        self._size = len(fragment)
        self.stream_id = stream_id
        self.ends_stream = ends_stream

    def extend(self, stream_id: int, fragment: bytes) -> None:
        if not self.stream_id or stream_id != self.stream_id:
            raise ConnectionViolation(ErrorCode.PROTOCOL_ERROR, "CONTINUATION out of place")
        self._fragments.append(fragment)
        self._size += len(fragment)
        if (
            self._size > self._limits.header_list_bytes
            or len(self._fragments) > self._limits.continuations + 1
        ):
            raise ConnectionViolation(
                ErrorCode.ENHANCE_YOUR_CALM, "a header block in too many or too large pieces"
            )

    def finish(self) -> bytes:
        block = b"".join(self._fragments)
        self._fragments = []
        self.stream_id = 0
        return block
