"""Streams of a tunnel: packets in any pieces, and an end that loses nothing."""

from __future__ import annotations

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from swarmd.model.ids import NodeId
from swarmd.network.crypt.stream import WAITING_BYTES_MAX, Stream


class Pipe(asyncio.Transport):
    """The sending side of a connection that keeps what was written."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.is_closed = False
        self.limit = 0

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += bytes(data)

    def close(self) -> None:
        self.is_closed = True

    def abort(self) -> None:
        self.is_closed = True

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self.limit = high or 0


class End:
    """A stream with what it has told."""

    def __init__(self) -> None:
        self.packets: list[bytes] = []
        self.pipe = Pipe()
        self.lost = 0
        self.stream = Stream(
            NodeId("peer"), on_made=lambda _: None, on_packets=self._take, on_lost=self._lose
        )
        self.stream.connection_made(self.pipe)

    def _take(self, stream: Stream, packets: list[memoryview]) -> None:
        self.packets += map(bytes, packets)

    def _lose(self, stream: Stream) -> None:
        self.lost += 1


@given(st.lists(st.binary(min_size=1, max_size=300), max_size=20), st.lists(st.integers(1, 700)))
def test_packets_arrive_whole_however_their_bytes_are_cut(
    packets: list[bytes], cuts: list[int]
) -> None:
    sender, receiver = End(), End()
    assert sender.stream.send(packets)
    rest = sender.pipe.written
    for cut in cuts:
        receiver.stream.data_received(rest[:cut])
        rest = rest[cut:]
    receiver.stream.data_received(rest)
    assert receiver.packets == packets


def test_a_stream_is_closed_once_both_have_sent_their_last() -> None:
    one, other = End(), End()
    one.stream.finish()
    other.stream.data_received(one.pipe.written)
    assert not one.stream.send([b"late"])
    assert other.stream.send([b"on its way"])
    assert not other.pipe.is_closed
    other.stream.finish()
    assert other.pipe.is_closed
    one.stream.data_received(other.pipe.written)
    assert one.packets == [b"on its way"]
    assert one.pipe.is_closed


def test_what_a_slow_peer_has_no_room_for_is_dropped() -> None:
    end = End()
    assert end.pipe.limit == WAITING_BYTES_MAX
    end.stream.pause_writing()
    assert not end.stream.send([b"x"])
    end.stream.resume_writing()
    assert end.stream.send([b"y"])
    assert end.pipe.written == b"\0\1y"


def test_nothing_is_sent_after_the_connection_was_lost() -> None:
    end = End()
    end.stream.connection_lost(None)
    assert not end.stream.send([b"x"])
    assert end.lost == 1
