"""Header blocks of answers, most of them made once."""

from __future__ import annotations

from collections.abc import Sequence

from swarmd.rpc.errors import OK
from swarmd.rpc.h2.hpack_encoder import encode
from swarmd.rpc.h2.text import escape
from swarmd.rpc.metadata import Metadata

_HEAD = ((b":status", b"200"), (b"content-type", b"application/grpc"))
HEADERS = encode(_HEAD)
TRAILERS_OK = encode(((b"grpc-status", b"0"),))

# Clients bound the header list they accept, stock ones at 8 KiB.
_MESSAGE_BYTES_MAX = 4_096


def _status(
    code: int, message: str, trailers: Sequence[tuple[str, str]]
) -> list[tuple[bytes, bytes]]:
    fields = [(b"grpc-status", b"%d" % code)]
    if message:
        fields.append((b"grpc-message", _shorten(message)))
    fields.extend(Metadata.of(*trailers).fields)
    return fields


def _shorten(message: str) -> bytes:
    escaped = escape(message)
    while len(escaped) > _MESSAGE_BYTES_MAX:
        message = message[: len(message) * 3 // 4]
        escaped = escape(message)
    return escaped


def trailers(code: int, message: str, extra: Sequence[tuple[str, str]]) -> bytes:
    """The block that ends an answer whose headers were sent."""
    if code == OK and not extra:
        return TRAILERS_OK
    return encode(_status(code, message, extra))


def trailers_only(code: int, message: str, extra: Sequence[tuple[str, str]]) -> bytes:
    """The block that is the whole of an answer without messages."""
    return encode([*_HEAD, *_status(code, message, extra)])


def http_only(status: int) -> bytes:
    """The answer to something that is not a gRPC call."""
    return encode(((b":status", b"%d" % status),))
