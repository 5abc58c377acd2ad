"""Ways between nodes' ingress namespaces: to tasks elsewhere, and back to where clients came in.

They are the same whatever balances: a task on another node is reached by that node's ingress
namespace, and packets with a peer's mark are routed to that peer.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from msgspec.structs import replace

from swarmd.lb.core.mesh import MeshState
from swarmd.network.core.overlay_plan import BRIDGE
from swarmd.network.ingress import INSIDE, OUTSIDE
from swarmd.network.kernel import forwarding, netns, sysctl
from swarmd.network.kernel.links import find
from swarmd.network.kernel.netlink import Request, open_netlink
from swarmd.network.kernel.routing import (
    MAIN_TABLE,
    Route,
    Rule,
    delete_route,
    delete_rule,
    put_route,
    put_rule,
    routes,
    rules,
)

ROUTING_TABLES = 10_000  # of peers: this and their number
RULE_PRIORITY = 90
# Before the rules of peers, of which there may be hundreds: most packets have no mark.
UNMARKED = Rule(family=4, mark=0, table=MAIN_TABLE, priority=RULE_PRIORITY - 1)
_EVERYTHING = {4: "0.0.0.0/0", 6: "::/0"}
_ONE = {4: "/32", 6: "/128"}
_NODE_SETTINGS = {
    "ipv4/ip_forward": "1",
    # 127.0.0.1 as a destination is led out of the node's own namespace, and back.
    f"ipv4/conf/{OUTSIDE}/route_localnet": "1",
    f"ipv4/conf/{OUTSIDE}/rp_filter": "0",
}
_INGRESS_SETTINGS = {
    "ipv4/ip_forward": "1",
    # Clients' packets come in by other nodes, and their answers leave that way.
    "ipv4/conf/all/rp_filter": "0",
    "ipv4/conf/default/rp_filter": "0",
    f"ipv4/conf/{BRIDGE}/rp_filter": "0",
    f"ipv4/conf/{INSIDE}/rp_filter": "0",
    "ipv4/conf/all/send_redirects": "0",
    f"ipv4/conf/{BRIDGE}/send_redirects": "0",
    # Frames between the bridge's ports are none of its business; packets it routes are.
    "bridge/bridge-nf-call-iptables": "0",
    "bridge/bridge-nf-call-ip6tables": "0",
    "bridge/bridge-nf-call-arptables": "0",
    # A packet out of its window is passed on rather than left untranslated.
    "netfilter/nf_conntrack_tcp_be_liberal": "1",
}


def set_up(
    ingress: Path, *, node: Path | None, ipv6: bool = False, more: Mapping[str, str] = {}
) -> None:
    """Have both namespaces pass packets on.

    Args:
        ipv6: whether packets of IPv6 as well.
        more: settings of the ingress namespace.

    Raises:
        OSError: the kernel refuses.
    """
    netns.inside(node, lambda: sysctl.put(_NODE_SETTINGS))
    netns.inside(ingress, lambda: sysctl.put({**_INGRESS_SETTINGS, **more}))
    for path in (node, ingress) if ipv6 else ():
        netns.inside(path, forwarding.pass_on_ipv6)


def bring_ways(ingress: Path, states: Iterable[MeshState]) -> int:
    """Bring the ways in an ingress namespace in line; answers how many steps that took. Blocks.

    Args:
        states: one for each family that there is.

    Raises:
        OSError: the kernel refuses.
    """
    with open_netlink(ingress) as netlink:
        bridge = find(netlink, BRIDGE)
        if bridge is None:
            raise OSError(f"the ingress namespace has no interface {BRIDGE}")
        wanted_routes: set[Route] = set()
        wanted_rules: set[Rule] = set()
        for state in states:
            wanted_routes |= _routes(state, bridge)
            wanted_rules |= _rules(state)
        actual_routes = {
            route
            for route in routes(netlink)
            if route.table >= ROUTING_TABLES or route.destination.endswith(tuple(_ONE.values()))
        }
        actual_rules = {
            rule for rule in rules(netlink) if rule.priority in (RULE_PRIORITY, UNMARKED.priority)
        }
        replaced = {(route.destination, route.table) for route in wanted_routes}
        requests: list[Request] = [
            *(put_route(route) for route in sorted(wanted_routes - actual_routes)),
            *(put_rule(rule) for rule in sorted(wanted_rules - actual_rules)),
            *(delete_rule(rule) for rule in sorted(actual_rules - wanted_rules)),
            *(
                delete_route(route)
                for route in sorted(actual_routes - wanted_routes)
                if (route.destination, route.table) not in replaced
            ),
        ]
        netlink.do(*requests)
        return len(requests)


def _routes(state: MeshState, bridge: int) -> set[Route]:
    one, everything = _ONE[state.version], _EVERYTHING[state.version]
    return {
        Route(f"{task}{one}", index=bridge, gateway=owner) for task, owner in state.ways.items()
    } | {
        Route(everything, index=bridge, gateway=peer.address, table=ROUTING_TABLES + peer.number)
        for peer in state.peers
    }


def _rules(state: MeshState) -> set[Rule]:
    return {
        Rule(
            family=state.version,
            mark=peer.number,
            table=ROUTING_TABLES + peer.number,
            priority=RULE_PRIORITY,
        )
        for peer in state.peers
    } | {replace(UNMARKED, family=state.version)}
