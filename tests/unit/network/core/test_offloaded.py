"""What a sender has left to an interface is done here, and nothing else is touched."""

from __future__ import annotations

import struct
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmd.network.core.offloaded import finished
from swarmd.network.core.sums import checksum, word_sum

BEFORE = b"8 bytes."
ENDS = {4: ("10.0.0.1", "10.0.0.2"), 6: ("fd00::1", "fd00::2")}
TCP, UDP = 6, 17
SUM_AT = {TCP: 16, UDP: 6}
SEQUENCE, IDENTITY = 0xFFFF_FF00, 0xFFFE
FIN, PSH, ACK, CWR = 0x01, 0x08, 0x10, 0x80
versions = st.sampled_from((4, 6))


def packed(version: int) -> bytes:
    return b"".join(ip_address(one).packed for one in ENDS[version])


def pseudo(version: int, protocol: int, length: int) -> int:
    return word_sum(packed(version)) + protocol + length


def frame(version: int, protocol: int, transport: bytes) -> bytes:
    """`BEFORE` and an Ethernet frame, whose packet has a right header."""
    if version == 6:
        header = struct.pack("!IHBB", 6 << 28, len(transport), protocol, 64) + packed(6)
        return BEFORE + bytes(12) + b"\x86\xdd" + header + transport
    header = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(transport), IDENTITY, 0, 64, protocol, 0)
    header += packed(4)
    header = header[:10] + checksum(word_sum(header)).to_bytes(2, "big") + header[12:]
    return BEFORE + bytes(12) + b"\x08\x00" + header + transport


def transport(version: int, protocol: int, body: bytes, *, sums: bool, flags: int = ACK) -> bytes:
    """A segment or datagram; without sums it has that of addresses and length only."""
    if protocol == TCP:
        options = b"\x01\x01\x08\x0a" + bytes(8)
        head = struct.pack("!HHIIBBHHH", 80, 1234, SEQUENCE, 7, 0x80, flags, 100, 0, 0) + options
    else:
        head = struct.pack("!HHHH", 80, 1234, 8 + len(body), 0)
    whole = head + body
    total = pseudo(version, protocol, len(whole))
    noted = checksum(total + word_sum(whole)) if sums else (total - 1) % 0xFFFF + 1
    at = SUM_AT[protocol]
    return whole[:at] + noted.to_bytes(2, "big") + whole[at + 2 :]


def is_right(version: int, protocol: int, segment: bytes) -> bool:
    return (pseudo(version, protocol, len(segment)) + word_sum(segment)) % 0xFFFF == 0


def start_of(version: int) -> int:
    return len(BEFORE) + 14 + (20 if version == 4 else 40)


@given(versions, st.sampled_from((TCP, UDP)), st.binary(max_size=200))
def test_a_sum_of_addresses_and_length_alone_is_completed(
    version: int, protocol: int, body: bytes
) -> None:
    right = frame(version, protocol, transport(version, protocol, body, sums=True))
    begun = frame(version, protocol, transport(version, protocol, body, sums=False))
    assert list(finished(begun, frame_at=len(BEFORE), longest=2000)) == [right]
    assert list(finished(right, frame_at=len(BEFORE), longest=2000)) == [right]


@given(st.binary(max_size=300))
def test_what_is_no_such_packet_is_left_alone(data: bytes) -> None:
    assert list(finished(data, frame_at=len(BEFORE), longest=10)) == [data]


def test_a_datagram_without_a_sum_stays_without() -> None:
    plain = transport(4, UDP, b"x", sums=True)
    none = frame(4, UDP, plain[:6] + bytes(2) + plain[8:])
    assert list(finished(none, frame_at=len(BEFORE), longest=2000)) == [none]


def test_a_part_of_a_packet_is_left_alone() -> None:
    whole = frame(4, TCP, transport(4, TCP, b"x" * 100, sums=False))
    at = len(BEFORE) + 14 + 6
    part = whole[:at] + b"\x20\x00" + whole[at + 2 :]
    assert list(finished(part, frame_at=len(BEFORE), longest=2000)) == [part]


@given(versions, st.binary(min_size=500, max_size=3000), st.integers(200, 400), st.booleans())
def test_what_is_too_long_is_sent_piece_by_piece(
    version: int, body: bytes, longest: int, sums: bool
) -> None:
    flags = FIN | PSH | ACK | CWR
    data = frame(version, TCP, transport(version, TCP, body, sums=sums, flags=flags))
    parts = list(finished(data, frame_at=len(BEFORE), longest=longest))
    assert {len(part) for part in parts[:-1]} == {longest}
    assert len(parts[-1]) <= longest
    at = start_of(version)
    segments = [part[at:] for part in parts]
    assert b"".join(segment[32:] for segment in segments) == body
    sequence = SEQUENCE
    for number, (part, segment) in enumerate(zip(parts, segments, strict=True)):
        assert is_right(version, TCP, segment)
        assert int.from_bytes(segment[4:8], "big") == sequence
        sequence = (sequence + len(segment) - 32) & 0xFFFF_FFFF
        assert bool(segment[13] & CWR) == (number == 0)
        assert bool(segment[13] & FIN) == bool(segment[13] & PSH) == (part is parts[-1])
        ip = part[len(BEFORE) + 14 : at]
        if version == 4:
            assert word_sum(ip) % 0xFFFF == 0
            assert int.from_bytes(ip[2:4], "big") == len(ip) + len(segment)
            assert int.from_bytes(ip[4:6], "big") == (IDENTITY + number) & 0xFFFF
        else:
            assert int.from_bytes(ip[4:6], "big") == len(segment)


@pytest.mark.parametrize("version", [4, 6])
def test_no_datagram_is_cut(version: int) -> None:
    data = frame(version, UDP, transport(version, UDP, b"x" * 500, sums=True))
    assert list(finished(data, frame_at=len(BEFORE), longest=100)) == [data]
