"""Reading the header list of a request."""

from __future__ import annotations

import msgspec

from swarmd.rpc.h2.hpack_decoder import Fields
from swarmd.rpc.h2.text import parse_timeout_ns
from swarmd.rpc.metadata import Metadata

# Names that belong to the transport; the rest is metadata.
_TRANSPORT = frozenset(
    {b"te", b"content-type", b"user-agent", b"grpc-accept-encoding", b"accept-encoding", b"host"}
)


class Malformed(Exception):
    """Not a request of HTTP/2: the stream is reset."""


class Unsupported(Exception):
    """A proper request, but not of gRPC; `status` is the HTTP status to answer with."""

    def __init__(self, status: int) -> None:
        super().__init__(f"HTTP status {status}")
        self.status = status


class RequestHead(msgspec.Struct, frozen=True):
    """What the header list of a call says. `timeout_ns` is None when the caller sets no limit."""

    path: str
    timeout_ns: int | None
    metadata: Metadata


def parse_request_head(fields: Fields) -> RequestHead:
    """The head of a gRPC call.

    Raises:
        Malformed: HTTP/2 itself forbids the list.
        Unsupported: HTTP/2, but not gRPC.
    """
    method = path = content_type = timeout = None
    metadata: list[tuple[bytes, bytes]] = []
    pseudo_over = False
    for field in fields:
        name, value = field
        if name[:1] == b":":
            if pseudo_over:
                raise Malformed("a pseudo header after a regular one")
            if name == b":path":
                if path is not None:
                    raise Malformed("two paths")
                path = value
            elif name == b":method":
                method = value
            elif name not in (b":scheme", b":authority"):
                raise Malformed("an unknown pseudo header")
            continue
        pseudo_over = True
        if name in _TRANSPORT:
            if name == b"content-type":
                content_type = value
        elif name == b"grpc-timeout":
            timeout = value
        elif name == b"grpc-encoding":
            if value != b"identity":
                raise Unsupported(415)
        else:
            if name != name.lower():
                raise Malformed("a header name in upper case")
            metadata.append(field)
    if method is None or not path:
        raise Malformed("a request without method or path")
    if method != b"POST":
        raise Unsupported(405)
    if content_type is None or not content_type.startswith(b"application/grpc"):
        raise Unsupported(415)
    timeout_ns = None
    if timeout is not None:
        timeout_ns = parse_timeout_ns(timeout)
        if timeout_ns is None:
            raise Malformed("a grpc-timeout that is no duration")
    return RequestHead(path.decode("ascii", "replace"), timeout_ns, Metadata(metadata))
