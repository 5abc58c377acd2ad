"""The sending side of a connection, in the terms of gRPC: requests, messages, answers.

All methods only queue bytes; the shell writes what `take` returns. A method that is called for a
stream that is gone does nothing: the peer may have reset it while the handler was at work.
"""

from __future__ import annotations

from swarmd.rpc.h2 import frames
from swarmd.rpc.h2.connection import Connection
from swarmd.rpc.h2.errors import ErrorCode
from swarmd.rpc.h2.events import Event
from swarmd.rpc.h2.messages import PREFIX_BYTES, enclose


class Endpoint(Connection):
    """A connection that can be spoken through. Blocks are encoded by `hpack_encoder.encode`."""

    def take(self) -> bytes:
        """What is to be written now."""
        return self.sender.take()

    def hold(self) -> None:
        """The socket takes no more: keep messages back until `release`."""
        self.sender.held = True

    def release(self) -> list[Event]:
        """The socket takes more again."""
        self.sender.held = False
        events: list[Event] = []
        self._pump(events)
        return events

    def can_open(self) -> bool:
        """Whether the peer accepts another stream of ours now."""
        return (
            not self.peer_leaving
            and not self._failed
            and len(self.streams) < self.peer_streams_max
            and self._next_id <= frames.LARGEST_STREAM_ID
        )

    def open(self, block: bytes) -> int:
        """Start a call with these request headers; check `can_open` before."""
        stream_id = self._next_id
        self._next_id += 2
        self._new_stream(stream_id)
        self.sender.out.append(frames.headers(stream_id, block, end_stream=False))
        return stream_id

    def send_headers(self, stream_id: int, block: bytes) -> None:
        """Response headers."""
        if stream_id in self.streams:
            self.sender.out.append(frames.headers(stream_id, block, end_stream=False))

    def send_message(self, stream_id: int, message: bytes) -> bool:
        """Send one message; False when it has to wait, and `SendReady` will say for how long."""
        stream = self.streams.get(stream_id)
        if stream is None or stream.local_closed:
            return True
        self.sender.data(stream, enclose(message))
        return stream.pending is None

    def finish_request(self, stream_id: int) -> None:
        """The client has no more messages."""
        stream = self.streams.get(stream_id)
        if stream is not None:
            ending = frames.frame(frames.DATA, frames.FLAG_END_STREAM, stream_id, b"")
            if self.sender.end(stream, ending):
                self._local_end(stream)

    def request(self, block: bytes, message: bytes) -> int:
        """A whole call with a single message, in as few frames as possible."""
        stream_id = self._next_id
        self._next_id += 2
        stream = self._new_stream(stream_id)
        sender = self.sender
        sender.out.append(frames.headers(stream_id, block, end_stream=False))
        data = enclose(message)
        if sender.fits(stream, len(data)):
            sender.charge(stream, len(data))
            sender.out.append(frames.frame(frames.DATA, frames.FLAG_END_STREAM, stream_id, data))
            stream.local_closed = True
        else:
            sender.data(stream, data)
            self.finish_request(stream_id)
        return stream_id

    def respond(self, stream_id: int, headers: bytes, message: bytes, trailers: bytes) -> None:
        """A whole answer with a single message."""
        stream = self.streams.get(stream_id)
        if stream is None:
            return
        sender = self.sender
        size = len(message) + PREFIX_BYTES
        sender.out.append(frames.headers(stream_id, headers, end_stream=False))
        if sender.fits(stream, size):
            sender.charge(stream, size)
            sender.out.append(frames.frame(frames.DATA, 0, stream_id, enclose(message)))
        else:
            sender.data(stream, enclose(message))
        self.finish_response(stream_id, trailers)

    def finish_response(self, stream_id: int, trailers: bytes) -> None:
        """End the answer; with no headers sent before, these are the whole of it."""
        stream = self.streams.get(stream_id)
        if stream is None or stream.ending is not None:
            return
        if self.sender.end(stream, frames.headers(stream_id, trailers, end_stream=True)):
            self._local_end(stream)

    def reset(self, stream_id: int, code: ErrorCode) -> None:
        """End a stream both ways at once."""
        stream = self.streams.get(stream_id)
        if stream is not None:
            self._forget(stream)
            self.sender.out.append(frames.rst_stream(stream_id, code))

    def leave(self, code: ErrorCode, reason: str) -> None:
        """Accept no more streams; those under way go on."""
        self._leaving = True
        self.sender.out.append(frames.goaway(self._last_peer_id, code, reason.encode()))

    def send_ping(self, payload: bytes) -> None:
        """Ask for eight bytes to be sent back; any answer at all shows that the peer is there."""
        self.sender.out.append(frames.ping(payload, ack=False))
