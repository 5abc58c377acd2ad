"""Encapsulated packets, and who may send which."""

from __future__ import annotations

from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmd.model.ids import NetworkId, NodeId
from swarmd.network.core.encapsulated import Payload, datagram, payload, peers_of
from swarmd.network.core.tables import NetworkTable, Peer, Subnet

PORT = 4789
ENDS = {4: ("10.0.0.1", "10.0.0.2"), 6: ("fd00::1", "fd00::2")}
packed = {version: [ip_address(one).packed for one in ends] for version, ends in ENDS.items()}


def a_datagram(data: bytes, version: int = 4, port: int = PORT) -> bytes:
    source, target = packed[version]
    return datagram(data, source=source, target=target, ports=(1234, port))


def words(data: bytes) -> int:
    """The sum of all words, carries added; all ones where a checksum among them is right."""
    pairs = (data[at : at + 2].ljust(2, b"\0") for at in range(0, len(data), 2))
    total = sum(int.from_bytes(pair, "big") for pair in pairs)
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return total


@given(st.binary(max_size=2000), st.sampled_from((4, 6)))
def test_what_was_put_in_comes_out(data: bytes, version: int):
    found = payload(a_datagram(data, version), port=PORT)
    assert found is not None
    assert (found.target, bytes(found.data)) == (packed[version][1], data)


@given(st.binary(max_size=2000))
def test_checksums_are_right(data: bytes):
    assert words(a_datagram(data)[:20]) == 0xFFFF
    packet = a_datagram(data, 6)
    pseudo = packet[8:40] + (len(packet) - 40).to_bytes(4, "big") + b"\0\0\0\x11"
    assert words(pseudo + packet[40:]) == 0xFFFF


def test_a_datagram_over_ipv6_never_goes_without_a_sum():
    # Data that makes the sum of everything all ones, of which the complement is 0.
    packet = a_datagram(b"\0\0", 6)
    rest = int.from_bytes(packet[46:48], "big")
    assert a_datagram(rest.to_bytes(2, "big"), 6)[46:48] == b"\xff\xff"


@given(st.binary(max_size=100))
def test_nonsense_holds_nothing_or_less_than_itself(packet: bytes):
    found = payload(packet, port=PORT)
    assert found is None or len(found.data) < len(packet)


@pytest.mark.parametrize("version", [4, 6])
def test_only_datagrams_to_the_port_count(version: int):
    packet = a_datagram(b"x", version)
    protocol = {4: 9, 6: 6}[version]
    tcp = packet[:protocol] + b"\x06" + packet[protocol + 1 :]
    for other in (b"", a_datagram(b"x", version, port=53), tcp, packet[:-1], packet[:27]):
        assert payload(other, port=PORT) is None


def test_a_part_of_a_datagram_holds_nothing():
    packet = a_datagram(b"x")
    assert payload(packet[:6] + b"\x20\x00" + packet[8:], port=PORT) is None
    assert payload(packet, port=PORT) == Payload(packed[4][1], memoryview(b"x"))


def a_table(
    name: str, number: int, *nodes: tuple[str, str], encrypted: bool = False
) -> NetworkTable:
    return NetworkTable(
        network_id=NetworkId(name),
        name=name,
        encrypted=encrypted,
        subnets=(Subnet("10.0.1.0/24", vxlan_id=number),),
        peers={NodeId(one): Peer(NodeId(one), address) for one, address in nodes},
    )


def test_a_node_may_send_packets_of_networks_it_is_on_and_no_others():
    me, one, two = ("me", "10.9.0.1"), ("one", "10.9.0.2"), ("two", "10.9.0.3")
    tables = (
        a_table("front", 1, me, one, two),
        a_table("back", 2, me, two),
        a_table("secret", 3, me, one, encrypted=True),
        a_table("beyond", 4, me, ("six", "fd00::6"), ("down", "")),
    )
    found = peers_of(tables, "me", version=4)
    assert {address: peer.ids for address, peer in found.items()} == {
        "10.9.0.2": {b"\0\0\1"},
        "10.9.0.3": {b"\0\0\1", b"\0\0\2"},
    }
    assert found["10.9.0.2"].packed == bytes((10, 9, 0, 2))
    assert list(peers_of(tables, "me", version=6)) == ["fd00::6"]
