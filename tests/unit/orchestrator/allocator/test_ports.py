"""Published ports: chosen, kept, refused and freed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from swarmd.model.ids import ServiceId
from swarmd.model.service import Endpoint, Service
from swarmd.model.spec import EndpointSpec, PortConfig
from swarmd.model.states import Protocol, PublishMode
from swarmd.orchestrator.allocator.ports import (
    DYNAMIC_FIRST,
    DYNAMIC_LAST,
    PortBook,
    PortConflict,
)
from swarmd.orchestrator.endpoint import is_allocated
from swarmd.store.store import Store
from tests.support.cluster import a_service_spec

WEB = PortConfig(target_port=80)


def a_service(name: str, *ports: PortConfig, endpoint: Endpoint | None = None) -> Service:
    spec = a_service_spec(name, endpoint_spec=EndpointSpec(ports=ports))
    return Service(id=ServiceId(name), spec=spec, endpoint=endpoint)


def numbers(endpoint: Endpoint | None) -> list[int]:
    assert endpoint is not None
    return [port.published_port for port in endpoint.ports]


def test_ports_left_open_are_chosen_from_the_dynamic_range() -> None:
    book = PortBook()
    assert numbers(book.allocate(a_service("a", WEB, replace(WEB, target_port=81)))) == [
        DYNAMIC_FIRST,
        DYNAMIC_FIRST + 1,
    ]
    assert numbers(book.allocate(a_service("b", WEB))) == [DYNAMIC_FIRST + 2]


def test_protocols_have_spaces_of_their_own() -> None:
    book = PortBook()
    dns = PortConfig(target_port=53, published_port=53)
    book.allocate(a_service("tcp", dns))
    assert numbers(book.allocate(a_service("udp", replace(dns, protocol=Protocol.UDP)))) == [53]


def test_a_port_held_by_another_service_is_refused_with_its_name() -> None:
    book = PortBook()
    port = replace(WEB, published_port=8080)
    book.allocate(a_service("first", port))
    with pytest.raises(PortConflict, match="8080/tcp is held by service first"):
        book.allocate(a_service("second", port))
    book.release(ServiceId("first"))
    assert numbers(book.allocate(a_service("second", port))) == [8080]


def test_a_chosen_port_survives_updates_of_the_service() -> None:
    book = PortBook()
    book.allocate(a_service("other", WEB))
    endpoint = book.allocate(a_service("web", WEB))
    more = a_service("web", WEB, replace(WEB, target_port=443), endpoint=endpoint)
    assert numbers(book.allocate(more))[0] == numbers(endpoint)[0]


def test_a_new_leader_learns_the_ports_from_the_committed_endpoints() -> None:
    endpoint = PortBook().allocate(a_service("web", WEB))
    book = PortBook()
    book.record(a_service("web", WEB, endpoint=endpoint))
    assert numbers(book.allocate(a_service("other", WEB))) == [DYNAMIC_FIRST + 1]


def test_a_choice_does_not_collide_with_a_number_named_later_in_the_same_spec() -> None:
    named = PortConfig(target_port=81, published_port=DYNAMIC_FIRST)
    endpoint = PortBook().allocate(a_service("web", WEB, named))
    assert numbers(endpoint) == [DYNAMIC_FIRST + 1, DYNAMIC_FIRST]


def test_host_ports_are_left_to_the_nodes() -> None:
    book = PortBook()
    host = replace(WEB, published_port=80, publish_mode=PublishMode.HOST)
    assert numbers(book.allocate(a_service("a", host))) == [80]
    assert numbers(book.allocate(a_service("b", host))) == [80]


def test_a_full_range_is_refused() -> None:
    book = PortBook()
    count = DYNAMIC_LAST - DYNAMIC_FIRST + 1
    ports = tuple(PortConfig(target_port=1 + i) for i in range(count))
    book.allocate(a_service("hog", *ports))
    with pytest.raises(PortConflict, match="no tcp port is free"):
        book.allocate(a_service("late", WEB))


def test_a_service_is_allocated_when_its_endpoint_answers_its_spec() -> None:
    service = a_service("web", WEB)
    assert not is_allocated(service, Store())
    assert is_allocated(replace(service, endpoint=PortBook().allocate(service)), Store())
    assert is_allocated(Service(id=ServiceId("x"), spec=a_service_spec("x")), Store())
    assert PortBook().allocate(Service(id=ServiceId("x"), spec=a_service_spec("x"))) is None


port_lists = st.lists(
    st.builds(
        PortConfig,
        protocol=st.sampled_from([Protocol.TCP, Protocol.UDP]),
        target_port=st.integers(1, 3),
        published_port=st.sampled_from([0, 0, 80, DYNAMIC_FIRST]),
    ),
    max_size=3,
    unique_by=lambda port: (port.protocol, port.published_port or port.target_port + 10**6),
).map(tuple)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.none() | port_lists), max_size=20))
def test_no_two_services_ever_hold_the_same_port(
    history: list[tuple[str, tuple[PortConfig, ...] | None]],
) -> None:
    book = PortBook()
    endpoints: dict[str, Endpoint] = {}
    for name, ports in history:
        if ports is None:
            book.release(ServiceId(name))
            endpoints.pop(name, None)
            continue
        try:
            endpoint = book.allocate(a_service(name, *ports, endpoint=endpoints.get(name)))
        except PortConflict:
            continue
        assert endpoint is not None
        endpoints[name] = endpoint
        held = [(p.protocol, p.published_port) for e in endpoints.values() for p in e.ports]
        assert 0 not in [number for _, number in held]
        assert len(set(held)) == len(held)


def test_the_book_tells_who_holds_which_port() -> None:
    book = PortBook()
    chosen = replace(WEB, published_port=8080)
    on_the_node = replace(WEB, publish_mode=PublishMode.HOST, published_port=81)
    book.allocate(a_service("a", chosen, WEB, on_the_node))
    book.allocate(a_service("b", WEB))
    book.release(ServiceId("b"))
    assert book.held() == {
        (ServiceId("a"), Protocol.TCP, 8080),
        (ServiceId("a"), Protocol.TCP, DYNAMIC_FIRST),
    }
