"""Networks as people write and read them: subnets with their ranges, and what is in use. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from typing import TYPE_CHECKING

import msgspec

from swarmd.cli import words
from swarmd.cli.documents import Document, time_text
from swarmd.cli.objects_client import Usage
from swarmd.model.network import IPAMConfig, Network, driver_of
from swarmd.orchestrator.allocator.pool import AddressPool

if TYPE_CHECKING:
    from swarmd.rpc.pb.swarmd.v1.doctor_pb2 import NodeTable


def blocks(
    subnets: Sequence[str], ranges: Sequence[str], gateways: Sequence[str]
) -> tuple[IPAMConfig, ...]:
    """One block per subnet, each with the range and the gateway that lie in it.

    Raises:
        ValueError: something is no address, or a range or gateway lies in no subnet.
    """
    networks = [(_network("--subnet", subnet), subnet) for subnet in subnets]
    found = []
    left_ranges, left_gateways = list(ranges), list(gateways)
    for network, subnet in networks:
        inside = [
            text
            for text in left_ranges
            if _network("--ip-range", text).version == network.version
            and _network("--ip-range", text).network_address in network
        ][:1]
        doors = [text for text in left_gateways if _address(text) in network][:1]
        for text in inside:
            left_ranges.remove(text)
        for text in doors:
            left_gateways.remove(text)
        found.append(IPAMConfig(subnet=subnet, range="".join(inside), gateway="".join(doors)))
    for flag, left in (("--ip-range", left_ranges), ("--gateway", left_gateways)):
        if left:
            raise ValueError(f"{flag} {left[0]} lies in no subnet of its own; give --subnet too")
    return tuple(found)


def _network(flag: str, text: str) -> IPv4Network | IPv6Network:
    try:
        return ip_network(text, strict=False)
    except ValueError:
        raise ValueError(f"{flag} takes a block such as 10.20.0.0/24, not {text!r}") from None


def _address(text: str) -> IPv4Address | IPv6Address:
    try:
        return ip_address(text)
    except ValueError:
        raise ValueError(f"--gateway takes an address, not {text!r}") from None


def subnets(network: Network) -> str:
    return ", ".join(config.subnet for config in _configs(network))


def size(network: Network) -> int:
    """How many addresses the network has to give, IPv4 where it has both families."""
    pools = [AddressPool(config.subnet, config.range) for config in _configs(network)]
    version = min((pool.version for pool in pools), default=4)
    return sum(pool.size for pool in pools if pool.version == version)


def network_document(network: Network, used: Usage) -> Document:
    """The network as `inspect` shows it, with `Addresses` for what is in use."""
    document: Document = {
        "ID": network.id,
        "Version": {"Index": network.version},
        "CreatedAt": time_text(network.created_at),
        "UpdatedAt": time_text(network.updated_at),
        "Spec": msgspec.to_builtins(network.spec),
    }
    if network.driver_state is not None:
        document["DriverState"] = msgspec.to_builtins(network.driver_state)
    if network.ipam is not None:
        document["IPAMOptions"] = msgspec.to_builtins(network.ipam)
        document["Addresses"] = {
            "Size": size(network),
            "Services": used.services,
            "Tasks": used.tasks,
            "Nodes": used.nodes,
        }
    return document


def in_force_document(nodes: Sequence[NodeTable]) -> list[Document]:
    """What each node of a network has in force of it; null for what it has not said."""
    return [
        {
            "ID": node.node_id,
            "Hostname": node.hostname,
            "State": node.state,
            "Version": node.table.applied.version if node.HasField("table") else None,
            "ChangedAt": node.table.changed_at if node.HasField("table") else None,
            "Repaired": node.table.applied.repaired,
            "Problems": list(node.table.applied.problems),
        }
        for node in nodes
    ]


def in_force_lines(nodes: Sequence[NodeTable]) -> dict[str, str]:
    """The same for people: one line per node."""
    names = words.told_apart({node.node_id: node.hostname for node in nodes})
    return {f"Node {names[node.node_id]}": _standing(node) for node in nodes}


def _standing(node: NodeTable) -> str:
    if not node.HasField("table"):
        return f"{node.state}, has said nothing of it"
    applied = node.table.applied
    words = ["up to date" if applied.version >= node.table.changed_at else "behind"]
    if applied.repaired:
        words.append(f"repaired {applied.repaired} times")
    return "; ".join((f"{node.state}, {', '.join(words)}", *applied.problems))


def pretty(network: Network, used: Usage) -> dict[str, str]:
    """The lines people look for first."""
    spec = network.spec
    flags = {"ingress": spec.ingress, "attachable": spec.attachable, "internal": spec.internal}
    taken = f"{used.services} by services, {used.tasks} by tasks, {used.nodes} by nodes"
    return {
        "ID": network.id,
        "Name": spec.name,
        "Driver": driver_of(spec),
        "Kind": ", ".join(word for word, given in flags.items() if given),
        "Subnets": subnets(network),
        "Gateways": ", ".join(config.gateway for config in _configs(network)),
        "Addresses": f"{size(network)}, in use {taken}" if network.ipam else "",
        "Labels": ", ".join(f"{key}={value}" for key, value in spec.labels.items()),
    }


def _configs(network: Network) -> tuple[IPAMConfig, ...]:
    return network.ipam.configs if network.ipam else ()
