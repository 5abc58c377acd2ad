"""Frame layout of HTTP/2: constants, and builders for the frames we send."""

from __future__ import annotations

import struct

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

DATA = 0
HEADERS = 1
PRIORITY = 2
RST_STREAM = 3
SETTINGS = 4
PUSH_PROMISE = 5
PING = 6
GOAWAY = 7
WINDOW_UPDATE = 8
CONTINUATION = 9

FLAG_END_STREAM = 0x1
FLAG_ACK = 0x1
FLAG_END_HEADERS = 0x4
FLAG_PADDED = 0x8
FLAG_PRIORITY = 0x20

SETTING_HEADER_TABLE_SIZE = 1
SETTING_ENABLE_PUSH = 2
SETTING_MAX_CONCURRENT_STREAMS = 3
SETTING_INITIAL_WINDOW_SIZE = 4
SETTING_MAX_FRAME_SIZE = 5
SETTING_MAX_HEADER_LIST_SIZE = 6

DEFAULT_WINDOW = 65_535
DEFAULT_FRAME_SIZE = 16_384
LARGEST_FRAME_SIZE = 16_777_215
LARGEST_WINDOW = 2**31 - 1
LARGEST_STREAM_ID = 2**31 - 1
HEADER_BYTES = 9

# The 24-bit length is packed as its upper 16 and lower 8 bits.
HEAD = struct.Struct(">HBBBL")
_WORD = struct.Struct(">L")
_SETTING = struct.Struct(">HL")


def frame(kind: int, flags: int, stream_id: int, payload: bytes | memoryview) -> bytes:
    length = len(payload)
    return HEAD.pack(length >> 8, length & 0xFF, kind, flags, stream_id) + payload


def settings(values: dict[int, int]) -> bytes:
    return frame(SETTINGS, 0, 0, b"".join(_SETTING.pack(k, v) for k, v in values.items()))


SETTINGS_ACK = frame(SETTINGS, FLAG_ACK, 0, b"")


def parse_settings(payload: bytes) -> list[tuple[int, int]]:
    """The settings in order of appearance; the length must be a multiple of six."""
    return list(_SETTING.iter_unpack(payload))


def ping(payload: bytes, *, ack: bool) -> bytes:
    return frame(PING, FLAG_ACK if ack else 0, 0, payload)


def window_update(stream_id: int, increment: int) -> bytes:
    return frame(WINDOW_UPDATE, 0, stream_id, _WORD.pack(increment))


def rst_stream(stream_id: int, code: int) -> bytes:
    return frame(RST_STREAM, 0, stream_id, _WORD.pack(code))


def goaway(last_stream_id: int, code: int, reason: bytes) -> bytes:
    return frame(GOAWAY, 0, 0, _WORD.pack(last_stream_id) + _WORD.pack(code) + reason)


def headers(
    stream_id: int, block: bytes, *, end_stream: bool, frame_size: int = DEFAULT_FRAME_SIZE
) -> bytes:
    """A header block as HEADERS, and CONTINUATION where it is larger than a frame."""
    flags = FLAG_END_STREAM if end_stream else 0
    if len(block) <= frame_size:
        return frame(HEADERS, flags | FLAG_END_HEADERS, stream_id, block)
    parts = [frame(HEADERS, flags, stream_id, block[:frame_size])]
    for at in range(frame_size, len(block), frame_size):
        last = at + frame_size >= len(block)
        parts.append(
            frame(
                CONTINUATION,
                FLAG_END_HEADERS if last else 0,
                stream_id,
                block[at : at + frame_size],
            )
        )
    return b"".join(parts)


def word(payload: bytes, at: int = 0) -> int:
    """The 32-bit number at `at`."""
    value: int = _WORD.unpack_from(payload, at)[0]
    return value
