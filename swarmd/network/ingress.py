"""The way between a node's own namespace and its ingress network: a pair of interfaces.

What is published is led from the node through it to tasks; what tasks on the ingress network send
to the world leaves through it, where `lb` has rules for both. Its addresses are the same on every
node: nobody but the node itself ever sees them.
"""

from __future__ import annotations

from ipaddress import IPv4Interface, IPv6Interface
from pathlib import Path

from swarmd.network.kernel import forwarding, links, netns, routing
from swarmd.network.kernel.netlink import Netlink, open_netlink
from swarmd.network.kernel.routing import Route

OUTSIDE, INSIDE = "ing0", "gw0"
NODE_ADDRESS = IPv4Interface("169.254.77.1/30")
NAMESPACE_ADDRESS = IPv4Interface("169.254.77.2/30")
# Not of the link's own block: what is translated to such an address can't be passed on.
NODE_ADDRESS_V6 = IPv6Interface("fdc5:7761:726d::1/126")
NAMESPACE_ADDRESS_V6 = IPv6Interface("fdc5:7761:726d::2/126")
_EVERYTHING, _EVERYTHING_V6 = "0.0.0.0/0", "::/0"


def open_way(path: Path, *, node: Path | None = None, ipv6: bool = False) -> bool:
    """Have the pair between a node and the ingress namespace at `path`; whether it was missing.

    Args:
        ipv6: whether IPv6 goes this way, too.

    Raises:
        OSError: the kernel refuses, or there is no such namespace.
    """
    ends: list[tuple[routing.Interface, routing.Interface, str]] = [
        (NODE_ADDRESS, NAMESPACE_ADDRESS, _EVERYTHING)
    ]
    if ipv6:
        ends.append((NODE_ADDRESS_V6, NAMESPACE_ADDRESS_V6, _EVERYTHING_V6))
    outer_addresses = {end[0] for end in ends}
    inner_addresses = {end[1] for end in ends}
    wanted_routes = {end[2] for end in ends}
    with open_netlink(node) as outer, open_netlink(path) as inner, open(path) as namespace:
        if _is_right(outer, OUTSIDE, outer_addresses) and _is_right(inner, INSIDE, inner_addresses):
            if wanted_routes <= {route.destination for route in _main_routes(inner)}:
                return False
        elif not (_is_right(outer, OUTSIDE, set()) and _is_right(inner, INSIDE, set())):
            outer.do(links.delete(OUTSIDE))
            inner.do(links.delete(INSIDE))
            outer.do(links.pair(OUTSIDE, peer=INSIDE, peer_namespace=namespace.fileno()))
        if ipv6:
            netns.inside(node, lambda: forwarding.have_ipv6_on(OUTSIDE))
            netns.inside(path, lambda: forwarding.have_ipv6_on(INSIDE))
        outside, inside = links.index_of(outer, OUTSIDE), links.index_of(inner, INSIDE)
        outer.do(*(routing.put_address(outside, address) for address in outer_addresses))
        inner.do(
            links.change(inside, up=True),
            *(routing.put_address(inside, address) for address in inner_addresses),
            *(
                routing.put_route(Route(everything, index=inside, gateway=str(gateway.ip)))
                for gateway, _, everything in ends
            ),
        )
        links.settle(inner, INSIDE)
        links.settle(outer, OUTSIDE)
        for netlink, addresses in ((outer, outer_addresses), (inner, inner_addresses)):
            for address in addresses:
                routing.settle(netlink, address)
    return True


def close_way(*, node: Path | None = None) -> None:
    """Take the pair away; one that is gone is fine. Raises: OSError."""
    with open_netlink(node) as outer:
        outer.do(links.delete(OUTSIDE))


def _is_right(netlink: Netlink, name: str, wanted: set[routing.Interface]) -> bool:
    link = links.links(netlink).get(name)
    return (
        link is not None
        and link.kind == "veth"
        and link.is_up
        and wanted <= routing.addresses(netlink, link.index)
    )


def _main_routes(netlink: Netlink) -> list[Route]:
    return list(routing.routes(netlink, table=routing.MAIN_TABLE))
