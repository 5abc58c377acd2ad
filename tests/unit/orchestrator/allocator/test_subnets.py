"""Blocks, gateways and VXLAN ids for new networks."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from swarmd.model.cluster import Cluster
from swarmd.model.ids import ClusterId, NetworkId
from swarmd.model.network import IPAMConfig, IPAMOptions, Network, NetworkSpec, vxlan_ids
from swarmd.model.spec import Driver
from swarmd.model.states import AddressFamily
from swarmd.orchestrator.allocator.subnets import allocate_network
from swarmd.orchestrator.attaching import Exhausted

CLUSTER = Cluster(id=ClusterId("c"))
SMALL = replace(CLUSTER, default_address_pool=("10.9.0.0/28", "10.8.0.0/29"), subnet_size=29)


def a_network(name: str, **fields: object) -> Network:
    return Network(id=NetworkId(name), spec=NetworkSpec(name=name, **fields))  # type: ignore[arg-type]


def with_blocks(name: str, *configs: IPAMConfig, **fields: object) -> Network:
    return a_network(name, ipam=IPAMOptions(configs=configs), **fields)


def subnets(network: Network) -> list[str]:
    assert network.ipam is not None
    return [config.subnet for config in network.ipam.configs]


def test_networks_get_the_next_block_of_the_pool_a_gateway_and_a_vxlan_id() -> None:
    ingress = allocate_network(a_network("ingress", ingress=True), [], CLUSTER)
    back = allocate_network(a_network("back"), [ingress], CLUSTER)
    assert subnets(ingress) == ["10.0.0.0/24"]
    assert subnets(back) == ["10.0.1.0/24"]
    assert back.ipam is not None
    assert back.ipam.configs[0] == IPAMConfig(
        family=AddressFamily.IPV4, subnet="10.0.1.0/24", gateway="10.0.1.1"
    )
    assert vxlan_ids(ingress) == ("4096",)
    assert vxlan_ids(back) == ("4097",)
    assert back.driver_state is not None
    assert back.driver_state.name == "overlay"


def test_the_block_of_a_removed_network_rests() -> None:
    first = allocate_network(a_network("a"), [], CLUSTER)
    second = allocate_network(a_network("b"), [first], CLUSTER)
    third = allocate_network(a_network("c"), [second], CLUSTER)
    assert subnets(third) == ["10.0.2.0/24"]
    assert vxlan_ids(third) == ("4098",)


def test_all_pools_are_used_before_a_block_is_given_again_or_refused() -> None:
    networks: list[Network] = []
    for name in "abc":
        networks.append(allocate_network(a_network(name), networks, SMALL))
    assert [subnets(network)[0] for network in networks] == [
        "10.9.0.0/29",
        "10.9.0.8/29",
        "10.8.0.0/29",
    ]
    with pytest.raises(Exhausted, match=r"all blocks of /29 .* are taken"):
        allocate_network(a_network("d"), networks, SMALL)
    again = allocate_network(a_network("d"), networks[1:], SMALL)
    assert subnets(again) == ["10.9.0.0/29"]


def test_named_blocks_are_taken_as_they_are() -> None:
    config = IPAMConfig(subnet="192.168.7.0/24", range="192.168.7.128/25", gateway="192.168.7.9")
    network = allocate_network(with_blocks("a", config), [], CLUSTER)
    assert network.ipam is not None
    assert network.ipam.configs == (replace(config, family=AddressFamily.IPV4),)


def test_a_named_block_may_not_share_addresses_with_another_network() -> None:
    first = allocate_network(a_network("a"), [], CLUSTER)
    wide = with_blocks("b", IPAMConfig(subnet="10.0.0.0/16"))
    with pytest.raises(Exhausted, match=r"10\.0\.0\.0/24 of network a"):
        allocate_network(wide, [first], CLUSTER)


def test_pool_blocks_avoid_named_ones() -> None:
    named = allocate_network(with_blocks("a", IPAMConfig(subnet="10.0.0.0/23")), [], CLUSTER)
    assert subnets(allocate_network(a_network("b"), [named], CLUSTER)) == ["10.0.2.0/24"]


def test_ipv6_is_added_where_it_is_enabled() -> None:
    first = allocate_network(a_network("a", ipv6_enabled=True), [], CLUSTER)
    second = allocate_network(a_network("b", ipv6_enabled=True), [first], CLUSTER)
    assert subnets(first) == ["10.0.0.0/24", "fd00:5761:726d::/64"]
    assert subnets(second) == ["10.0.1.0/24", "fd00:5761:726d:1::/64"]
    assert vxlan_ids(second) == ("4098", "4099")


def test_vxlan_ids_may_be_named_and_are_nobody_elses() -> None:
    option = {"com.docker.network.driver.overlay.vxlanid_list": "5000"}
    driver = Driver(name="overlay", options={**option, "encrypted": ""})
    first = allocate_network(a_network("a", driver_config=driver), [], CLUSTER)
    assert vxlan_ids(first) == ("5000",)
    assert first.driver_state is not None
    assert "encrypted" in first.driver_state.options
    with pytest.raises(Exhausted, match="VXLAN id 5000"):
        allocate_network(a_network("b", driver_config=driver), [first], CLUSTER)


def test_networks_local_to_a_node_get_nothing() -> None:
    network = allocate_network(a_network("a", driver_config=Driver(name="bridge")), [], CLUSTER)
    assert network.ipam is None
    assert network.driver_state == Driver(name="bridge")


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 9)), max_size=40))
def test_whatever_comes_and_goes_no_two_networks_share_anything(
    steps: list[tuple[bool, int]],
) -> None:
    cluster = replace(CLUSTER, default_address_pool=("10.0.0.0/21",), subnet_size=24)
    networks: list[Network] = []
    for number, (create, which) in enumerate(steps):
        if create:
            try:
                networks.append(allocate_network(a_network(f"n{number}"), networks, cluster))
            except Exhausted:
                assert len(networks) == 8
        elif networks:
            networks.pop(which % len(networks))
        blocks = [block for network in networks for block in subnets(network)]
        ids = [number for network in networks for number in vxlan_ids(network)]
        assert len(set(blocks)) == len(blocks) == len(networks)
        assert len(set(ids)) == len(ids) == len(networks)
