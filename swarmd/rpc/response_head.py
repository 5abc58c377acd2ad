"""Reading the header list that ends an answer."""

from __future__ import annotations

import msgspec

from swarmd.rpc.errors import RpcError, code_of, code_of_http
from swarmd.rpc.h2.hpack_decoder import Fields
from swarmd.rpc.h2.text import unescape
from swarmd.rpc.metadata import EMPTY, Metadata


class Answer(msgspec.Struct, frozen=True):
    """How a call ended. `code` is the number of the gRPC status; 0 is success."""

    code: int
    message: str = ""
    trailers: Metadata = EMPTY

    def as_error(self) -> RpcError:
        return RpcError(code_of(self.code), self.message, trailers=self.trailers)


_SUCCESS = Answer(0)


def parse_response(fields: Fields) -> Answer:
    """The status in the trailers of an answer, or in the only header list it has."""
    status = None
    http_status = b""
    message = ""
    rest: list[tuple[bytes, bytes]] = []
    for field in fields:
        name, value = field
        if name == b"grpc-status":
            status = value
        elif name == b"grpc-message":
            message = unescape(value)
        elif name == b":status":
            http_status = value
        elif name[:1] != b":" and name != b"content-type":
            rest.append(field)
    if status == b"0" and not rest:
        return _SUCCESS
    if status is None or not status.isdigit():
        code = code_of_http(int(http_status)) if http_status.isdigit() else code_of(2)
        shown = http_status.decode("ascii", "replace") or "no"
        return Answer(code, f"not an answer of gRPC (HTTP status {shown})")
    return Answer(int(status), message, Metadata(rest))
