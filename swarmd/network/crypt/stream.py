"""One stream of a tunnel: packets between two nodes, over a connection that TLS protects.

Each packet is preceded by its length in two bytes. A length of nothing means that no more packets
come on this stream; it is closed once both ends have said so, hence nothing is lost when a stream
is replaced by another.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

from swarmd.model.ids import NodeId

# So much may wait for a peer that takes its time; what comes on top of it is dropped, as any
# network does it, and the senders slow down.
WAITING_BYTES_MAX = 4 << 20
_LENGTH_BYTES = 2
_END = bytes(_LENGTH_BYTES)


class Stream(asyncio.Protocol):
    """An end of a stream.

    Args:
        node_id: the node at the other end, which has proved that it is.
        on_made: told once, when packets can be sent.
        on_packets: gets packets in order, several at a time.
        on_lost: told once, when the stream has ended, if it was ever made.
    """

    def __init__(
        self,
        node_id: NodeId,
        *,
        on_made: Callable[[Stream], None],
        on_packets: Callable[[Stream, list[memoryview]], None],
        on_lost: Callable[[Stream], None],
    ) -> None:
        self.node_id = node_id
        self._on_made = on_made
        self._on_packets = on_packets
        self._on_lost = on_lost
        self._transport: asyncio.Transport | None = None
        self._rest = b""
        self._is_full = False
        self._has_ended = False
        self._peer_has_ended = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if not isinstance(transport, asyncio.Transport):
            raise AssertionError("a stream transport is needed")
        self._transport = transport
        transport.set_write_buffer_limits(high=WAITING_BYTES_MAX)
        self._on_made(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._on_lost(self)

    def pause_writing(self) -> None:
        self._is_full = True

    def resume_writing(self) -> None:
        self._is_full = False

    def send(self, packets: Iterable[bytes]) -> bool:
        """Send packets, or drop them all and say so."""
        if self._transport is None or self._is_full or self._has_ended:
            return False
        parts: list[bytes] = []
        for packet in packets:
            parts.append(len(packet).to_bytes(_LENGTH_BYTES, "big"))
            parts.append(packet)
        self._transport.write(b"".join(parts))
        return True

    def finish(self) -> None:
        """Send no more packets, and close once the peer has sent its last."""
        if not self._has_ended and self._transport is not None:
            self._has_ended = True
            self._transport.write(_END)
            self._close_if_done()

    def abort(self) -> None:
        """Close at once."""
        if self._transport is not None:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        if self._rest:
            data = self._rest + data
        view = memoryview(data)
        packets: list[memoryview] = []
        at, end = 0, len(data)
        while at + _LENGTH_BYTES <= end:
            length = data[at] << 8 | data[at + 1]
            after = at + _LENGTH_BYTES + length
            if after > end:
                break
            if length:
                packets.append(view[at + _LENGTH_BYTES : after])
            else:
                self._peer_has_ended = True
            at = after
        self._rest = data[at:]
        if packets:
            self._on_packets(self, packets)
        if self._peer_has_ended:
            self._close_if_done()

    def _close_if_done(self) -> None:
        if self._has_ended and self._peer_has_ended and self._transport is not None:
            self._transport.close()
