"""The mesh on kernels with IPVS: services by mark in the ingress namespace, rules around them.

A task that leaves gets weight 0 and keeps its connections; once it is gone its entry is deleted,
which ends them. All methods block.
"""

from __future__ import annotations

import socket
from functools import partial
from pathlib import Path

from swarmd.lb.core.leaving import Due
from swarmd.lb.core.mesh import MeshPort, MeshSide, MeshState
from swarmd.lb.ipvs import mesh_text as text
from swarmd.lb.mesh_ways import bring_ways, set_up
from swarmd.lb.tracking import crowded
from swarmd.model.states import Balance
from swarmd.network.kernel import conntrack, iptables, netns
from swarmd.network.kernel.iptables import Rules
from swarmd.network.kernel.ipvs import SCHEDULERS, Ipvs, MarkedService

_SETTINGS = {
    # What IPVS leads is to be translated by the rules as well.
    "ipv4/vs/conntrack": "1",
    "ipv4/vs/expire_nodest_conn": "1",
    "ipv4/vs/conn_reuse_mode": "1",
}
_PROBE = f"{text.CHAIN}-PROBE"
_PROBE_HOOKS = {"raw": ("PREROUTING",)}

# Of a published port: the port of its tasks, and their weights.
Targets = tuple[int, dict[str, int]]


class IpvsMesh:
    """Implements `MeshKernel`.

    Args:
        ingress: the ingress namespace of the node.
        node: its own namespace; None: the one this process lives in.
    """

    def __init__(self, ingress: Path, *, node: Path | None = None) -> None:
        self._ingress = ingress
        self._node = node
        self._set_up_in: int | None = None  # the namespace that has its settings
        self._has_zones = False
        self._state: MeshState | None = None
        self._services: dict[MarkedService, Targets] | None = None  # None: not known
        self._rules: dict[
            Path | None, tuple[Rules, str]
        ] = {}  # what was given, and was listed then

    @property
    def lacking(self) -> frozenset[Balance]:
        """See `MeshKernel.lacking`."""
        return frozenset()

    @property
    def has_ipv6(self) -> bool:
        """See `MeshKernel.has_ipv6`: it has no rules for that."""
        return False

    def apply(self, *sides: MeshSide) -> None:
        """See `MeshKernel.apply`."""
        (side,) = sides
        state, ports = side.state, side.ports
        self._state = state
        self._set_up()
        bring_ways(self._ingress, (state,))
        known, self._services = self._services, None
        self._services = netns.inside(self._ingress, lambda: _balance(known, _wanted(state)))
        self._fill(self._ingress, text.at_ingress(state, zones=self._has_zones))
        self._fill(self._node, text.at_node(ports))

    def forget(self, due: Due) -> None:
        """See `MeshKernel.forget`. IPVS has no way to forget the sessions of one protocol."""
        for address in due.ended:
            netns.inside(self._ingress, partial(conntrack.flush_to, address))
        services = self._services
        if services is None or not due.gone:
            return

        def delete() -> None:
            with Ipvs() as kernel:
                for service, (port, weights) in services.items():
                    for address in weights.keys() & due.gone:
                        if not weights[address]:
                            kernel.delete_target(service, address, port=port)
                            del weights[address]

        netns.inside(self._ingress, delete)

    def repair(self) -> int:
        """See `MeshKernel.repair`."""
        self._set_up()
        states = (self._state,) if self._state is not None else ()
        repaired = int(bring_ways(self._ingress, states) > 0)
        for path, (given, listed) in list(self._rules.items()):
            if netns.inside(path, _listing) != listed:
                self._rules.pop(path)
                self._fill(path, given)
                repaired += 1
        services = self._services
        if services is not None:
            wanted = {service: weights for service, (_, weights) in services.items()}
            if netns.inside(self._ingress, _actual) != wanted:
                anew = dict(services)
                self._services = netns.inside(self._ingress, lambda: _balance(None, anew))
                repaired += 1
        return repaired

    def crowded(self) -> tuple[str, ...]:
        """See `MeshKernel.crowded`."""
        return crowded({"the node": self._node, "its ingress namespace": self._ingress})

    def close(self) -> None:
        """Published ports answer no more."""

        self._rules.pop(self._node, None)
        netns.inside(self._node, lambda: iptables.remove(iptables.V4, text.CHAIN, text.HOOKS))

    def _set_up(self) -> None:
        """Have the settings of both namespaces, again where the ingress namespace is another."""
        found = netns.inode(self._ingress)
        if found != self._set_up_in:
            set_up(self._ingress, node=self._node, more=_SETTINGS)
            self._has_zones = netns.inside(self._ingress, has_zones)
            self._set_up_in = found

    def _fill(self, path: Path | None, rules: Rules) -> None:
        before = self._rules.pop(path, None)
        if before is None or before[0] != rules:
            before = (rules, netns.inside(path, lambda: _put(rules)))
        self._rules[path] = before


def has_zones() -> bool:
    """Whether connections can be kept apart in the namespace of this thread, by trying."""
    try:
        iptables.put(iptables.V4, _PROBE, _PROBE_HOOKS, text.NEEDS_ZONES)
    except OSError:
        return False
    iptables.remove(iptables.V4, _PROBE, _PROBE_HOOKS)
    return True


def _wanted(state: MeshState) -> dict[MarkedService, Targets]:
    return {
        MarkedService(text.mark_of_port(port.key), socket.AF_INET, SCHEDULERS[port.balance]): (
            port.target_port,
            _weights(port, state.own),
        )
        for port in state.ports
    }


def _weights(port: MeshPort, own: str) -> dict[str, int]:
    """IPVS goes round targets in the order in which they are put."""
    weights = dict(zip(port.targets, port.weights, strict=True)) if port.weights else {}
    return {address: weights.get(address, 1) for address in port.round(own)}


def _balance(
    known: dict[MarkedService, Targets] | None, wanted: dict[MarkedService, Targets]
) -> dict[MarkedService, Targets]:
    """Bring IPVS in line; answers what it holds then, tasks that leave with weight 0.

    What an earlier daemon has left, and nobody wants, is deleted.
    """
    held: dict[MarkedService, Targets] = {}
    with Ipvs() as kernel:
        actual = kernel.services() if known is None else {}
        kept = {service.key for service in wanted}
        for service in (*actual, *(known or {})):
            if service.key not in kept:
                kernel.delete_service(service)
        # A service that is scheduled otherwise than before is the same one.
        present = {service.key: targets for service, targets in actual.items()}
        earlier = {service.key: targets for service, targets in (known or {}).items()}
        for service, (port, weights) in wanted.items():
            before = earlier.get(service.key, (port, {}))
            if before[0] != port:  # another port of the tasks: another entry for each
                for address in before[1]:
                    kernel.delete_target(service, address, port=before[0])
                before = (port, {})
            if known is None or service not in known:
                kernel.put_service(service)
            for address in present.get(service.key, {}).keys() - weights.keys():
                kernel.delete_target(service, address, port=port)
            after = {**dict.fromkeys(before[1], 0), **weights}
            for address, weight in after.items():
                if before[1].get(address) != weight:
                    kernel.put_target(service, address, weight, port=port)
            held[service] = (port, after)
    return held


def _put(rules: Rules) -> str:
    return iptables.put(iptables.V4, text.CHAIN, text.HOOKS, rules)


def _listing() -> str:
    return iptables.listing(iptables.V4, text.HOOKS)


def _actual() -> dict[MarkedService, dict[str, int]]:
    with Ipvs() as kernel:
        return kernel.services()
