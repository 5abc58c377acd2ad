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

# A status message is for people; what is longer would not fit the header list of many clients.
_MESSAGE_CHARS_MAX = 2_000


def _status(
    code: int, message: str, trailers: Sequence[tuple[str, str]]
) -> list[tuple[bytes, bytes]]:
    fields = [(b"grpc-status", b"%d" % code)]
    if message:
        fields.append((b"grpc-message", escape(message[:_MESSAGE_CHARS_MAX])))
    fields.extend(Metadata.of(*trailers).fields)
    return fields


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
