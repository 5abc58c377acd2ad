"""Where on a node its published ports are answered."""

from __future__ import annotations

import pytest

from swarmd.lb.core.locations import listening, located
from swarmd.lb.core.tables import PublishedPort, ServiceEndpoints, Tables
from swarmd.model.ids import ServiceId
from swarmd.model.states import Protocol

INTERFACES = {
    "lo": ("127.0.0.1", "::1"),
    "eth0": ("192.0.2.1", "2001:db8::1"),
    "eth1": ("10.1.0.1",),
}
WEB = ServiceId("web")


def tables(*addresses: str) -> Tables:
    ports = tuple(
        PublishedPort(Protocol.TCP, 8000 + number, 80, address=address)
        for number, address in enumerate(addresses)
    )
    return Tables(7, {WEB: ServiceEndpoints(WEB, "web", ports)})


@pytest.mark.parametrize(
    ("address", "answering"),
    [
        pytest.param("", None, id="all"),
        pytest.param("192.0.2.1", ("192.0.2.1",), id="address"),
        pytest.param("2001:DB8::0:1", ("2001:db8::1",), id="written otherwise"),
        pytest.param("192.0.2.77", (), id="of another node"),
        pytest.param("eth0", ("192.0.2.1", "2001:db8::1"), id="interface"),
        pytest.param("eth7", (), id="interface of another node"),
    ],
)
def test_a_port_is_answered_on_the_address_or_interface_it_names(
    address: str, answering: tuple[str, ...] | None
) -> None:
    (port,) = located(tables(address), INTERFACES).services[WEB].ports
    assert port.addresses == answering


def test_a_table_without_such_ports_stays_the_same_object() -> None:
    given = tables("", "")
    assert located(given, INTERFACES) is given


@pytest.mark.parametrize(
    ("at", "addresses", "listens"),
    [
        (("0.0.0.0", "::"), None, ("0.0.0.0", "::")),
        (("0.0.0.0", "::"), ("192.0.2.1", "::1"), ("192.0.2.1", "::1")),
        (("0.0.0.0",), ("192.0.2.1", "::1"), ("192.0.2.1",)),
        (("127.0.0.3",), ("127.0.0.3", "127.0.0.4"), ("127.0.0.3",)),
        (("0.0.0.0",), (), ()),
    ],
)
def test_one_listens_where_one_may_and_is_to(
    at: tuple[str, ...], addresses: tuple[str, ...] | None, listens: tuple[str, ...]
) -> None:
    assert listening(at, addresses) == listens
