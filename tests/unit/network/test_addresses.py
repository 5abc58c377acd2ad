"""Addresses of one node's containers."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network

import pytest

from swarmd.model.ids import TaskId
from swarmd.network.core.addresses import (
    RANGES,
    Addresses,
    NoAddressLeft,
    choose_range,
    routed,
)


def test_a_node_has_the_same_range_every_time_and_avoids_what_is_taken():
    first = choose_range("node1", ())
    assert choose_range("node1", ()) == first
    assert first.subnet_of(RANGES)
    second = choose_range("node1", (first,))
    assert not second.overlaps(first)
    with pytest.raises(NoAddressLeft):
        choose_range("node1", (RANGES,))


def test_an_address_is_held_until_released_and_not_given_again_at_once():
    addresses = Addresses(IPv4Network("10.0.0.0/29"))
    assert str(addresses.gateway) == "10.0.0.1/29"
    addresses.hold(TaskId("adopted"), IPv4Address("10.0.0.3"))
    given = [str(addresses.lease(TaskId(name))) for name in "abcd"]
    assert given == ["10.0.0.2", "10.0.0.4", "10.0.0.5", "10.0.0.6"]
    assert str(addresses.lease(TaskId("a"))) == "10.0.0.2"
    with pytest.raises(NoAddressLeft, match="all 5 container addresses"):
        addresses.lease(TaskId("e"))
    addresses.release(TaskId("b"))
    assert str(addresses.lease(TaskId("e"))) == "10.0.0.4"
    addresses.release(TaskId("a"))
    addresses.release(TaskId("c"))
    # The next one after the last given comes first: what was released just now stays away longest.
    assert str(addresses.lease(TaskId("f"))) == "10.0.0.5"


def test_the_kernels_table_of_routes_is_read():
    table = (
        "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n"
        "eth0\t00000000\t0100A8C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n"
        "eth0\t0000A8C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n"
    )
    assert routed(table) == [IPv4Network("192.168.0.0/24")]
