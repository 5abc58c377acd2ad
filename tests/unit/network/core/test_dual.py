"""IPv6 addresses of the ingress network, which follow from its IPv4 ones."""

from __future__ import annotations

from ipaddress import ip_address, ip_interface, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from swarmd.model.ids import NetworkId, NodeId, ServiceId, TaskId
from swarmd.model.network import NetworkAttachment
from swarmd.network.core.dual import DualStack, four_of, six_of, widened
from swarmd.network.core.tables import Endpoint, NetworkTable, Peer, Subnet

TABLE = NetworkTable(
    network_id=NetworkId("i"),
    name="ingress",
    ingress=True,
    subnets=(Subnet("10.255.0.0/16", "10.255.0.1", 4096),),
    peers={NodeId("n1"): Peer(NodeId("n1"), "192.0.2.1", ("10.255.0.3",))},
    endpoints={
        TaskId("t1"): Endpoint(TaskId("t1"), ServiceId("s"), NodeId("n1"), ("10.255.0.9",)),
    },
)
SIX = "fdc5:7761:726d:1::aff:9"


@given(st.ip_addresses(v=4).map(str))
def test_every_address_has_one_of_ipv6_and_is_found_by_it(address: str) -> None:
    assert four_of(six_of(address)) == address
    assert ip_address(six_of(address)).version == 6


@pytest.mark.parametrize("address", ["10.0.0.1", "fd00::1"])
def test_addresses_that_follow_from_none_stand_for_themselves(address: str) -> None:
    assert four_of(address) == address


def test_everybody_on_the_ingress_network_gets_both_on_the_same_vxlan() -> None:
    wide = DualStack().widen(TABLE)
    assert wide.subnets == (*TABLE.subnets, Subnet("fdc5:7761:726d:1::aff:0/112", vxlan_id=4096))
    assert wide.endpoints[TaskId("t1")].addresses == ("10.255.0.9", SIX)
    assert wide.peers[NodeId("n1")].addresses == ("10.255.0.3", "fdc5:7761:726d:1::aff:3")
    block = ip_network(wide.subnets[1].cidr)
    assert all(
        ip_address(row.addresses[1]) in block
        for row in (*wide.peers.values(), *wide.endpoints.values())
    )


def test_what_stays_the_same_stays_the_same_object() -> None:
    dual = DualStack()
    first = dual.widen(TABLE)
    assert dual.widen(TABLE) is first
    other = Endpoint(TaskId("t2"), ServiceId("s"), NodeId("n1"), ("10.255.0.10",))
    later = dual.widen(replace(TABLE, endpoints={**TABLE.endpoints, other.task_id: other}))
    assert later.endpoints[TaskId("t1")] is first.endpoints[TaskId("t1")]
    assert later.peers[NodeId("n1")] is first.peers[NodeId("n1")]


def test_other_networks_and_an_ingress_network_with_ipv6_of_its_own_stay_as_they_are() -> None:
    given = replace(TABLE, subnets=(*TABLE.subnets, Subnet("fd00::/64")))
    for table in (replace(TABLE, ingress=False), given):
        assert DualStack().widen(table) is table


def test_a_task_has_all_its_addresses_where_the_table_has() -> None:
    attachment = NetworkAttachment(network_id=TABLE.network_id, addresses=("10.255.0.9/16",))
    wide = widened(attachment, DualStack().widen(TABLE))
    assert wide.addresses == ("10.255.0.9/16", f"{SIX}/112")
    assert ip_interface(wide.addresses[1]).network == ip_network("fdc5:7761:726d:1::aff:0/112")
    assert widened(attachment, TABLE) is attachment
