"""A TCP connection that the kernel watches, and what it knows of the machine at the other end.

The kernel sends a probe when the peer has been silent for a second, and the peer's kernel answers:
nobody's process is woken. The time of the last acknowledgement is thus a sign of life of the
machine and the network between, for the price of one system call when somebody wants to know.
"""

from __future__ import annotations

import socket
import struct

from swarmd.model.instant import MILLISECOND, Instant
from swarmd.rpc.sockets import UNANSWERED_MS, detect_dead_peers
from swarmd.runtime.clock import Clock

SILENT_S_MAX = 1

# struct tcp_info: milliseconds since the last data and the last acknowledgement came.
_LAST_RECEIVED = struct.Struct("=52xLL")


class TcpLine:
    """Implements `call.Line`. Make one with `watch`; tell it when the connection has ended."""

    def __init__(self, sock: socket.socket, clock: Clock) -> None:
        self._socket = sock
        self._clock = clock
        self._ended_at: Instant | None = None

    def heard_at(self) -> Instant | None:
        if self._ended_at is not None:
            return self._ended_at
        try:
            known = self._socket.getsockopt(
                socket.IPPROTO_TCP, socket.TCP_INFO, _LAST_RECEIVED.size
            )
        except OSError:  # closed, and `end` is about to be called
            return None
        silent_ms = min(_LAST_RECEIVED.unpack(known))
        return Instant(self._clock.monotonic() - silent_ms * MILLISECOND)

    def end(self, reason: Exception | None) -> None:
        """The connection has ended: now, or by the kernel's verdict after a long silence."""
        silent_ns = UNANSWERED_MS * MILLISECOND if isinstance(reason, TimeoutError) else 0
        self._ended_at = Instant(self._clock.monotonic() - silent_ns)


def watch(sock: socket.socket | None, clock: Clock) -> TcpLine | None:
    """Have the kernel watch a connection; None when it is not one of TCP."""
    if sock is None or sock.family not in (socket.AF_INET, socket.AF_INET6):
        return None
    detect_dead_peers(sock, probe_after_s=SILENT_S_MAX)
    return TcpLine(sock, clock)
