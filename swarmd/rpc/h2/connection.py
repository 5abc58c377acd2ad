"""One HTTP/2 connection in either role, as far as gRPC needs it: receiving, and the streams.

`receive` takes bytes and returns events; the sending methods (`endpoint.Endpoint`) queue bytes for
`take`. Streams come and go as dictionary entries: a stream is here from its first HEADERS until
both sides have ended it or one has reset it. Anything that arrives for a stream that is gone is
accounted for and dropped, as it may have been under way when we ended it.
"""

from __future__ import annotations

from collections.abc import Callable

from swarmd.rpc.h2 import frames
from swarmd.rpc.h2.errors import ConnectionViolation, ErrorCode, MessageViolation, StreamViolation
from swarmd.rpc.h2.events import (
    ConnectionFailed,
    Event,
    HeadersReceived,
    MessageReceived,
    MessageRefused,
    PeerFinished,
    PeerLeaving,
    StreamLost,
)
from swarmd.rpc.h2.header_block import OpenBlock, strip, unpad
from swarmd.rpc.h2.hpack_decoder import BlockCache, HeaderDecoder
from swarmd.rpc.h2.inflow import Inflow
from swarmd.rpc.h2.limits import Bucket, Limits
from swarmd.rpc.h2.sender import Sender
from swarmd.rpc.h2.stream import Stream

_Handler = Callable[[int, int, bytes, list[Event]], None]


class Connection:
    """The protocol machine of one connection.

    Invariants: `streams` holds exactly the streams with an open side; every byte of DATA received
    is given back as credit, at once or through `consumed`; nothing is sent after a violation but
    the GOAWAY that names it.
    """

    def __init__(self, *, client: bool, limits: Limits, cache: BlockCache) -> None:
        self.limits = limits
        self.streams: dict[int, Stream] = {}
        self.peer_leaving = False
        # How many streams the peer lets us open.
        self.peer_streams_max = 2**31 - 1 if client else 0
        self.sender = Sender()
        self._client = client
        self._failed = False
        self._leaving = False
        self._buffer = b""
        self._expects_preface = not client
        self._expects_settings = True
        # Until the peer has seen our settings it goes by the protocol's defaults.
        self._settings_known = False
        self._decoder = HeaderDecoder(list_bytes_max=limits.header_list_bytes, cache=cache)
        self._next_id = 1
        self._last_peer_id = 0
        self._open_block = OpenBlock(limits)
        self._inflow = Inflow(limits, self.sender.out)
        self._resets = Bucket(burst=limits.resets_burst, per_second=limits.resets_per_second)
        self._control = Bucket(burst=limits.control_burst, per_second=limits.control_per_second)
        self._now_ns = 0
        # Indexed by frame type; later types are unknown and ignored.
        self._handlers: tuple[_Handler, ...] = (
            self._on_data,
            self._on_headers,
            self._on_priority,
            self._on_rst_stream,
            self._on_settings,
            self._on_push_promise,
            self._on_ping,
            self._on_goaway,
            self._on_window_update,
            self._on_continuation,
        )
        self._greet()

    def _greet(self) -> None:
        limits = self.limits
        values = {
            frames.SETTING_INITIAL_WINDOW_SIZE: limits.stream_window_bytes,
            frames.SETTING_MAX_FRAME_SIZE: limits.frame_bytes,
            frames.SETTING_MAX_HEADER_LIST_SIZE: limits.header_list_bytes,
        }
        if self._client:
            self.sender.out.append(frames.PREFACE)
            values[frames.SETTING_ENABLE_PUSH] = 0
        else:
            values[frames.SETTING_MAX_CONCURRENT_STREAMS] = limits.streams
        self.sender.out.append(frames.settings(values))
        self._inflow.open()

    @property
    def failed(self) -> bool:
        """Whether the peer broke the protocol; nothing is received any more."""
        return self._failed

    def receive(self, data: bytes, now_ns: int) -> list[Event]:
        """Events that `data` brings about; `now_ns` is any clock that does not run backwards."""
        events: list[Event] = []
        if self._failed:
            return events
        self._now_ns = now_ns
        buffer = self._buffer + data if self._buffer else data
        try:
            at = self._check_preface(buffer) if self._expects_preface else 0
            if not self._expects_preface:
                at = self._parse(buffer, at, events)
            self._buffer = buffer[at:] if at < len(buffer) else b""
        except ConnectionViolation as violation:
            self._failed = True
            self.sender.out.append(
                frames.goaway(self._last_peer_id, violation.code, violation.reason.encode())
            )
            events.append(ConnectionFailed(violation.code, violation.reason))
        return events

    def consumed(self, stream_id: int, message: bytes) -> None:
        """The message has been handled: its share of the stream's window may be given back."""
        stream = self.streams.get(stream_id)
        if stream is not None:
            stream.queued_bytes -= len(message)
            self._inflow.return_credit(stream)

    def _check_preface(self, buffer: bytes) -> int:
        size = len(frames.PREFACE)
        if buffer[:size] != frames.PREFACE[: len(buffer)]:
            raise ConnectionViolation(
                ErrorCode.PROTOCOL_ERROR, "this port speaks gRPC over HTTP/2 only"
            )
        if len(buffer) < size:
            return 0
        self._expects_preface = False
        return size

    def _parse(self, buffer: bytes, at: int, events: list[Event]) -> int:
        """Handle the complete frames from `at`; returns where the incomplete rest begins."""
        unpack = frames.HEAD.unpack_from
        end = len(buffer)
        frame_bytes = self.limits.frame_bytes
        handlers = self._handlers
        while end - at >= frames.HEADER_BYTES:
            high, low, kind, flags, stream_id = unpack(buffer, at)
            length = high << 8 | low
            if length > frame_bytes:
                raise ConnectionViolation(
                    ErrorCode.FRAME_SIZE_ERROR,
                    f"a frame of {length} bytes where {frame_bytes} are allowed",
                )
            after = at + frames.HEADER_BYTES + length
            if after > end:
                break
            payload = buffer[at + frames.HEADER_BYTES : after]
            at = after
            if self._expects_settings:
                self._check_first(kind, flags)
            if self._open_block.stream_id and kind != frames.CONTINUATION:
                raise ConnectionViolation(
                    ErrorCode.PROTOCOL_ERROR, "a header block was interrupted by another frame"
                )
            if kind < len(handlers):
                try:
                    handlers[kind](flags, stream_id & 0x7FFFFFFF, payload, events)
                except StreamViolation as violation:
                    self._reset_for(violation, events)
        return at

    def _check_first(self, kind: int, flags: int) -> None:
        if kind != frames.SETTINGS or flags & frames.FLAG_ACK:
            raise ConnectionViolation(ErrorCode.PROTOCOL_ERROR, "the first frame was not SETTINGS")
        self._expects_settings = False

    def _reset_for(self, violation: StreamViolation, events: list[Event]) -> None:
        self.sender.out.append(frames.rst_stream(violation.stream_id, violation.code))
        # A peer that keeps breaking rules makes us write for each: the same bound as for resets.
        self._count_reset()
        stream = self.streams.get(violation.stream_id)
        if stream is not None:
            self._forget(stream)
            events.append(StreamLost(stream.id, violation.code, violation.reason, by_peer=False))

    def _find(self, stream_id: int, kind: str) -> Stream | None:
        """The stream, or None when it is gone; one that never was is a violation."""
        stream = self.streams.get(stream_id)
        if stream is None and self._is_idle(stream_id):
            raise ConnectionViolation(
                ErrorCode.PROTOCOL_ERROR, f"{kind} for stream {stream_id}, which was never opened"
            )
        return stream

    def _is_idle(self, stream_id: int) -> bool:
        if stream_id == 0:
            return True
        opened_by_client = bool(stream_id & 1)
        if opened_by_client == self._client:
            return stream_id >= self._next_id
        return stream_id > self._last_peer_id

    def _new_stream(self, stream_id: int) -> Stream:
        recv_window = self.limits.stream_window_bytes
        if not self._settings_known:
            recv_window = max(recv_window, frames.DEFAULT_WINDOW)
        stream = Stream(
            stream_id,
            send_window=self.sender.initial_window,
            recv_window=recv_window,
            message_bytes_max=self.limits.message_bytes,
        )
        self.streams[stream_id] = stream
        return stream

    def _forget(self, stream: Stream) -> None:
        del self.streams[stream.id]
        if stream.pending is not None:
            self.sender.forget(stream)

    def _pump(self, events: list[Event]) -> None:
        for stream in self.sender.pump(events):
            self._local_end(stream)

    def _local_end(self, stream: Stream) -> None:
        """Our side's last frame is out."""
        stream.local_closed = True
        if stream.remote_closed:
            self._forget(stream)
        elif not self._client:
            # The answer is complete though the client has more to say: it need not.
            self.sender.out.append(frames.rst_stream(stream.id, ErrorCode.NO_ERROR))
            self._forget(stream)

    def _count_reset(self) -> None:
        if not self._resets.take(self._now_ns):
            raise ConnectionViolation(ErrorCode.ENHANCE_YOUR_CALM, "too many streams reset")

    def _count_control(self) -> None:
        if not self._control.take(self._now_ns):
            raise ConnectionViolation(ErrorCode.ENHANCE_YOUR_CALM, "too many control frames")

    # --- one method per frame type

    def _on_data(self, flags: int, stream_id: int, payload: bytes, events: list[Event]) -> None:
        size = len(payload)
        self._inflow.charge_connection(size)
        stream = self._find(stream_id, "DATA")
        if stream is None:
            return
        if stream.remote_closed:
            raise StreamViolation(stream_id, ErrorCode.STREAM_CLOSED, "DATA after END_STREAM")
        self._inflow.charge_stream(stream, size)
        if flags & frames.FLAG_PADDED:
            payload = unpad(payload)
        ends = flags & frames.FLAG_END_STREAM
        if payload and not stream.refusing:
            self._on_messages(stream, payload, events)
        if ends:
            self._remote_end(stream)
            events.append(PeerFinished(stream_id))
            if stream.local_closed:
                self._forget(stream)
        else:
            if not payload:
                self._count_control()
            self._inflow.return_credit(stream)

    def _on_messages(self, stream: Stream, payload: bytes, events: list[Event]) -> None:
        try:
            for message in stream.assembler.feed(payload):
                stream.queued_bytes += len(message)
                events.append(MessageReceived(stream.id, message))
        except MessageViolation as violation:
            stream.refusing = True
            events.append(MessageRefused(stream.id, violation.status, violation.reason))

    def _remote_end(self, stream: Stream) -> None:
        stream.remote_closed = True
        if stream.assembler.within_message and not stream.refusing:
            raise StreamViolation(
                stream.id, ErrorCode.PROTOCOL_ERROR, "the stream ended within a message"
            )

    def _on_headers(self, flags: int, stream_id: int, payload: bytes, events: list[Event]) -> None:
        if stream_id == 0:
            raise ConnectionViolation(ErrorCode.PROTOCOL_ERROR, "HEADERS without a stream")
        if flags & (frames.FLAG_PADDED | frames.FLAG_PRIORITY):
            payload = strip(flags, payload)
        ends = bool(flags & frames.FLAG_END_STREAM)
        if flags & frames.FLAG_END_HEADERS:
            self._on_block(stream_id, payload, ends, events)
        else:
            self._open_block.begin(stream_id, payload, ends_stream=ends)

    def _on_continuation(
        self, flags: int, stream_id: int, payload: bytes, events: list[Event]
    ) -> None:
        self._open_block.extend(stream_id, payload)
        if flags & frames.FLAG_END_HEADERS:
            block = self._open_block.finish()
            self._on_block(stream_id, block, self._open_block.ends_stream, events)

    def _on_block(self, stream_id: int, block: bytes, ends: bool, events: list[Event]) -> None:
        # Decoded even when the stream is gone: the header table must keep step.
        fields = self._decoder.decode(block)
        stream = self.streams.get(stream_id)
        if stream is None:
            if self._client or not self._is_idle(stream_id):
                self._find(stream_id, "HEADERS")
                return
            stream = self._accept(stream_id)
            if stream is None:
                return
        elif stream.remote_closed:
            raise StreamViolation(stream_id, ErrorCode.STREAM_CLOSED, "HEADERS after END_STREAM")
        elif not self._client and not ends:
            raise StreamViolation(
                stream_id, ErrorCode.PROTOCOL_ERROR, "a second header list that ends nothing"
            )
        if ends:
            self._remote_end(stream)
        events.append(HeadersReceived(stream_id, fields, ends))
        if ends and stream.local_closed:
            self._forget(stream)

    def _accept(self, stream_id: int) -> Stream | None:
        """A stream the client opens; None when it is refused."""
        if not stream_id & 1:
            raise ConnectionViolation(
                ErrorCode.PROTOCOL_ERROR, f"a client opened stream {stream_id}, an even number"
            )
        self._last_peer_id = stream_id
        if self._leaving or len(self.streams) >= self.limits.streams:
            # Not processed, so the client may try again; but not for ever at any speed.
            self._count_reset()
            self.sender.out.append(frames.rst_stream(stream_id, ErrorCode.REFUSED_STREAM))
            return None
        return self._new_stream(stream_id)

    def _on_priority(self, flags: int, stream_id: int, payload: bytes, events: list[Event]) -> None:
        self._count_control()

    def _on_push_promise(
        self, flags: int, stream_id: int, payload: bytes, events: list[Event]
    ) -> None:
        raise ConnectionViolation(ErrorCode.PROTOCOL_ERROR, "pushed streams are not accepted")

    def _on_rst_stream(
        self, flags: int, stream_id: int, payload: bytes, events: list[Event]
    ) -> None:
        if len(payload) != 4:
            raise ConnectionViolation(ErrorCode.FRAME_SIZE_ERROR, "RST_STREAM of a wrong size")
        stream = self._find(stream_id, "RST_STREAM")
        code = frames.word(payload)
        if not self._client or code != ErrorCode.NO_ERROR:
            self._count_reset()
        if stream is not None:
            self._forget(stream)
            events.append(StreamLost(stream_id, code, "reset by the peer", by_peer=True))

    def _on_settings(self, flags: int, stream_id: int, payload: bytes, events: list[Event]) -> None:
        if stream_id:
            raise ConnectionViolation(ErrorCode.PROTOCOL_ERROR, "SETTINGS on a stream")
        if flags & frames.FLAG_ACK:
            if payload:
                raise ConnectionViolation(ErrorCode.FRAME_SIZE_ERROR, "SETTINGS ACK with a body")
            self._settings_known = True
            return
        if len(payload) % 6:
            raise ConnectionViolation(ErrorCode.FRAME_SIZE_ERROR, "SETTINGS of a wrong size")
        self._count_control()
        for key, value in frames.parse_settings(payload):
            self._apply_setting(key, value)
        self.sender.out.append(frames.SETTINGS_ACK)
        self._pump(events)

    def _apply_setting(self, key: int, value: int) -> None:
        sender = self.sender
        if key == frames.SETTING_INITIAL_WINDOW_SIZE:
            if value > frames.LARGEST_WINDOW:
                raise ConnectionViolation(
                    ErrorCode.FLOW_CONTROL_ERROR, "an initial window beyond 2^31-1"
                )
            sender.change_initial_window(value, self.streams.values())
        elif key == frames.SETTING_MAX_FRAME_SIZE:
            if not frames.DEFAULT_FRAME_SIZE <= value <= frames.LARGEST_FRAME_SIZE:
                raise ConnectionViolation(
                    ErrorCode.PROTOCOL_ERROR, f"a maximum frame size of {value}"
                )
            # Larger frames than the default would gain nothing and delay other streams.
        elif key == frames.SETTING_ENABLE_PUSH:
            if value > (0 if self._client else 1):
                raise ConnectionViolation(ErrorCode.PROTOCOL_ERROR, "an invalid ENABLE_PUSH")
        elif key == frames.SETTING_MAX_CONCURRENT_STREAMS and self._client:
            self.peer_streams_max = value

    def _on_ping(self, flags: int, stream_id: int, payload: bytes, events: list[Event]) -> None:
        if stream_id:
            raise ConnectionViolation(ErrorCode.PROTOCOL_ERROR, "PING on a stream")
        if len(payload) != 8:
            raise ConnectionViolation(ErrorCode.FRAME_SIZE_ERROR, "PING of a wrong size")
        if not flags & frames.FLAG_ACK:
            self._count_control()
            self.sender.out.append(frames.ping(payload, ack=True))

    def _on_goaway(self, flags: int, stream_id: int, payload: bytes, events: list[Event]) -> None:
        if stream_id:
            raise ConnectionViolation(ErrorCode.PROTOCOL_ERROR, "GOAWAY on a stream")
        if len(payload) < 8:
            raise ConnectionViolation(ErrorCode.FRAME_SIZE_ERROR, "GOAWAY cut short")
        self._count_control()
        self.peer_leaving = True
        last = frames.word(payload) & 0x7FFFFFFF
        reason = payload[8:].decode("utf-8", "replace")
        events.append(PeerLeaving(last, frames.word(payload, 4), reason))

    def _on_window_update(
        self, flags: int, stream_id: int, payload: bytes, events: list[Event]
    ) -> None:
        if len(payload) != 4:
            raise ConnectionViolation(ErrorCode.FRAME_SIZE_ERROR, "WINDOW_UPDATE of a wrong size")
        increment = frames.word(payload) & 0x7FFFFFFF
        stream = None
        if stream_id:
            stream = self._find(stream_id, "WINDOW_UPDATE")
            if stream is None:
                return
        if not increment:
            if stream is not None:
                raise StreamViolation(
                    stream_id, ErrorCode.PROTOCOL_ERROR, "a window update of zero"
                )
            raise ConnectionViolation(ErrorCode.PROTOCOL_ERROR, "a window update of zero")
        self.sender.grant(stream, increment)
        self._pump(events)
