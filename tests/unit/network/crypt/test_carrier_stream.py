"""Streams of a carrier on real connections: nothing is lost at the end, queues are bounded."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from swarmd.network.crypt import orders
from swarmd.network.crypt.carrier_stream import WAITING_BYTES_MAX, CarrierStream, StreamLost
from swarmd.network.crypt.records import NO_MORE

ONE, OTHER = bytes(16), bytes([1]) * 16


@pytest.fixture
def ends() -> Iterator[tuple[CarrierStream, CarrierStream]]:
    here, there = socket.socketpair()
    with here, there:
        opener = orders.Stream(1, "n2", ONE, OTHER, begins=True)
        taker = orders.Stream(1, "n1", OTHER, ONE, begins=False)
        yield CarrierStream(opener, here), CarrierStream(taker, there)


def test_the_first_record_is_empty(ends: tuple[CarrierStream, CarrierStream]) -> None:
    opener, taker = ends
    assert opener.is_ready
    assert not taker.is_ready
    opener.greet()
    assert taker.receive() == [b""]
    assert taker.receive() == []


def test_what_waits_for_a_slow_peer_is_bounded_and_arrives(
    ends: tuple[CarrierStream, CarrierStream],
) -> None:
    opener, taker = ends
    sent = []
    while not opener.is_full:
        sent.append(len(sent).to_bytes(4, "big") * 16_000)
        opener.send(memoryview(sent[-1]))
    assert len(sent) * 64_000 < WAITING_BYTES_MAX + 2 * 256_000 + 1_000_000
    opener.finish()
    opener.send(memoryview(b"too late"))
    got: list[bytes] = []
    idle = opener.events
    while len(got) <= len(sent):
        got += taker.receive()
        opener.flush()
    assert got == [*sent, NO_MORE]
    assert opener.events != idle


def test_a_stream_is_done_when_both_ends_are(ends: tuple[CarrierStream, CarrierStream]) -> None:
    opener, taker = ends
    opener.finish()
    assert not opener.is_done
    opener.finish_other_end()
    assert opener.is_done
    assert taker.receive() == [NO_MORE]


def test_a_stream_whose_other_end_is_gone_or_lies_is_lost(
    ends: tuple[CarrierStream, CarrierStream],
) -> None:
    opener, taker = ends
    taker.sock.send(b"\0\0\0\x20" + bytes(32))
    with pytest.raises(StreamLost, match="tampered"):
        opener.receive()
    taker.sock.close()
    with pytest.raises(StreamLost):
        opener.receive()
    with pytest.raises(StreamLost):
        opener.finish()


def test_keys_are_not_printed() -> None:
    assert "keys hidden" in repr(orders.Stream(1, "n2", ONE, OTHER, begins=True))
