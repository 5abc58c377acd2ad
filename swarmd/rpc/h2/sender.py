"""The sending half of a connection: what flow control lets out, and in which order.

Headers and control frames go out at once. DATA waits for the window of its stream, the window of
the connection, and the shell's word that the socket takes more. Streams that wait take turns, one
frame each, so that a large answer does not hold up the small ones.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from swarmd.rpc.h2 import frames
from swarmd.rpc.h2.errors import ConnectionViolation, ErrorCode, StreamViolation
from swarmd.rpc.h2.events import Event, SendReady
from swarmd.rpc.h2.stream import Stream


class Sender:
    """Outgoing bytes and windows. The connection owns the streams and tells of their ends."""

    __slots__ = ("_waiting", "frame_size", "held", "initial_window", "out", "window")

    def __init__(self) -> None:
        self.out: list[bytes] = []
        self.window = frames.DEFAULT_WINDOW
        self.initial_window = frames.DEFAULT_WINDOW
        self.frame_size = frames.DEFAULT_FRAME_SIZE
        # The socket is full: DATA stays here.
        self.held = False
        # Streams with something pending, in the order of their turns.
        self._waiting: dict[int, Stream] = {}

    def take(self) -> bytes:
        """Everything to be written now."""
        out = self.out
        if not out:
            return b""
        data = out[0] if len(out) == 1 else b"".join(out)
        out.clear()
        return data

    def fits(self, stream: Stream, size: int) -> bool:
        """Whether `size` bytes of data can go out at once as one frame."""
        return (
            size <= stream.send_window
            and size <= self.window
            and size <= self.frame_size
            and stream.pending is None
            and not self.held
        )

    def data(self, stream: Stream, data: bytes) -> None:
        """Send what can be sent now, in as many frames as it takes, and keep the rest."""
        rest: bytes | memoryview = data
        if stream.pending is None:
            rest = self._emit_what_fits(stream, data)
            if not rest:
                return
            stream.pending = deque()
            self._waiting[stream.id] = stream
        stream.pending.append(rest)
        stream.pending_bytes += len(rest)

    def end(self, stream: Stream, ending: bytes) -> bool:
        """Send the frame that ends our side once the data before it is out; True when it is."""
        if stream.pending is None:
            self.out.append(ending)
            return True
        stream.ending = ending
        return False

    def charge(self, stream: Stream, size: int) -> None:
        """Account for data that the caller wrote itself after asking `fits`."""
        stream.send_window -= size
        self.window -= size

    def forget(self, stream: Stream) -> None:
        """Drop what is pending: the stream is gone."""
        self._waiting.pop(stream.id, None)
        stream.pending = None
        stream.pending_bytes = 0
        stream.ending = None

    def grant(self, stream: Stream | None, increment: int) -> None:
        """The peer's WINDOW_UPDATE, for a stream or (None) for the connection."""
        if stream is None:
            self.window += increment
            if self.window > frames.LARGEST_WINDOW:
                raise ConnectionViolation(
                    ErrorCode.FLOW_CONTROL_ERROR, "the connection's window grew beyond 2^31-1"
                )
        else:
            stream.send_window += increment
            if stream.send_window > frames.LARGEST_WINDOW:
                raise StreamViolation(
                    stream.id, ErrorCode.FLOW_CONTROL_ERROR, "the window grew beyond 2^31-1"
                )

    def change_initial_window(self, value: int, streams: Iterable[Stream]) -> None:
        """The peer's SETTINGS_INITIAL_WINDOW_SIZE, which also moves the windows of open streams.

        A window may become negative; nothing is sent on it until it has grown again.
        """
        change = value - self.initial_window
        self.initial_window = value
        for stream in streams:
            stream.send_window += change
            if stream.send_window > frames.LARGEST_WINDOW:
                raise ConnectionViolation(
                    ErrorCode.FLOW_CONTROL_ERROR, "a setting took a window beyond 2^31-1"
                )

    def pump(self, events: list[Event]) -> list[Stream]:
        """Let out what now fits, in turns; returns the streams whose ending went out."""
        ended: list[Stream] = []
        stalled = 0
        while self._waiting and stalled < len(self._waiting) and self.window > 0 and not self.held:
            stream = next(iter(self._waiting.values()))
            del self._waiting[stream.id]
            if not self._emit_next(stream):
                self._waiting[stream.id] = stream
                stalled += 1
                continue
            stalled = 0
            if stream.pending:
                self._waiting[stream.id] = stream
                continue
            stream.pending = None
            if stream.ending is not None:
                self.out.append(stream.ending)
                stream.ending = None
                ended.append(stream)
            else:
                events.append(SendReady(stream.id))
        return ended

    def _emit_next(self, stream: Stream) -> bool:
        """Send one frame of what is pending; False when the stream's window is shut."""
        pending = stream.pending
        if not pending:
            raise AssertionError(f"stream {stream.id} waits with nothing pending")
        room = min(stream.send_window, self.window, self.frame_size)
        if room <= 0:
            return False
        data = pending.popleft()
        if len(data) > room:
            # The rest is sliced again for every frame: a view keeps that free of copies.
            view = memoryview(data)
            pending.appendleft(view[room:])
            data = view[:room]
        stream.pending_bytes -= len(data)
        self._emit(stream, data)
        return True

    def _emit_what_fits(self, stream: Stream, data: bytes) -> bytes | memoryview:
        """Send as much of `data` as the windows allow; returns the rest."""
        if self.held:
            return data
        rest: bytes | memoryview = data
        while rest:
            room = min(stream.send_window, self.window, self.frame_size)
            if room <= 0:
                break
            if len(rest) <= room:
                self._emit(stream, rest)
                return b""
            view = memoryview(rest)
            self._emit(stream, view[:room])
            rest = view[room:]
        return rest

    def _emit(self, stream: Stream, data: bytes | memoryview) -> None:
        size = len(data)
        stream.send_window -= size
        self.window -= size
        self.out.append(frames.frame(frames.DATA, 0, stream.id, data))
