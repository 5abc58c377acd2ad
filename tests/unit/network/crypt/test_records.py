"""Records of a tunnel: packets arrive whole, in order and from nobody else, or the stream ends."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmd.network.crypt.records import (
    KEY_BYTES,
    LENGTH_BYTES,
    PLAIN_BYTES_MAX,
    Broken,
    Opener,
    Sealer,
    packets_of,
)

KEY = bytes(range(KEY_BYTES))


def plain_of(packets: list[bytes]) -> bytes:
    return b"".join(len(packet).to_bytes(LENGTH_BYTES, "big") + packet for packet in packets)


def fed(opener: Opener, data: bytes, cuts: list[int]) -> list[bytes]:
    """What comes out when the data comes in pieces of these sizes, and the rest at once."""
    opened = []
    for size in [*cuts, len(data)]:
        piece, data = data[:size], data[size:]
        while piece:
            space = opener.space
            count = min(len(piece), len(space))
            space[:count] = piece[:count]
            piece = piece[count:]
            opened += opener.received(count)
    return opened


@given(
    st.lists(st.lists(st.binary(max_size=300), max_size=20), max_size=8),
    st.lists(st.integers(1, 700)),
)
def test_records_arrive_whole_however_their_bytes_are_cut(
    records: list[list[bytes]], cuts: list[int]
) -> None:
    sealer, opener = Sealer(KEY), Opener(KEY)
    sent = b"".join(b"".join(sealer.seal(plain_of(packets))) for packets in records)
    got = [[bytes(packet) for packet in packets_of(plain)] for plain in fed(opener, sent, cuts)]
    assert got == records


def test_the_largest_records_find_room_one_after_another() -> None:
    sealer, opener = Sealer(KEY), Opener(KEY)
    plains = [bytes([number]) * PLAIN_BYTES_MAX for number in range(5)]
    sent = b"".join(b"".join(sealer.seal(plain)) for plain in plains)
    assert fed(opener, sent, [100_000] * 20) == plains


@pytest.mark.parametrize("at", [0, 4, 20, -1], ids=["length", "first byte", "middle", "last byte"])
def test_a_byte_that_was_changed_ends_the_stream(at: int) -> None:
    sent = bytearray(b"".join(Sealer(KEY).seal(plain_of([b"a packet"] * 9))))
    sent[at] ^= 0x40
    with pytest.raises(Broken):
        fed(Opener(KEY), bytes(sent), [])


@pytest.mark.parametrize("order", [(1, 0), (0, 0), (1,)], ids=["swapped", "repeated", "left out"])
def test_records_in_another_order_end_the_stream(order: tuple[int, ...]) -> None:
    sealer = Sealer(KEY)
    records = [b"".join(sealer.seal(plain_of([text]))) for text in (b"first", b"second")]
    with pytest.raises(Broken):
        fed(Opener(KEY), b"".join(records[number] for number in order), [])


def test_another_key_opens_nothing() -> None:
    with pytest.raises(Broken):
        fed(Opener(bytes(KEY_BYTES)), b"".join(Sealer(KEY).seal(b"")), [])


@pytest.mark.parametrize("length", [0, 15, PLAIN_BYTES_MAX + 17, 2**32 - 1])
def test_records_of_impossible_lengths_end_the_stream(length: int) -> None:
    with pytest.raises(Broken):
        fed(Opener(KEY), length.to_bytes(4, "big") + bytes(100), [])


@given(st.binary(max_size=60))
def test_a_record_gives_packets_or_is_refused(plain: bytes) -> None:
    try:
        packets = [bytes(packet) for packet in packets_of(plain)]
    except Broken:
        return
    assert plain_of(packets) == plain
