"""Which published ports lead where."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from swarmd.lb.core.mesh import MeshPeer, MeshPort, MeshState, Source, mesh_state, split
from swarmd.lb.core.plan import PortKey
from swarmd.lb.core.tables import Backend, PublishedPort, ServiceEndpoints, Tables
from swarmd.model.ids import NetworkId, NodeId, ServiceId, TaskId
from swarmd.model.states import PortPolicy, Protocol
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
        peers=(MeshPeer(3, "10.0.0.3"), MeshPeer(4, "10.0.0.4")),
        ways={"10.0.0.12": "10.0.0.3"},
    )


def test_connections_to_a_task_that_leaves_or_left_are_led_on() -> None:
    table = ingress(
        endpoint("a", "n1", "10.0.0.11", ready=False),
        endpoint("b", "n2", "10.0.0.12"),
        endpoint("c", "n2", "10.0.0.13", ready=False),  # another node's business
    )
    state = mesh_state((), table, NodeId("n1"), {"10.0.0.14": ServiceId("web")})
    assert state is not None
    assert state.rescue == {"10.0.0.11": ("10.0.0.12",), "10.0.0.14": ("10.0.0.12",)}


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
