"""Frames that were left unfinished for a network interface, as bytes. Pure.

Where the sender's packets come here without any interface of hardware in between, as from another
namespace of the same machine, the kernel leaves two things undone in what it has encapsulated: the
checksum holds no more than the sum of addresses and length, and what TCP sends may be in one packet
as large as packets get. The kernel of the receiver knows by what it has noted beside the packet; a
socket is handed the bytes alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from swarmd.network.core.sums import NONE, WORD, checksum, word_sum

_TYPE_AT, _IP_AT = 12, 14  # of an Ethernet header
_IPV4, _IPV6 = b"\x08\x00", b"\x86\xdd"
_IPV4_BYTES, _IPV6_BYTES = 20, 40
_FRAGMENT = 0x3FFF  # more fragments, and the offset
_TCP, _UDP = 6, 17
_SUM_AT = {_TCP: 16, _UDP: 6}
_LEAST = {_TCP: 20, _UDP: 8}
_LAST_ONLY, _FIRST_ONLY = 0x09, 0x80  # FIN and PSH; CWR


class _Packet(NamedTuple):
    """Where the parts of a packet with TCP or UDP begin."""

    ip: int
    ipv6: bool
    protocol: int
    transport: int
    end: int


def finished(data: bytes, *, frame_at: int, longest: int) -> Iterator[bytes]:
    """What an interface would have made of `data`: mostly just that.

    Args:
        frame_at: where in it an Ethernet frame begins; what is before goes with each part.
        longest: bytes that all of a part may have; only TCP is ever cut.
    """
    found = _packet(data, frame_at)
    if found is None:
        yield data
    elif found.protocol == _TCP and len(data) > longest:
        yield from _cut(data, found, longest)
    elif _is_unfinished(data, found):
        yield _summed(bytearray(data), found)
    else:
        yield data


def _packet(data: bytes, frame_at: int) -> _Packet | None:
    """What is known of a packet that may be unfinished; None of any other."""
    ip = frame_at + _IP_AT
    kind = data[frame_at + _TYPE_AT : ip]
    if kind == _IPV4 and len(data) >= ip + _IPV4_BYTES:
        transport = ip + 4 * (data[ip] & 0xF)
        end = ip + int.from_bytes(data[ip + 2 : ip + 4], "big")
        if int.from_bytes(data[ip + 6 : ip + 8], "big") & _FRAGMENT:
            return None
        protocol = data[ip + 9]
    elif kind == _IPV6 and len(data) >= ip + _IPV6_BYTES:
        transport = ip + _IPV6_BYTES
        end = transport + int.from_bytes(data[ip + 4 : ip + 6], "big")
        protocol = data[ip + 6]
    else:
        return None
    if protocol not in _LEAST or end > len(data) or end < transport + _LEAST[protocol]:
        return None
    return _Packet(ip, kind == _IPV6, protocol, transport, end)


def _is_unfinished(data: bytes, packet: _Packet) -> bool:
    at = packet.transport + _SUM_AT[packet.protocol]
    noted = int.from_bytes(data[at : at + 2], "big")
    return noted != NONE and noted % WORD == _pseudo_sum(data, packet) % WORD


def _pseudo_sum(data: bytes | bytearray, packet: _Packet) -> int:
    """Of what is summed beside the packet itself: both addresses, protocol and length."""
    addresses = (
        slice(packet.ip + 8, packet.ip + 40)
        if packet.ipv6
        else slice(packet.ip + 12, packet.ip + 20)
    )
    return word_sum(data[addresses]) + packet.protocol + packet.end - packet.transport


def _summed(data: bytearray, packet: _Packet) -> bytes:
    at = packet.transport + _SUM_AT[packet.protocol]
    data[at : at + 2] = bytes(2)
    total = _pseudo_sum(data, packet) + word_sum(data[packet.transport : packet.end])
    data[at : at + 2] = checksum(total).to_bytes(2, "big")
    return bytes(data)


def _cut(data: bytes, packet: _Packet, longest: int) -> Iterator[bytes]:
    """The packets that TCP would have sent one by one."""
    body = packet.transport + 4 * (data[packet.transport + 12] >> 4)
    room = longest - body
    if room <= 0 or body > packet.end:
        yield data
        return
    identity = int.from_bytes(data[packet.ip + 4 : packet.ip + 6], "big")
    sequence = int.from_bytes(data[packet.transport + 4 : packet.transport + 8], "big")
    for number, begin in enumerate(range(body, packet.end, room)):
        end = min(begin + room, packet.end)
        part = bytearray(data[:body] + data[begin:end])
        length = len(part) - packet.ip
        if packet.ipv6:
            _put(part, packet.ip + 4, length - _IPV6_BYTES)
        else:
            _put(part, packet.ip + 2, length)
            _put(part, packet.ip + 4, identity + number)
            _put(part, packet.ip + 10, 0)
            _put(part, packet.ip + 10, checksum(word_sum(part[packet.ip : packet.transport])))
        offset = sequence + begin - body
        part[packet.transport + 4 : packet.transport + 8] = (offset & 0xFFFF_FFFF).to_bytes(
            4, "big"
        )
        flags = part[packet.transport + 13]
        flags &= 0xFF if number == 0 else ~_FIRST_ONLY
        flags &= 0xFF if end == packet.end else ~_LAST_ONLY
        part[packet.transport + 13] = flags
        yield _summed(part, packet._replace(end=len(part)))


def _put(data: bytearray, at: int, number: int) -> None:
    data[at : at + 2] = (number & 0xFFFF).to_bytes(2, "big")
