"""The kernel's part of the mesh: two tables of rules, and the ways to the other nodes.

What is in place is remembered per namespace, so that a change costs what it changes. `tend` looks
whether somebody else has changed it, and puts it right. All methods block.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from swarmd.lb.core.leaving import Due
from swarmd.lb.core.mesh import MeshPort, MeshState
from swarmd.lb.nft import mesh_text as text
from swarmd.lb.nft.forgetting import forget
from swarmd.lb.nft.ruleset import Ruleset, gone, step, whole
from swarmd.network.core.overlay_plan import BRIDGE
from swarmd.network.ingress import INSIDE, OUTSIDE
from swarmd.network.kernel import netns, nft, sysctl
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


class _Space:
    """One table in one namespace."""

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self.rules: Ruleset | None = None  # None: nothing is known to be in place
        self.generation = -1

    def bring(self, wanted: Ruleset) -> None:
        """Raises: NftError, OSError; the next attempt begins anew."""
        before, self.rules = self.rules, None
        if before is not None:
            batch = step(before, wanted)
            try:
                if batch:
                    self._run(batch)
                self.rules = wanted
                return
            except nft.NftError:
                pass  # somebody has removed what the step builds on: all anew
        self._run(whole(wanted))
        self.rules = wanted

    def repair(self) -> bool:
        """Put back what was changed; whether that made a difference."""
        if self.rules is None or self._inside(nft.generation) == self.generation:
            return False
        name = self.rules.name
        before = self._inside(lambda: nft.listing(name))
        self._run(whole(self.rules))
        return before != self._inside(lambda: nft.listing(name))

    def _run(self, batch: str) -> None:
        self._inside(lambda: nft.run(batch))
        self.generation = self._inside(nft.generation)

    def _inside(self, call: Callable[[], netns.T]) -> netns.T:
        return netns.inside(self.path, call)


class NftMesh:
    """The tables and ways of one node.

    Args:
        ingress: its ingress namespace.
        node: its own namespace; None: the one this process lives in.
    """

    def __init__(self, ingress: Path, *, node: Path | None = None) -> None:
        self._ingress = ingress
        self._node = node
        self._at_node = _Space(node)
        self._at_ingress = _Space(ingress)

    def apply(self, state: MeshState, ports: tuple[MeshPort, ...]) -> None:
        """Bring both namespaces in line.

        Args:
            state: what the ingress namespace is to hold.
            ports: those which the node's own namespace leads there.

        Raises:
            NftError, OSError: the kernel refuses; the next attempt begins anew.
        """
        if self._at_ingress.rules is None:
            netns.inside(self._node, lambda: sysctl.put(_NODE_SETTINGS))
            netns.inside(self._ingress, lambda: sysctl.put(_INGRESS_SETTINGS))
        self._route(state)
        self._at_ingress.bring(text.at_ingress(state))
        self._at_node.bring(text.at_node(ports))

    def forget(self, due: Due) -> None:
        """Cut off what leads to tasks that are gone; have UDP clients of others begin anew.

        Raises:
            OSError: the kernel refuses; again is fine.
        """
        netns.inside(self._ingress, lambda: forget(due))

    def repair(self, state: MeshState) -> int:
        """Put back what somebody else has changed; how many things that were."""
        repaired = self._at_node.repair() + self._at_ingress.repair()
        return repaired + (self._route(state) > 0)

    def close(self) -> None:
        """Published ports answer no more."""
        netns.inside(self._node, lambda: nft.run(gone(text.TABLE)))
        self._at_node.rules = None

    def _route(self, state: MeshState) -> int:
        """Bring the ways in the ingress namespace in line; answers how many steps that took."""
        with open_netlink(self._ingress) as netlink:
            bridge = find(netlink, BRIDGE)
            if bridge is None:
                raise OSError(f"the ingress namespace has no interface {BRIDGE}")
            wanted_routes = {
                Route(f"{task}/32", index=bridge, gateway=owner)
                for task, owner in state.ways.items()
            } | {
                Route(
                    "0.0.0.0/0",
                    index=bridge,
                    gateway=peer.address,
                    table=text.ROUTING_TABLES + peer.number,
                )
                for peer in state.peers
            }
            wanted_rules = {
                Rule(
                    family=4,
                    mark=peer.number,
                    table=text.ROUTING_TABLES + peer.number,
                    priority=text.RULE_PRIORITY,
                )
                for peer in state.peers
            }
            actual_routes = {
                route
                for route in routes(netlink)
                if route.table >= text.ROUTING_TABLES or route.destination.endswith("/32")
            }
            actual_rules = {rule for rule in rules(netlink) if rule.priority == text.RULE_PRIORITY}
            requests: list[Request] = [
                *(put_route(route) for route in sorted(wanted_routes - actual_routes)),
                *(put_rule(rule) for rule in sorted(wanted_rules - actual_rules)),
                *(delete_rule(rule) for rule in sorted(actual_rules - wanted_rules)),
                *(
                    delete_route(route)
                    for route in sorted(actual_routes - wanted_routes)
                    if (route.destination, route.table)
                    not in {(row.destination, row.table) for row in wanted_routes}
                ),
            ]
            netlink.do(*requests)
            return len(requests)
