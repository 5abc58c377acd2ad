from __future__ import annotations

from ipaddress import IPv4Interface, IPv6Interface

from msgspec.structs import replace

from swarmd.model.ids import NetworkId, NodeId
from swarmd.model.network import NetworkAttachment
from swarmd.network.core.interfaces import (
    Attached,
    Egress,
    Hop,
    Interface,
    addresses_of,
    attached,
    is_confined,
)
from swarmd.network.core.tables import NetworkTable, Peer, Subnet

HERE = NodeId("n1")
EGRESS = Egress(address=IPv4Interface("172.24.0.5/22"), gateway="172.24.0.1")
WEB = NetworkTable(
    network_id=NetworkId("web"),
    name="web",
    subnets=(Subnet("10.0.1.0/24"), Subnet("10.0.2.0/24"), Subnet("fd00::/64")),
)
INGRESS = NetworkTable(
    network_id=NetworkId("ingress"),
    name="ingress",
    subnets=(Subnet("10.255.0.0/16"),),
    ingress=True,
    peers={HERE: Peer(HERE, "192.0.2.1", ("10.255.0.3",))},
)
TABLES = {table.network_id: table for table in (WEB, INGRESS)}


def on(network: str, *addresses: str) -> NetworkAttachment:
    return NetworkAttachment(network_id=NetworkId(network), addresses=addresses)


def test_a_task_on_one_network_leaves_by_the_bridge_of_its_node():
    assert attached([on("web", "10.0.1.5/24")], TABLES, HERE, EGRESS) == Attached(
        networks={
            NetworkId("web"): Interface(
                name="eth0",
                addresses=("10.0.1.5/24",),
                mac="02:42:0a:00:01:05",
                routes=(Hop("10.0.2.0/24"),),
            )
        },
        egress=Interface(
            name="eth1", addresses=("172.24.0.5/22",), routes=(Hop("0.0.0.0/0", "172.24.0.1"),)
        ),
    )


def test_a_task_on_the_ingress_network_leaves_by_the_ingress_namespace_of_its_node():
    attachments = [on("ingress", "10.255.0.9/16"), on("web", "10.0.1.5/24")]
    found = attached(attachments, TABLES, HERE, EGRESS)
    assert found.networks[NetworkId("ingress")].name == "eth0"
    assert found.networks[NetworkId("ingress")].routes == (Hop("0.0.0.0/0", "10.255.0.3"),)
    assert found.networks[NetworkId("web")].name == "eth1"
    # Its node reaches it by the bridge all the same.
    assert found.egress == Interface(name="eth2", addresses=("172.24.0.5/22",))


def test_where_the_node_has_no_ingress_address_tasks_leave_by_its_bridge():
    tables = {**TABLES, NetworkId("ingress"): replace(INGRESS, peers={})}
    found = attached([on("ingress", "10.255.0.9/16")], tables, HERE, EGRESS)
    assert found.networks[NetworkId("ingress")].routes == ()
    assert found.egress is not None
    assert found.egress.routes == (Hop("0.0.0.0/0", "172.24.0.1"),)


def test_subnets_of_both_families_are_one_link_for_a_task_that_has_both():
    found = attached([on("web", "10.0.2.5/24", "fd00::5/64")], TABLES, HERE, None)
    interface = found.networks[NetworkId("web")]
    assert interface.addresses == ("10.0.2.5/24", "fd00::5/64")
    assert interface.routes == (Hop("10.0.1.0/24"),)
    assert found.egress is None


def test_only_a_task_that_is_on_internal_networks_alone_is_confined():
    inner = {**TABLES, NetworkId("web"): replace(WEB, internal=True)}
    assert is_confined([on("web", "10.0.1.5/24")], inner)
    assert not is_confined([on("web", "10.0.1.5/24"), on("ingress", "10.255.0.9/16")], inner)
    assert not is_confined([], inner)


def test_addresses_lose_the_lengths_of_their_prefixes():
    assert addresses_of(on("web", "10.0.2.5/24", "fd00::5/64")) == ("10.0.2.5", "fd00::5")


def test_where_the_node_has_ipv6_tasks_leave_by_it_where_they_leave_by_ipv4():
    both = replace(EGRESS, ipv6=IPv6Interface("fd01::5/64"), ipv6_gateway="fd01::1")
    found = attached([on("web", "10.0.1.5/24")], TABLES, HERE, both)
    assert found.has_ipv6
    assert found.egress is not None
    assert found.egress.addresses == ("172.24.0.5/22", "fd01::5/64")
    assert found.egress.routes == (Hop("0.0.0.0/0", "172.24.0.1"), Hop("::/0", "fd01::1"))

    peer = Peer(HERE, "192.0.2.1", ("10.255.0.3", "fd02::3"))
    tables = {**TABLES, NetworkId("ingress"): replace(INGRESS, peers={HERE: peer})}
    found = attached([on("ingress", "10.255.0.9/16", "fd02::9/64")], tables, HERE, both)
    assert found.networks[NetworkId("ingress")].routes == (
        Hop("0.0.0.0/0", "10.255.0.3"),
        Hop("::/0", "fd02::3"),
    )
    assert found.egress is not None
    assert found.egress.routes == ()


def test_a_task_without_an_address_of_ipv6_has_none():
    assert not attached([on("web", "10.0.1.5/24")], TABLES, HERE, EGRESS).has_ipv6
