"""Address pools of a new swarm, sizes of packets; both sides of every limit."""

from __future__ import annotations

import pytest

from swarmd.manager.validate.network import check_network_spec, checked_pools
from swarmd.model.errors import Code, Rejection
from swarmd.model.network import MTU_OPTION, NetworkSpec
from swarmd.model.spec import Driver


@pytest.mark.parametrize(
    ("pools", "size"),
    [
        (["10.0.0.0/8"], 8),
        (["10.0.0.0/8"], 29),
        (["10.20.0.0/16", "10.30.0.0/16"], 16),
        (["192.168.0.0/29"], 29),
    ],
)
def test_pools_that_subnets_can_be_cut_from_are_taken(pools: list[str], size: int) -> None:
    assert checked_pools(pools, size) == tuple(pools)


@pytest.mark.parametrize(
    ("pools", "size", "words"),
    [
        (["10.0.0.0/8"], 7, "between 8 and 29"),
        (["10.0.0.0/8"], 30, "between 8 and 29"),
        (["10.0.0.0/25"], 24, "smaller than the subnets"),
        (["10.0.0.0/8", "10.1.0.0/16"], 24, "share addresses"),
        (["fd00::/16"], 24, "is not IPv4"),
        (["ten"], 24, "no block of addresses"),
    ],
)
def test_other_pools_are_refused(pools: list[str], size: int, words: str) -> None:
    with pytest.raises(Rejection, match=words) as refusal:
        checked_pools(pools, size)
    assert refusal.value.code is Code.INVALID_ARGUMENT


def test_pools_come_in_their_usual_form() -> None:
    assert checked_pools(["10.20.1.1/16"], 24) == ("10.20.0.0/16",)


def with_mtu(text: str, *, ipv6: bool = False) -> NetworkSpec:
    driver = Driver(name="overlay", options={MTU_OPTION: text})
    return NetworkSpec(name="back", driver_config=driver, ipv6_enabled=ipv6)


@pytest.mark.parametrize(
    "spec", [with_mtu("576"), with_mtu("65535"), with_mtu("1280", ipv6=True), with_mtu("")]
)
def test_packets_of_any_size_that_machines_take_are_allowed(spec: NetworkSpec) -> None:
    check_network_spec(spec)


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        (with_mtu("575"), "between 576 and 65535"),
        (with_mtu("65536"), "between 576 and 65535"),
        (with_mtu("1279", ipv6=True), "between 1280 and 65535"),
        (with_mtu("jumbo"), "number of bytes"),
    ],
)
def test_other_sizes_of_packets_are_refused(spec: NetworkSpec, words: str) -> None:
    with pytest.raises(Rejection, match=words):
        check_network_spec(spec)
