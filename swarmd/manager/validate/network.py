"""Network specs: names, drivers, and blocks of addresses that can work."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from swarmd.manager.validate.limits import Limit
from swarmd.manager.validate.names import check_labels, check_name
from swarmd.model.errors import Code, Rejection, failed_precondition, invalid
from swarmd.model.network import (
    MECHANISM_OPTION,
    MTU_OPTION,
    NODE_LOCAL_DRIVERS,
    OVERLAY,
    PREDEFINED_LABEL,
    VXLAN_IDS_OPTION,
    IPAMConfig,
    Mechanism,
    NetworkSpec,
    driver_of,
)

DRIVERS = (OVERLAY, *NODE_LOCAL_DRIVERS)
IPAM_DRIVERS = ("", "default")
# A /30 has room for a gateway and one other; anything smaller for nobody.
PREFIX_V4 = Limit("the prefix length of an IPv4 subnet", 8, 30)
PREFIX_V6 = Limit("the prefix length of an IPv6 subnet", 8, 126)
SUBNET_SIZE = Limit("the prefix length of subnets from the address pools", 8, 29)
BLOCKS = Limit("ipam.configs", 0, 32)
VXLAN_ID = Limit("a VXLAN id", 1, 2**24 - 1)
# What every machine can take of either family at least, and the most a packet can have.
MTU = Limit(MTU_OPTION, 576, 65535)
MTU_V6 = Limit(MTU_OPTION, 1280, 65535)
RESERVED = Limit("ipam.configs.reserved", 0, 256)

Block = IPv4Network | IPv6Network


def check_network_spec(spec: NetworkSpec) -> None:
    """Refuse a network that can't be made, whatever other networks there are."""
    check_name("network", spec.name)
    check_labels("network", spec.labels)
    if spec.attachable and spec.ingress:
        raise invalid(
            f"network {spec.name} can't be both ingress and attachable: tasks get to the ingress "
            "network by publishing ports"
        )
    if PREDEFINED_LABEL in spec.labels:
        raise Rejection(
            Code.PERMISSION_DENIED,
            f"network {spec.name} carries the label {PREDEFINED_LABEL}, which is for networks that "
            "every node has already; leave it out",
        )
    if spec.config_from:
        raise Rejection(
            Code.UNIMPLEMENTED,
            f"network {spec.name} takes its settings from network {spec.config_from}, which this "
            "version of swarmd doesn't support; write the settings out",
        )
    _check_driver(spec)
    _check_ipam(spec)


def _check_driver(spec: NetworkSpec) -> None:
    driver = driver_of(spec)
    if driver not in DRIVERS:
        raise invalid(f"network driver {driver!r} is unknown; use {', '.join(DRIVERS)}")
    if spec.ingress and driver != OVERLAY:
        raise invalid(f"network driver {driver} can't carry the ingress network; use {OVERLAY}")
    options = spec.driver_config.options if spec.driver_config else {}
    mechanism = options.get(MECHANISM_OPTION)
    known = [one.value for one in Mechanism]
    if mechanism is not None and mechanism not in known:
        raise invalid(
            f"option {MECHANISM_OPTION}: {mechanism!r} is no way to encrypt a network; it is one "
            f"of {', '.join(known)}, or left out"
        )
    for number in filter(None, options.get(VXLAN_IDS_OPTION, "").split(",")):
        if not number.isdecimal():
            raise invalid(f"{VXLAN_IDS_OPTION} contains {number!r}, which is no number")
        VXLAN_ID.check(int(number))
    _check_mtu(options.get(MTU_OPTION, ""), ipv6=spec.ipv6_enabled)


def _check_mtu(text: str, *, ipv6: bool) -> None:
    if not text:
        return
    if not text.isdecimal():
        raise invalid(f"{MTU_OPTION} is {text!r}; write a number of bytes, as in 1400")
    limit = MTU_V6 if ipv6 else MTU
    limit.check(int(text))


def _check_ipam(spec: NetworkSpec) -> None:
    ipam = spec.ipam
    if ipam is None:
        return
    if ipam.driver is not None and ipam.driver.name not in IPAM_DRIVERS:
        raise invalid(f"ipam driver {ipam.driver.name!r} is unknown; leave it out")
    if ipam.configs and driver_of(spec) in NODE_LOCAL_DRIVERS:
        raise invalid(
            f"network {spec.name} names subnets, but each node makes networks of driver "
            f"{driver_of(spec)} for itself; leave them out"
        )
    BLOCKS.check(len(ipam.configs))
    blocks = [_check_config(config) for config in ipam.configs]
    for position, block in enumerate(blocks):
        for other in blocks[:position]:
            if block.version == other.version and block.overlaps(other):
                raise invalid(f"ipam.configs: {other} and {block} share addresses; name each once")
    if any(block.version == 6 for block in blocks) and not spec.ipv6_enabled:
        raise invalid(f"network {spec.name} names an IPv6 subnet, but IPv6 is not enabled for it")


def _check_config(config: IPAMConfig) -> Block:
    if not config.subnet:
        raise invalid("ipam.configs contains one without a subnet; name one, as in 10.10.0.0/24")
    block = _block("subnet", config.subnet)
    limit = PREFIX_V4 if block.version == 4 else PREFIX_V6
    limit.check(block.prefixlen)
    if block.is_loopback or block.is_multicast or block.is_link_local:
        raise invalid(f"ipam subnet {block} is reserved for other uses; choose another")
    if config.range:
        narrowed = _block("range", config.range)
        if narrowed.version != block.version or not _contains(block, narrowed):
            raise invalid(f"ipam range {narrowed} does not lie in the subnet {block}")
    if config.gateway:
        _check_address("gateway", config.gateway, block)
    RESERVED.check(len(config.reserved))
    for name, address in config.reserved.items():
        _check_address(f"reserved address {name}", address, block)
    return block


def _block(what: str, text: str) -> Block:
    try:
        return ip_network(text, strict=False)
    except ValueError:
        raise invalid(
            f"ipam {what} {text[:80]!r} is no block of addresses; write it as in 10.10.0.0/24"
        ) from None


def _contains(block: Block, inner: Block) -> bool:
    return (
        block.network_address.packed <= inner.network_address.packed
        and inner.broadcast_address.packed <= block.broadcast_address.packed
    )


def _check_address(what: str, text: str, block: Block) -> None:
    try:
        inside = ip_address(text) in block
    except ValueError:
        raise invalid(f"ipam {what} {text[:80]!r} is no address") from None
    if not inside:
        raise invalid(f"ipam {what} {text} does not lie in the subnet {block}")


def check_not_predefined(spec: NetworkSpec, network_id: str) -> None:
    """Refuse the removal of a network that every node has by itself."""
    if PREDEFINED_LABEL in spec.labels:
        raise failed_precondition(
            f"network {spec.name} ({network_id}) is a pre-defined network and cannot be removed"
        )


def checked_pools(pools: Sequence[str], subnet_size: int) -> tuple[str, ...]:
    """The pools in their usual form; those that such blocks can't be cut from are refused."""
    SUBNET_SIZE.check(subnet_size)
    blocks = [_block("address pool", pool) for pool in pools]
    for position, block in enumerate(blocks):
        if block.version != 4:
            raise invalid(f"address pool {block} is not IPv4; networks get IPv6 from a pool apart")
        if block.prefixlen > subnet_size:
            raise invalid(
                f"address pool {block} is smaller than the subnets of /{subnet_size} to be cut "
                "from it; choose a larger pool or smaller subnets"
            )
        for other in blocks[:position]:
            if block.overlaps(other):
                raise invalid(f"address pools {other} and {block} share addresses")
    return tuple(str(block) for block in blocks)
