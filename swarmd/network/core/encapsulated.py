"""Encapsulated packets as bytes, and who may send which. Pure."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from ipaddress import ip_address
from typing import NamedTuple

from swarmd.network.core.sums import checksum, word_sum
from swarmd.network.core.tables import NetworkTable

_UDP = 17
_TIME_TO_LIVE = 64
_V4_WITHOUT_OPTIONS, _V6 = 0x45, 6
_FRAGMENT = 0x3FFF  # more fragments, and the offset
_V4_HEADER = struct.Struct("!BBHHHBBH4s4s")
_V6_HEADER = struct.Struct("!IHBB16s16s")
_UDP_HEADER = struct.Struct("!HHHH")
_PSEUDO_HEADER = struct.Struct("!16s16sIxxxB")
_V4_BYTES = 4

# Bytes of a packet beside what `datagram` is to hold, by family.
HEADERS = {4: _V4_HEADER.size + _UDP_HEADER.size, 6: _V6_HEADER.size + _UDP_HEADER.size}
VXLAN_BYTES = 8


class Peer(NamedTuple):
    """A node that shares networks with this one, which aren't encrypted."""

    packed: bytes  # its address as it is in packets
    ids: frozenset[bytes]  # of the VXLANs of these networks


class Payload(NamedTuple):
    """What is to be sent, and where to: an address as it is in packets."""

    target: bytes
    data: memoryview


def peers_of(tables: Iterable[NetworkTable], node_id: str, *, version: int) -> dict[str, Peer]:
    """The nodes to exchange packets of plain networks with, by their addresses of a family."""
    ids: dict[str, set[bytes]] = {}
    for table in tables:
        if table.encrypted:
            continue
        numbers = {row.vxlan_id.to_bytes(3, "big") for row in table.subnets if row.vxlan_id}
        for peer in table.peers.values():
            if peer.node_id != node_id and peer.underlay:
                ids.setdefault(peer.underlay, set()).update(numbers)
    found = {ip_address(address): numbers for address, numbers in ids.items()}
    return {
        str(address): Peer(address.packed, frozenset(numbers))
        for address, numbers in found.items()
        if address.version == version
    }


def payload(packet: bytes, *, port: int) -> Payload | None:
    """What a packet to a UDP port holds; None if it is any other packet, or a part of one."""
    if not packet:
        return None
    if packet[0] == _V4_WITHOUT_OPTIONS:
        start = _V4_HEADER.size
        is_whole = len(packet) > start and not int.from_bytes(packet[6:8], "big") & _FRAGMENT
        if not is_whole or packet[9] != _UDP:
            return None
        target = packet[16:20]
    else:
        start = _V6_HEADER.size
        if packet[0] >> 4 != _V6 or len(packet) <= start or packet[6] != _UDP:
            return None
        target = packet[24:40]
    if len(packet) < start + _UDP_HEADER.size:
        return None
    _, to, length, _ = _UDP_HEADER.unpack_from(packet, start)
    if to != port or not _UDP_HEADER.size <= length <= len(packet) - start:
        return None
    return Payload(target, memoryview(packet)[start + _UDP_HEADER.size : start + length])


def datagram(data: bytes, *, source: bytes, target: bytes, ports: tuple[int, int]) -> bytes:
    """A packet that holds `data`, between two addresses of one family as they are in packets.

    Args:
        ports: of the sender and of the receiver.
    """
    length = len(data) + _UDP_HEADER.size
    if len(source) == _V4_BYTES:
        first = (_V4_WITHOUT_OPTIONS, 0, length + _V4_HEADER.size, 0, 0, _TIME_TO_LIVE, _UDP)
        own = checksum(word_sum(_V4_HEADER.pack(*first, 0, source, target)))
        # Over IPv4 a datagram may go without a sum of its own, as VXLAN's do.
        header = _V4_HEADER.pack(*first, own, source, target)
        return header + _UDP_HEADER.pack(*ports, length, 0) + data
    header = _V6_HEADER.pack(_V6 << 28, length, _UDP, _TIME_TO_LIVE, source, target)
    pseudo = _PSEUDO_HEADER.pack(source, target, length, _UDP)
    own = checksum(word_sum(pseudo + _UDP_HEADER.pack(*ports, length, 0) + data))
    return header + _UDP_HEADER.pack(*ports, length, own) + data
