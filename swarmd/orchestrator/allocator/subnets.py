"""Blocks of addresses and VXLAN ids for a new network. Pure.

A network gets its blocks before it is stored, so there is none without. What the user named is
taken as it is; the rest comes from the cluster's pools, each block the next after the one given to
the latest network, so that the block of a removed network rests before it is used again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from ipaddress import IPv4Network, IPv6Network, ip_network
from itertools import chain

from msgspec.structs import replace

from swarmd.model.cluster import DEFAULT_ADDRESS_POOL, DEFAULT_SUBNET_SIZE, Cluster
from swarmd.model.network import (
    VXLAN_IDS_OPTION,
    IPAMConfig,
    IPAMOptions,
    Network,
    driver_of,
    is_node_local,
    vxlan_ids,
)
from swarmd.model.spec import Driver
from swarmd.model.states import AddressFamily
from swarmd.orchestrator.attaching import Exhausted

VXLAN_FIRST, VXLAN_LAST = 4096, 2**24 - 1
# Networks that want IPv6 and name no subnet get a block of the range for local use.
IPV6_POOL = "fd00:5761:726d::/48"
IPV6_SUBNET_SIZE = 64
IPAM_DRIVER = Driver(name="default")

Block = IPv4Network | IPv6Network


class Conflict(Exhausted):
    """What was asked for by name is another network's."""


def allocate_network(
    network: Network, others: Iterable[Network], cluster: Cluster | None
) -> Network:
    """`network` with its blocks of addresses, gateways and VXLAN ids.

    Args:
        others: the networks there are, in the order of their creation.

    Raises:
        Conflict: what was asked for is another network's.
        Exhausted: the pools or VXLAN ids are used up.
    """
    if is_node_local(network):
        return replace(network, driver_state=Driver(name=driver_of(network.spec)))
    others = [other for other in others if other.id != network.id and other.ipam is not None]
    used = [(block, other) for other in others for block in _blocks(other)]
    configs = [_named(network, config, used) for config in _asked(network)]
    families = {config.family for config in configs}
    if AddressFamily.IPV4 not in families:
        configs.append(_from_pools(network, used, _pools(cluster), _subnet_size(cluster)))
    if network.spec.ipv6_enabled and AddressFamily.IPV6 not in families:
        pools = [ip_network(IPV6_POOL)]
        configs.append(_from_pools(network, used, pools, IPV6_SUBNET_SIZE))
    return replace(
        network,
        ipam=IPAMOptions(driver=_ipam_driver(network), configs=tuple(configs)),
        driver_state=Driver(
            name=driver_of(network.spec),
            options=_driver_options(network, others, len(configs)),
        ),
    )


def _asked(network: Network) -> tuple[IPAMConfig, ...]:
    ipam = network.spec.ipam
    return tuple(config for config in ipam.configs if config.subnet) if ipam else ()


def _ipam_driver(network: Network) -> Driver:
    ipam = network.spec.ipam
    return (ipam.driver if ipam else None) or IPAM_DRIVER


def _blocks(network: Network) -> Iterator[Block]:
    for config in network.ipam.configs if network.ipam else ():
        yield ip_network(config.subnet)


def _named(network: Network, config: IPAMConfig, used: list[tuple[Block, Network]]) -> IPAMConfig:
    """A block that the user named, if no other network has any of it."""
    block = ip_network(config.subnet, strict=False)
    for other_block, other in used:
        if _overlap(block, other_block):
            raise Conflict(
                f"subnet {block} of network {network.spec.name} shares addresses with "
                f"{other_block} of network {other.spec.name} ({other.id}); choose another subnet"
            )
    used.append((block, network))
    return _complete(replace(config, subnet=str(block)), block)


def _from_pools(
    network: Network, used: list[tuple[Block, Network]], pools: list[Block], size: int
) -> IPAMConfig:
    candidates = _candidates(used, pools, size)
    for block in candidates:
        if not any(_overlap(block, other) for other, _ in used):
            used.append((block, network))
            return _complete(IPAMConfig(subnet=str(block)), block)
    listed = ", ".join(str(pool) for pool in pools)
    raise Exhausted(
        f"network {network.spec.name} can't have a subnet: all blocks of /{size} in the swarm's "
        f"address pools ({listed}) are taken; remove networks, or name a subnet of your own"
    )


def _candidates(
    used: list[tuple[Block, Network]], pools: list[Block], size: int
) -> Iterator[Block]:
    """Blocks of the pools, beginning after the one that was given last."""
    latest: tuple[int, int] | None = None
    for block, _ in used:
        for position, pool in enumerate(pools):
            if block.version == pool.version and block.prefixlen == size and _within(block, pool):
                latest = (position, (_start(block) - _start(pool)) // _step(pool, size))
    if latest is None:
        yield from chain.from_iterable(_cut(pool, size, 0) for pool in pools)
        return
    position, number = latest
    yield from _cut(pools[position], size, number + 1)
    for pool in (*pools[position + 1 :], *pools[:position]):
        yield from _cut(pool, size, 0)
    yield from _cut(pools[position], size, 0)


def _cut(pool: Block, size: int, first: int) -> Iterator[Block]:
    for number in range(first, 1 << max(size - pool.prefixlen, 0)):
        start = _start(pool) + number * _step(pool, size)
        yield IPv4Network((start, size)) if pool.version == 4 else IPv6Network((start, size))


def _start(block: Block) -> int:
    return int(block.network_address)


def _step(pool: Block, size: int) -> int:
    return 1 << (pool.max_prefixlen - size)


def _within(block: Block, pool: Block) -> bool:
    return _start(pool) <= _start(block) <= int(pool.broadcast_address)


def _overlap(one: Block, other: Block) -> bool:
    return one.version == other.version and one.overlaps(other)


def _complete(config: IPAMConfig, block: Block) -> IPAMConfig:
    """A block with its family, and a gateway: the first address, unless another was named."""
    family = AddressFamily.IPV4 if block.version == 4 else AddressFamily.IPV6
    return replace(config, family=family, gateway=config.gateway or str(block[1]))


def _pools(cluster: Cluster | None) -> list[Block]:
    pools = (cluster.default_address_pool if cluster else ()) or DEFAULT_ADDRESS_POOL
    return [ip_network(pool) for pool in pools]


def _subnet_size(cluster: Cluster | None) -> int:
    return (cluster.subnet_size if cluster else 0) or DEFAULT_SUBNET_SIZE


def _driver_options(network: Network, others: list[Network], count: int) -> dict[str, str]:
    """The user's options, and one VXLAN id per block unless the user named them."""
    config = network.spec.driver_config
    options = dict(config.options) if config else {}
    wanted = [number for number in options.get(VXLAN_IDS_OPTION, "").split(",") if number]
    taken = {int(number): other for other in others for number in vxlan_ids(other)}
    for number in wanted:
        other = taken.get(int(number))
        if other is not None:
            raise Conflict(
                f"VXLAN id {number} of network {network.spec.name} is that of network "
                f"{other.spec.name} ({other.id}); choose another, or leave it out"
            )
    latest = max((int(number) for number in wanted), default=0)
    if not wanted and others:
        latest = max((int(number) for number in vxlan_ids(others[-1])), default=0)
    while len(wanted) < count:
        latest = _next_vxlan_id(network, latest, taken)
        taken[latest] = network
        wanted.append(str(latest))
    return {**options, VXLAN_IDS_OPTION: ",".join(wanted)}


def _next_vxlan_id(network: Network, latest: int, taken: dict[int, Network]) -> int:
    number = latest
    for _ in range(len(taken) + 1):
        number = number + 1 if VXLAN_FIRST <= number < VXLAN_LAST else VXLAN_FIRST
        if number not in taken:
            return number
    raise Exhausted(f"no VXLAN id is left for network {network.spec.name}; remove networks")
