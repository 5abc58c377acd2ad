"""What names stand for."""

from __future__ import annotations

import pytest

from swarmd.model.ids import NetworkId, NodeId, ServiceId, TaskId
from swarmd.model.states import Protocol
from swarmd.network.core.names import TASK_TTL_S, VIRTUAL_TTL_S, Answer, Names, Place, Want
from swarmd.network.core.tables import Endpoint, NetworkTable, ServicePort, ServiceRow

FRONT, BACK = NetworkId("front"), NetworkId("back")


def task(name: str, service: str, *addresses: str, ready: bool = True, **more: object) -> Endpoint:
    return Endpoint(
        TaskId(name),
        ServiceId(service),
        NodeId("n"),
        addresses,
        names=(f"{service}.{name}", *more.get("names", ())),  # type: ignore[misc]
        ready=ready,
    )


def network(
    network_id: NetworkId, *rows: ServiceRow | Endpoint, ingress: bool = False
) -> NetworkTable:
    return NetworkTable(
        network_id,
        f"{network_id}-net",
        ingress=ingress,
        services={row.service_id: row for row in rows if isinstance(row, ServiceRow)},
        endpoints={row.task_id: row for row in rows if isinstance(row, Endpoint)},
    )


WEB = ServiceRow(
    ServiceId("web"),
    "web",
    aliases=("www",),
    virtual_ips=("10.0.1.2", "fd01::2"),
    ports=(ServicePort(Protocol.TCP, 80, 8080, "http"),),
)
CACHE = ServiceRow(ServiceId("cache"), "cache", aliases=("store",))
TABLES = {
    FRONT: network(
        FRONT,
        WEB,
        task("1", "web", "10.0.1.11", "fd01::11"),
        task("2", "web", "10.0.1.12", "fd01::12"),
        task("3", "web", "10.0.1.13", ready=False),
        CACHE,
        task("4", "cache", "10.0.1.14", names=("redis-0",)),
    ),
    BACK: network(
        BACK,
        ServiceRow(ServiceId("web2"), "web", virtual_ips=("10.0.2.2",)),
        ServiceRow(ServiceId("db"), "db", virtual_ips=("10.0.2.3",)),
    ),
}


def find(name: str, want: Want = Want.IPV4, networks: tuple[NetworkId, ...] = (FRONT,)) -> object:
    return Names(TABLES).find(networks, name, want)


@pytest.mark.parametrize("name", ["web", "WEB", "www", "web.front-net", "Www.Front-Net"])
def test_a_services_names_stand_for_its_virtual_address(name: str) -> None:
    assert find(name) == Answer(("10.0.1.2",), ttl_s=VIRTUAL_TTL_S)
    assert find(name, Want.IPV6) == Answer(("fd01::2",), ttl_s=VIRTUAL_TTL_S)


@pytest.mark.parametrize("name", ["cache", "store", "tasks.cache"])
def test_without_a_virtual_address_they_stand_for_the_tasks(name: str) -> None:
    assert find(name) == Answer(("10.0.1.14",), ttl_s=TASK_TTL_S)


def test_tasks_that_are_not_ready_are_not_among_the_tasks_of_a_service() -> None:
    assert find("tasks.web") == Answer(("10.0.1.11", "10.0.1.12"))


@pytest.mark.parametrize(("name", "address"), [("web.3", "10.0.1.13"), ("redis-0", "10.0.1.14")])
def test_a_task_is_found_by_its_own_names_ready_or_not(name: str, address: str) -> None:
    assert find(name) == Answer((address,))


def test_a_known_name_without_an_address_of_the_family_is_known_and_empty() -> None:
    assert find("cache", Want.IPV6) == Answer()
    assert find("web", Want.OTHER) == Answer(ttl_s=VIRTUAL_TTL_S)


@pytest.mark.parametrize("name", ["db", "nobody", "web.back-net", "", "front-net", "."])
def test_what_is_not_on_the_tasks_networks_is_unknown(name: str) -> None:
    assert find(name) is None


def test_the_first_network_that_knows_a_name_answers() -> None:
    assert find("web", networks=(BACK, FRONT)) == Answer(("10.0.2.2",), ttl_s=VIRTUAL_TTL_S)
    assert find("web.front-net", networks=(BACK, FRONT)) == Answer(
        ("10.0.1.2",), ttl_s=VIRTUAL_TTL_S
    )
    assert find("db", networks=(FRONT, BACK)) == Answer(("10.0.2.3",), ttl_s=VIRTUAL_TTL_S)


@pytest.mark.parametrize("name", ["_http._tcp.web", "_80._tcp.WEB"])
def test_services_tell_where_a_port_of_theirs_is_found(name: str) -> None:
    assert find(name, Want.SERVICE) == Answer(
        places=(
            Place("web.1.front-net", 80, ("10.0.1.11", "fd01::11")),
            Place("web.2.front-net", 80, ("10.0.1.12", "fd01::12")),
        )
    )
    assert find("_http._udp.web", Want.SERVICE) is None


@pytest.mark.parametrize(
    ("name", "owner"),
    [
        ("11.1.0.10.in-addr.arpa", "web.1.front-net"),
        ("2.1.0.10.in-addr.arpa", "web.front-net"),
        (".".join([*"2" + "0" * 27, *"10df", "ip6.arpa"]), "web.front-net"),
    ],
)
def test_addresses_have_names(name: str, owner: str) -> None:
    assert find(name, Want.NAME) == Answer(name=owner)


@pytest.mark.parametrize(
    "name", ["9.9.9.9.in-addr.arpa", "1.10.in-addr.arpa", "x.ip6.arpa", "web", "in-addr.arpa"]
)
def test_addresses_of_others_have_none(name: str) -> None:
    assert find(name, Want.NAME) is None


def test_nothing_is_found_on_the_network_of_published_ports() -> None:
    names = Names({FRONT: network(FRONT, WEB, ingress=True)})
    assert names.find((FRONT,), "web", Want.IPV4) is None


def test_a_change_of_one_network_shows() -> None:
    before = Names(TABLES)
    after = Names({**TABLES, BACK: network(BACK)}, before)
    assert after.find((BACK,), "db", Want.IPV4) is None
    assert after.find((FRONT,), "web", Want.IPV4) is not None
