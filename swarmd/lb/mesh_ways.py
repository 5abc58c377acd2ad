"""Ways between nodes' ingress namespaces: to tasks elsewhere, and back to where clients came in.

They are the same whatever balances: a task on another node is reached by that node's ingress
namespace, and packets with a peer's mark are routed to that peer.
"""

from __future__ import annotations

from pathlib import Path

from swarmd.lb.core.mesh import MeshState
from swarmd.network.kernel.links import find
from swarmd.network.kernel.netlink import Request, open_netlink
from swarmd.network.kernel.routing import (
    Route,
    Rule,
    delete_route,
    delete_rule,
    put_route,
    put_rule,
    routes,
    rules,
)

BRIDGE = "br0"
ROUTING_TABLES = 10_000  # of peers: this and their number
RULE_PRIORITY = 90


def bring_ways(ingress: Path, state: MeshState) -> int:
    """Bring the ways in an ingress namespace in line; answers how many steps that took. Blocks.

    Raises:
        OSError: the kernel refuses.
    """
    with open_netlink(ingress) as netlink:
        bridge = find(netlink, BRIDGE)
        if bridge is None:
            raise OSError(f"the ingress namespace has no interface {BRIDGE}")
        wanted_routes = {
            Route(f"{task}/32", index=bridge, gateway=owner) for task, owner in state.ways.items()
        } | {
            Route(
                "0.0.0.0/0",
                index=bridge,
                gateway=peer.address,
                table=ROUTING_TABLES + peer.number,
            )
            for peer in state.peers
        }
        wanted_rules = {
            Rule(
                family=4,
                mark=peer.number,
                table=ROUTING_TABLES + peer.number,
                priority=RULE_PRIORITY,
            )
            for peer in state.peers
        }
        actual_routes = {
            route
            for route in routes(netlink)
            if route.table >= ROUTING_TABLES or route.destination.endswith("/32")
        }
        actual_rules = {rule for rule in rules(netlink) if rule.priority == RULE_PRIORITY}
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
