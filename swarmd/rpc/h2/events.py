"""What a connection tells its shell. Order is the order of arrival."""

from __future__ import annotations

import msgspec

from swarmd.rpc.h2.errors import ErrorCode
from swarmd.rpc.h2.hpack_decoder import Fields


class HeadersReceived(msgspec.Struct, frozen=True, gc=False):
    """A header list: of a request, a response, or the trailers that end either."""

    stream_id: int
    fields: Fields
    end_stream: bool


class MessageReceived(msgspec.Struct, frozen=True, gc=False):
    """One complete gRPC message. Tell the connection with `consumed` once it was handled."""

    stream_id: int
    message: bytes


class PeerFinished(msgspec.Struct, frozen=True, gc=False):
    """The peer sends no more messages on this stream. Never follows trailers."""

    stream_id: int


class StreamLost(msgspec.Struct, frozen=True, gc=False):
    """A stream ended without a proper end; the connection has forgotten it."""

    stream_id: int
    code: int
    reason: str
    by_peer: bool


class MessageRefused(msgspec.Struct, frozen=True, gc=False):
    """The peer sent a message we do not accept; nothing more is read from this stream.

    `status` is a gRPC status. The stream is still there, for the shell to answer on.
    """

    stream_id: int
    status: int
    reason: str


class SendReady(msgspec.Struct, frozen=True, gc=False):
    """What waited to be sent on this stream is on its way; the next message may come."""

    stream_id: int


class PeerLeaving(msgspec.Struct, frozen=True, gc=False):
    """GOAWAY. Our streams above `last_stream_id` were not seen by the peer and may be retried."""

    last_stream_id: int
    code: int
    reason: str


class ConnectionFailed(msgspec.Struct, frozen=True, gc=False):
    """The peer broke the protocol. Send what is left, which says so, and close."""

    code: ErrorCode
    reason: str


Event = (
    HeadersReceived
    | MessageReceived
    | PeerFinished
    | StreamLost
    | MessageRefused
    | SendReady
    | PeerLeaving
    | ConnectionFailed
)
