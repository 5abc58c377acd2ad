"""The way between a node's own namespace and its ingress network: a pair of interfaces.

What is published is led from the node through it to tasks; what tasks on the ingress network send
to the world leaves through it, where `lb` has rules for both. Its addresses are the same on every
node: nobody but the node itself ever sees them.
"""

from __future__ import annotations

from ipaddress import IPv4Interface
from pathlib import Path

from swarmd.network.kernel import links, routing
from swarmd.network.kernel.netlink import Netlink, open_netlink
from swarmd.network.kernel.routing import Route

OUTSIDE, INSIDE = "ing0", "gw0"
NODE_ADDRESS = IPv4Interface("169.254.77.1/30")
NAMESPACE_ADDRESS = IPv4Interface("169.254.77.2/30")
_EVERYTHING = "0.0.0.0/0"


def open_way(path: Path, *, node: Path | None = None) -> bool:
    """Have the pair between a node and the ingress namespace at `path`; whether it was missing.

    Raises:
        OSError: the kernel refuses, or there is no such namespace.
    """
    with open_netlink(node) as outer, open_netlink(path) as inner, open(path) as namespace:
        if _is_right(outer, OUTSIDE, NODE_ADDRESS) and _is_right(inner, INSIDE, NAMESPACE_ADDRESS):
            if any(route.destination == _EVERYTHING for route in _main_routes(inner)):
                return False
        else:
            outer.do(links.delete(OUTSIDE))
            inner.do(links.delete(INSIDE))
            outer.do(links.pair(OUTSIDE, peer=INSIDE, peer_namespace=namespace.fileno()))
        outside, inside = links.index_of(outer, OUTSIDE), links.index_of(inner, INSIDE)
        outer.do(routing.put_address(outside, NODE_ADDRESS))
        inner.do(
            links.change(inside, up=True),
            routing.put_address(inside, NAMESPACE_ADDRESS),
            routing.put_route(
                Route(_EVERYTHING, index=inside, gateway=str(NODE_ADDRESS.ip)),
            ),
        )
        links.settle(inner, INSIDE)
        links.settle(outer, OUTSIDE)
    return True


def close_way(*, node: Path | None = None) -> None:
    """Take the pair away; one that is gone is fine. Raises: OSError."""
    with open_netlink(node) as outer:
        outer.do(links.delete(OUTSIDE))


def _is_right(netlink: Netlink, name: str, address: IPv4Interface) -> bool:
    link = links.links(netlink).get(name)
    return (
        link is not None
        and link.kind == "veth"
        and link.is_up
        and address in routing.addresses(netlink, link.index)
    )


def _main_routes(netlink: Netlink) -> list[Route]:
    return [route for route in routing.routes(netlink) if route.table == routing.MAIN_TABLE]
