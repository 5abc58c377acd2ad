"""What encrypted networks ask of a node."""

from __future__ import annotations

from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmd.model.ids import NetworkId, NodeId
from swarmd.model.network import Mechanism
from swarmd.model.network_keys import GOSSIP, IPSEC, NetworkKey
from swarmd.network.core.encryption import (
    Peer,
    association,
    guarded,
    ipsec,
    newest_first,
    peers_of,
    sending,
    target_of,
    vxlan_between,
)
from swarmd.network.core.tables import NetworkTable, Subnet
from swarmd.network.core.tables import Peer as Row

ME, OTHER, THIRD = "10.99.1.1", "10.99.1.2", "10.99.1.3"
KEYS = tuple(
    NetworkKey(subsystem=IPSEC, key=bytes([number]) * 16, lamport_time=number)
    for number in (7, 9, 5)
)


def a_table(number: int, mechanism: Mechanism | None, *peers: Row) -> NetworkTable:
    return NetworkTable(
        network_id=NetworkId(f"net{number}"),
        name=f"net{number}",
        subnets=(Subnet("10.0.0.0/24", vxlan_id=number),),
        encrypted=mechanism is not None,
        mechanism=mechanism,
        peers={row.node_id: row for row in peers},
    )


def test_the_guard_knows_the_networks_of_each_mechanism() -> None:
    found = guarded(
        (
            a_table(4099, Mechanism.TUNNEL),
            a_table(4097, Mechanism.TUNNEL),
            a_table(4098, Mechanism.IPSEC),
            a_table(4100, None),
        )
    )
    assert found.of(Mechanism.TUNNEL) == (4097, 4099)
    assert found.of(Mechanism.IPSEC) == (4098,)


def test_peers_are_the_other_nodes_that_are_up() -> None:
    rows = (
        Row(NodeId("me"), ME),
        Row(NodeId("other"), OTHER, stream="10.99.1.2:2377"),
        Row(NodeId("down"), ""),
    )
    tables = (a_table(1, Mechanism.TUNNEL, *rows), a_table(2, Mechanism.IPSEC, rows[1]))
    assert peers_of(tables, Mechanism.TUNNEL, NodeId("me")) == (
        Peer(OTHER, NodeId("other"), "10.99.1.2:2377"),
    )


def test_both_ends_agree_on_associations_of_all_keys_and_send_with_the_middle_one() -> None:
    keys = newest_first(KEYS, IPSEC)
    assert [key.lamport_time for key in keys] == [9, 7, 5]
    mine = ipsec(ME, (Peer(OTHER, NodeId("other")), Peer(THIRD, NodeId("third"))), keys)
    theirs = ipsec(OTHER, (Peer(ME, NodeId("me")),), keys)
    assert mine.sending[OTHER] in theirs.associations
    assert theirs.sending[ME] in mine.associations
    assert mine.sending[OTHER] == association(ME, OTHER, keys[1])
    to_me = {one for one in mine.associations if one.target == ME and one.source == OTHER}
    assert len(to_me) == 3
    # Nobody ever uses the counter of another under the same key.
    secrets = [one.secret for one in mine.associations]
    assert len(set(secrets)) == len(secrets)


def test_without_keys_nobody_sends_anything() -> None:
    other = (Peer(OTHER, NodeId("other")),)
    assert not ipsec(ME, other, ()).sending
    assert not ipsec(ME, other, newest_first(KEYS, GOSSIP)).associations
    assert sending(()) is None
    assert sending(KEYS[:1]) is KEYS[0]


def test_associations_hide_their_secret() -> None:
    one = association(ME, OTHER, KEYS[0])
    assert repr(one.secret) not in repr(one)


def vxlan(
    source: str,
    target: str,
    number: int,
    *,
    fragment: int = 0,
    protocol: int = 17,
    port: int = 4789,
) -> bytes:
    ends = ip_address(source).packed + ip_address(target).packed
    udp = (1234).to_bytes(2, "big") + port.to_bytes(2, "big") + bytes(4)
    inner = udp + b"\x08\0\0\0" + number.to_bytes(3, "big") + b"\0" + b"frame"
    if ip_address(source).version == 4:
        head = bytes([0x45, 0, 0, 0, 0, 0]) + fragment.to_bytes(2, "big")
        return head + bytes([64, protocol, 0, 0]) + ends + inner
    return bytes([0x60, 0, 0, 0, 0, 0, protocol, 64]) + ends + inner


def between(packet: bytes | memoryview, source: str = ME, target: str = OTHER) -> bytes | None:
    return vxlan_between(packet, ip_address(source).packed, ip_address(target).packed)


@pytest.mark.parametrize(("source", "target"), [(ME, OTHER), ("fd99::1", "fd99::2")])
def test_vxlan_packets_are_known_by_their_ends_and_id(source: str, target: str) -> None:
    packet = vxlan(source, target, 0xABCDEF)
    assert between(packet, source, target) == b"\xab\xcd\xef"
    assert between(memoryview(packet), source, target) == b"\xab\xcd\xef"
    assert between(packet, target, source) is None
    assert between(packet[:-6], source, target) is None
    assert target_of(packet) == ip_address(target).packed


def test_anything_else_is_nothing() -> None:
    assert between(vxlan(ME, OTHER, 1, fragment=0x2000)) is None
    assert between(vxlan(ME, OTHER, 1, fragment=3)) is None
    assert between(vxlan(ME, OTHER, 1, protocol=6)) is None
    assert between(vxlan(ME, OTHER, 1, port=22)) is None
    assert between(vxlan(ME, THIRD, 1)) is None
    assert between(vxlan("fd99::1", "fd99::2", 1, protocol=44), "fd99::1", "fd99::2") is None
    assert between(vxlan("fd99::1", "fd99::2", 1)) is None


@given(st.binary(max_size=80))
def test_no_bytes_are_too_strange(packet: bytes) -> None:
    assert between(packet) is None
    assert between(packet, "fd99::1", "fd99::2") is None
