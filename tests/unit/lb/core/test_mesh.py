"""Which published ports lead where."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from swarmd.lb.core.mesh import (
    NOT_A_PEER,
    MeshPeer,
    MeshPort,
    MeshState,
    Source,
    mark_of_target,
    mesh_state,
    split,
)
from swarmd.lb.core.plan import PortKey
from swarmd.lb.core.tables import (
    Backend,
    PortMapping,
    PublishedPort,
    ServiceEndpoints,
    Tables,
)
from swarmd.lb.ipvs.mesh_text import mark_of_port
from swarmd.lb.nft.mesh_text import MASQUERADED
from swarmd.manager.validate.network import PREFIX_V4
from swarmd.model.ids import NetworkId, NodeId, ServiceId, TaskId
from swarmd.model.states import PortPolicy, Protocol
from swarmd.network.core.dual import DualStack, six_of
from swarmd.network.core.tables import Endpoint, NetworkTable, Peer, Subnet

HTTP = PublishedPort(Protocol.TCP, 8080, 80)


def row(name: str, *ingress: str) -> ServiceEndpoints:
    backends = tuple(
        Backend(TaskId(f"{name}{n}"), NodeId("n1"), "192.0.2.1", ingress_address=address)
        for n, address in enumerate(ingress)
    )
    return ServiceEndpoints(ServiceId(name), name, (HTTP,), backends)


@pytest.mark.parametrize(
    ("addresses", "kernel"),
    [
        (("10.0.0.11", "10.0.0.12"), True),
        (("10.0.0.11", ""), False),  # one on a node that has no ingress network
        ((), False),
    ],
)
def test_ports_are_the_kernels_when_all_their_tasks_are_on_the_ingress_network(
    addresses: tuple[str, ...], kernel: bool
) -> None:
    web = row("web", *addresses)
    shared = split(Tables(7, {web.service_id: web}))
    assert bool(shared.ports) is kernel
    assert bool(shared.rest.services) is not kernel
    assert shared.rest.version == 7


@pytest.mark.parametrize(
    ("policy", "source"),
    [
        (PortPolicy.SOURCE, Source.KEEP),
        (PortPolicy.LOCAL, Source.KEEP),
        (PortPolicy.MASQUERADE, Source.MASQUERADE),
    ],
)
def test_the_policy_of_a_port_says_what_its_tasks_see_of_clients(
    policy: PortPolicy, source: Source
) -> None:
    web = replace(row("web", "10.0.0.11"), ports=(replace(HTTP, policy=policy),))
    (port,) = split(Tables(7, {web.service_id: web})).ports
    assert port.source is source


def endpoint(name: str, node: str, address: str, *, ready: bool = True) -> Endpoint:
    return Endpoint(TaskId(name), ServiceId("web"), NodeId(node), (address,), ready=ready)


def ingress(*endpoints: Endpoint) -> NetworkTable:
    return NetworkTable(
        NetworkId("i"),
        "ingress",
        ingress=True,
        subnets=(Subnet("fd00::/64"), Subnet("10.0.0.0/24")),
        peers={
            NodeId(f"n{n}"): Peer(
                NodeId(f"n{n}"), f"192.0.2.{n}", (f"fd00::{n}", f"10.0.0.{n + 1}")
            )
            for n in (1, 2, 3)
        },
        endpoints={row.task_id: row for row in endpoints},
    )


def test_tasks_elsewhere_are_reached_by_their_nodes() -> None:
    port = MeshPort(PortKey(Protocol.TCP, 8080), 80, ("10.0.0.11", "10.0.0.12"))
    table = ingress(endpoint("a", "n1", "10.0.0.11"), endpoint("b", "n2", "10.0.0.12"))
    assert mesh_state((port,), table, NodeId("n1"), {}) == MeshState(
        own="10.0.0.2",
        subnet="10.0.0.0/24",
        ports=(port,),
        peers=(
            MeshPeer(3, "10.0.0.3", "02:42:0a:00:00:03"),
            MeshPeer(4, "10.0.0.4", "02:42:0a:00:00:04"),
        ),
        ways={"10.0.0.12": "10.0.0.3"},
    )


def test_connections_to_a_task_that_leaves_or_left_are_led_on() -> None:
    table = ingress(
        endpoint("a", "n1", "10.0.0.11", ready=False),
        endpoint("b", "n2", "10.0.0.12"),
        endpoint("c", "n2", "10.0.0.13", ready=False),  # another node's business
    )
    stopped = {
        "10.0.0.14": endpoint("d", "n1", "10.0.0.14"),
        "10.0.0.15": endpoint("e", "n3", "10.0.0.15"),
    }
    state = mesh_state((), table, NodeId("n1"), stopped)
    assert state is not None
    assert state.rescue == {"10.0.0.11": ("10.0.0.12",), "10.0.0.14": ("10.0.0.12",)}
    # Those elsewhere are led on there, so the way stays.
    assert state.ways == {"10.0.0.15": "10.0.0.4"} | dict.fromkeys(
        ("10.0.0.12", "10.0.0.13"), "10.0.0.3"
    )


def test_without_others_to_lead_to_connections_are_left_where_they_are() -> None:
    state = mesh_state((), ingress(endpoint("a", "n1", "10.0.0.11", ready=False)), NodeId("n1"), {})
    assert state is not None
    assert state.rescue == {}


def test_a_task_that_was_never_ready_is_no_task_that_leaves() -> None:
    table = ingress(
        endpoint("a", "n1", "10.0.0.11", ready=False), endpoint("b", "n2", "10.0.0.12", ready=True)
    )
    known, late = (
        mesh_state((), table, NodeId("n1"), {}, coming)
        for coming in (frozenset(), frozenset({"10.0.0.11"}))
    )
    assert known is not None
    assert late is not None
    assert known.rescue == {"10.0.0.11": ("10.0.0.12",)}
    assert late.rescue == {}


def test_a_node_without_an_address_there_has_no_mesh() -> None:
    assert mesh_state((), ingress(), NodeId("n9"), {}) is None


def test_the_mesh_of_ipv6_has_the_ports_whose_tasks_all_answer_there() -> None:
    over_six = (PortMapping(Protocol.TCP, 80, 80, ipv6=True),)
    web, old = row("web", "10.0.0.11", "10.0.0.12"), row("old", "10.0.0.13")
    web = replace(
        web,
        backends=tuple(replace(one, ports=over_six) for one in web.backends),
    )
    old = replace(old, ports=(replace(HTTP, published_port=8081),))
    ports = split(Tables(7, {one.service_id: one for one in (web, old)})).ports
    narrow = ingress(endpoint("a", "n1", "10.0.0.11"), endpoint("b", "n2", "10.0.0.12"))
    narrow = replace(
        narrow,
        subnets=narrow.subnets[1:],
        peers={
            key: replace(peer, addresses=peer.addresses[1:]) for key, peer in narrow.peers.items()
        },
    )
    assert mesh_state(ports, narrow, NodeId("n1"), {}, version=6) is None
    state = mesh_state(ports, DualStack().widen(narrow), NodeId("n1"), {}, version=6)
    assert state is not None
    assert state.version == 6
    assert state.own == six_of("10.0.0.2")
    assert [(port.key.port, port.targets) for port in state.ports] == [
        (8080, (six_of("10.0.0.11"), six_of("10.0.0.12")))
    ]
    # Peers go by the same numbers and hardware addresses as in the mesh of IPv4.
    assert state.peers == (
        MeshPeer(3, six_of("10.0.0.3"), "02:42:0a:00:00:03"),
        MeshPeer(4, six_of("10.0.0.4"), "02:42:0a:00:00:04"),
    )
    assert state.ways == {six_of("10.0.0.12"): six_of("10.0.0.3")}


def test_ports_on_some_addresses_are_told_apart_by_family() -> None:
    port = MeshPort(PortKey(Protocol.TCP, 80), 80, (), addresses=("192.0.2.1", "fd00::1"))
    assert port.located(4) == ("192.0.2.1",)
    assert port.located(6) == ("fd00::1",)
    assert replace(port, addresses=None).located(6) is None


def test_no_number_of_a_peer_is_any_other_mark() -> None:
    largest = (1 << (32 - int(PREFIX_V4.low))) - 1
    others = [
        MASQUERADED,
        *(mark_of_port(PortKey(protocol, port)) for protocol in Protocol for port in (1, 65_535)),
        *map(mark_of_target, ("1.0.0.0", "10.0.77.83", "fd00::1", six_of("10.0.77.83"))),
    ]
    assert not largest & NOT_A_PEER
    assert all(mark & NOT_A_PEER for mark in others)


def test_both_addresses_of_a_task_have_one_mark() -> None:
    assert mark_of_target(six_of("10.0.0.11")) == mark_of_target("10.0.0.11")
