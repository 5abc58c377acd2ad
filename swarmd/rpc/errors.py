"""Status codes on the wire and errors inside: one place where they meet.

Handlers raise `Rejection`; clients see `RpcError`, which carries the same code and sentence and
what only a transport knows. A handler may let the `RpcError` of an inner call through: its status
is passed on.
"""

from __future__ import annotations

from swarmd.model.errors import Code, Rejection
from swarmd.rpc.metadata import EMPTY, Metadata

OK = 0

# Numbers of gRPC that have no place in our own vocabulary.
_FOREIGN = {1: Code.ABORTED, 15: Code.INTERNAL}

# For answers that are not gRPC at all: a proxy, or a server that speaks something else.
_HTTP = {
    400: Code.INTERNAL,
    401: Code.UNAUTHENTICATED,
    403: Code.PERMISSION_DENIED,
    404: Code.UNIMPLEMENTED,
    429: Code.UNAVAILABLE,
    502: Code.UNAVAILABLE,
    503: Code.UNAVAILABLE,
    504: Code.UNAVAILABLE,
}


class RpcError(Exception):
    """A call that did not succeed.

    `unprocessed` means that no handler has seen the request, so that repeating it is safe whatever
    it does. `trailers` is the metadata that came with the status.
    """

    def __init__(
        self,
        code: Code,
        message: str,
        *,
        trailers: Metadata = EMPTY,
        unprocessed: bool = False,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.trailers = trailers
        self.unprocessed = unprocessed

    def __repr__(self) -> str:
        return f"RpcError({self.code.name}, {self.message!r})"

    def as_rejection(self) -> Rejection:
        """The same answer, for callers that know nothing of transports."""
        return Rejection(self.code, self.message)


def code_of(number: int) -> Code:
    """The code for a gRPC status number; numbers without a name are UNKNOWN."""
    try:
        return Code(number)
    except ValueError:
        return _FOREIGN.get(number, Code.UNKNOWN)


def code_of_http(status: int) -> Code:
    """The code for an HTTP status without a gRPC status."""
    return _HTTP.get(status, Code.UNKNOWN)


def unavailable(message: str, *, unprocessed: bool = False) -> RpcError:
    return RpcError(Code.UNAVAILABLE, message, unprocessed=unprocessed)
