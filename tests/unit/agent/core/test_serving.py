"""What a task serves, by its ports and networks, and who still comes to it."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from swarmd.agent.core import serving
from swarmd.agent.core.serving import Service
from swarmd.agent.core.sockets import Connection, Sockets
from swarmd.lb.core.tables import ServiceEndpoints, Tables
from swarmd.model.ids import NetworkId, ServiceId, TaskId
from swarmd.model.instant import SECOND
from swarmd.model.network import NetworkAttachment
from swarmd.model.spec import ContainerSpec, EndpointSpec, PortConfig, TaskSpec
from swarmd.model.states import Protocol, PublishMode
from swarmd.model.task import Task
from swarmd.network.core.dual import six_of
from swarmd.network.core.tables import NetworkTable, ServiceRow

WEB = ServiceId("web")
BACK = NetworkId("back")
TASK = Task(id=TaskId("t1"), service_id=WEB, spec=TaskSpec(container_spec=ContainerSpec()))
PUBLISHED = replace(TASK, ports=(PortConfig(target_port=80, published_port=8080),))
ATTACHED = replace(TASK, networks=(NetworkAttachment(network_id=BACK, addresses=("10.0.1.4/24",)),))
ON_HOST = replace(TASK, ports=(PortConfig(target_port=80, publish_mode=PublishMode.HOST),))
LOCAL = replace(TASK, networks=(NetworkAttachment(network_id=NetworkId("host")),))


@pytest.mark.parametrize(
    "task", [TASK, ON_HOST, LOCAL], ids=["plain", "host port", "local network"]
)
def test_nobody_is_balanced_to_tasks_without_mesh_ports_and_networks(task: Task) -> None:
    assert serving.service_of(task) is None


def test_ports_and_networks_are_where_others_come_from() -> None:
    assert serving.service_of(PUBLISHED) == Service(WEB, True, (), 10 * SECOND)
    assert serving.service_of(ATTACHED) == Service(WEB, False, (BACK,), 10 * SECOND)


@pytest.mark.parametrize(
    ("grace_ns", "drain_ns", "expected_ns"),
    [(None, None, 10 * SECOND), (3, None, 3), (3, 7, 7), (3, 0, 0)],
)
def test_connections_have_as_long_as_the_stop_takes_unless_the_service_says_else(
    grace_ns: int | None, drain_ns: int | None, expected_ns: int
) -> None:
    task = replace(
        PUBLISHED,
        spec=TaskSpec(container_spec=ContainerSpec(stop_grace_period_ns=grace_ns)),
        endpoint_spec=EndpointSpec(drain_timeout_ns=drain_ns),
    )
    service = serving.service_of(task)
    assert service is not None
    assert service.drain_timeout_ns == expected_ns


def test_a_service_that_left_all_tables_is_nobodys() -> None:
    published = Tables(3, {WEB: ServiceEndpoints(WEB, "web", ())})
    networks = {BACK: NetworkTable(BACK, "back", services={WEB: ServiceRow(WEB, "web")})}
    both = replace(PUBLISHED, networks=ATTACHED.networks)
    service = serving.service_of(both)
    assert service is not None
    assert serving.is_known(service, published, {})
    assert serving.is_known(service, Tables(), networks)
    assert not serving.is_known(service, Tables(), {BACK: NetworkTable(BACK, "back")})


def test_ports_are_numbered_as_where_the_task_runs() -> None:
    ports = (PortConfig(target_port=80), PortConfig(target_port=53, protocol=Protocol.UDP))
    task = replace(TASK, ports=ports)
    at = (PortConfig(target_port=80, published_port=32768),)
    assert serving.has_tcp_ports(task)
    assert serving.tcp_ports(task, at, own_namespace=True) == {80}
    assert serving.tcp_ports(task, at, own_namespace=False) == {32768}
    assert serving.tcp_ports(task, (), own_namespace=False) == {80}


def test_connections_of_other_programs_of_the_node_are_not_the_tasks() -> None:
    sockets = Sockets(
        listening=frozenset({80, 5432}),
        connections=(
            Connection(80, internal=True),
            Connection(5432, internal=False),
            Connection(5432, internal=True),
            Connection(40000, internal=False),
        ),
    )
    ports = frozenset({80})
    assert serving.open_connections(sockets, ports, own_namespace=False) == 1
    assert serving.open_connections(sockets, ports, own_namespace=True) == 2


def test_udp_clients_are_told_by_sockets_or_by_what_the_task_declares() -> None:
    task = replace(TASK, ports=(PortConfig(target_port=53, protocol=Protocol.UDP),))
    taking = Sockets(datagrams=frozenset({53}))
    assert serving.has_datagrams(replace(TASK, ports=()), taking, own_namespace=True)
    assert not serving.has_datagrams(task, Sockets(), own_namespace=True)
    assert serving.has_datagrams(task, Sockets(), own_namespace=False)
    assert not serving.has_datagrams(replace(TASK, ports=()), taking, own_namespace=False)


def test_what_people_read_counts_connections() -> None:
    assert [serving.draining(count) for count in (1, 3)] == [
        "draining: 1 connection",
        "draining: 3 connections",
    ]


def test_ports_of_the_mesh_are_told_that_are_answered_over_ipv6() -> None:
    dns = PortConfig(target_port=53, published_port=5353, protocol=Protocol.UDP)
    task = replace(
        PUBLISHED,
        ports=(
            *PUBLISHED.ports,
            dns,
            replace(dns, published_port=5354),
            PortConfig(target_port=443, published_port=8443),
            *ON_HOST.ports,
        ),
    )
    on_ingress = NetworkAttachment(network_id=NetworkId("i"), addresses=("10.0.0.9/24",))
    task = replace(task, networks=(on_ingress,))
    sockets = Sockets(ipv6=frozenset({80, 53, 9000}), ipv6_datagrams=frozenset({53, 443}))
    found = (PortConfig(target_port=80), PortConfig(target_port=53, protocol=Protocol.UDP))
    assert serving.ipv6_ports(task, sockets, {"fe80::1", six_of("10.0.0.9")}) == found
    given = replace(on_ingress, addresses=("10.0.0.9/24", "fd00::9/64"))
    assert serving.ipv6_ports(replace(task, networks=(given,)), sockets, {"fd00::9"}) == found
    # Others can't come by IPv6, whatever the task would answer.
    assert serving.ipv6_ports(task, sockets, {"fe80::1", "fd53::9"}) == ()
    assert serving.ipv6_ports(ON_HOST, sockets, {six_of("10.0.0.9")}) == ()
