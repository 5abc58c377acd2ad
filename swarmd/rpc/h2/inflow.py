"""The receiving half of flow control: how much the peer may still send, and when it gets more.

The connection's credit goes back as data arrives; it only smooths bursts. A stream's credit goes
back at once while the handler keeps up, so a message of any permitted size can be assembled, and
is withheld while complete messages wait: that is what slows down a client that streams faster than
we handle. Credit is returned in bulk, half a window at a time.
"""

from __future__ import annotations

from swarmd.rpc.h2 import frames
from swarmd.rpc.h2.errors import ConnectionViolation, ErrorCode, StreamViolation
from swarmd.rpc.h2.limits import Limits
from swarmd.rpc.h2.stream import Stream


class Inflow:
    """Windows we granted. Methods that return credit append the frame for it to `out`."""

    __slots__ = ("_limits", "_out", "_owed", "_window")

    def __init__(self, limits: Limits, out: list[bytes]) -> None:
        self._limits = limits
        self._out = out
        self._window = frames.DEFAULT_WINDOW
        self._owed = 0

    def open(self) -> None:
        """Raise the connection's window from the protocol's default to ours."""
        more = self._limits.connection_window_bytes - self._window
        if more > 0:
            self._out.append(frames.window_update(0, more))
            self._window += more

    def charge_connection(self, size: int) -> None:
        """DATA of `size` bytes arrived, for whatever stream."""
        self._window -= size
        if self._window < 0:
            raise ConnectionViolation(
                ErrorCode.FLOW_CONTROL_ERROR, "more data than the connection's window allows"
            )
        self._owed += size
        if self._owed * 2 >= self._limits.connection_window_bytes:
            self._out.append(frames.window_update(0, self._owed))
            self._window += self._owed
            self._owed = 0

    def charge_stream(self, stream: Stream, size: int) -> None:
        """DATA of `size` bytes arrived for `stream`."""
        stream.recv_window -= size
        if stream.recv_window < 0:
            raise StreamViolation(
                stream.id, ErrorCode.FLOW_CONTROL_ERROR, "more data than the stream's window allows"
            )
        stream.withheld += size

    def return_credit(self, stream: Stream) -> None:
        """Give back what `stream` is owed, unless its messages pile up."""
        if (
            stream.queued_bytes < self._limits.queued_bytes
            and stream.withheld * 2 >= self._limits.stream_window_bytes
            and not stream.remote_closed
        ):
            self._out.append(frames.window_update(stream.id, stream.withheld))
            stream.recv_window += stream.withheld
            stream.withheld = 0
