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
from swarmd.network.core.tables import IPV4
from swarmd.network.kernel import conntrack, forwarding, iptables, netns
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
_PROBE_NAT = {"nat": ("PREROUTING",)}
_NEEDS_NAT: Rules = {("nat", "PREROUTING"): ("-i lo -d ::2 -j DNAT --to-destination ::3",)}

_TOOLS = {4: iptables.V4, 6: iptables.V6}  # by family
_FAMILIES = {4: socket.AF_INET, 6: socket.AF_INET6}

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
        self._set_up_for: tuple[int | None, int] | None = None  # the namespace, and how many sides
        self._has_zones = False
        self._has_ipv6: bool | None = None  # None: nobody has tried
        self._states: tuple[MeshState, ...] = ()
        self._services: dict[MarkedService, Targets] | None = None  # None: not known
        # By namespace and family what was given, and was listed then.
        self._rules: dict[tuple[Path | None, int], tuple[Rules, str]] = {}

    @property
    def lacking(self) -> frozenset[Balance]:
        """See `MeshKernel.lacking`."""
        return frozenset()

    @property
    def has_ipv6(self) -> bool:
        """See `MeshKernel.has_ipv6`."""
        if self._has_ipv6 is None:
            self._has_ipv6 = netns.inside(self._node, has_ipv6)
        return self._has_ipv6

    def apply(self, *sides: MeshSide) -> None:
        """See `MeshKernel.apply`."""
        self._states = tuple(side.state for side in sides)
        self._set_up()
        bring_ways(self._ingress, self._states)
        known, self._services = self._services, None
        wanted = {key: row for state in self._states for key, row in _wanted(state).items()}
        self._services = netns.inside(self._ingress, lambda: _balance(known, wanted))
        versions = {state.version for state in self._states}
        for path, version in tuple(self._rules):
            if version not in versions:
                self._leave(path, version)
        for side in sides:
            version = side.state.version
            rules = text.at_ingress(side.state, zones=self._has_zones)
            self._fill(self._ingress, version, rules)
            self._fill(self._node, version, text.at_node(side.ports, version))

    def forget(self, due: Due) -> None:
        """See `MeshKernel.forget`. IPVS has no way to forget the sessions of one protocol."""
        for address in due.ended:
            netns.inside(self._ingress, partial(conntrack.flush_answered_by, address))
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
        repaired = int(bring_ways(self._ingress, self._states) > 0)
        for (path, version), (given, listed) in list(self._rules.items()):
            if netns.inside(path, partial(_listing, version)) != listed:
                self._rules.pop((path, version))
                self._fill(path, version, given)
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
        for path, version in tuple(self._rules):
            if path == self._node:
                self._leave(path, version)

    def _set_up(self) -> None:
        """Have the settings of both namespaces, again where the ingress namespace is another."""
        found = (netns.inode(self._ingress), len(self._states))
        if found != self._set_up_for:
            ipv6 = any(state.version != IPV4 for state in self._states)
            set_up(self._ingress, node=self._node, ipv6=ipv6, more=_SETTINGS)
            self._has_zones = netns.inside(self._ingress, has_zones)
            self._set_up_for = found

    def _fill(self, path: Path | None, version: int, rules: Rules) -> None:
        before = self._rules.pop((path, version), None)
        if before is None or before[0] != rules:
            before = (rules, netns.inside(path, partial(_put, version, rules)))
        self._rules[path, version] = before

    def _leave(self, path: Path | None, version: int) -> None:
        self._rules.pop((path, version), None)
        netns.inside(path, partial(iptables.remove, _TOOLS[version], text.CHAIN, text.HOOKS))


def has_ipv6() -> bool:
    """Whether the rules work for IPv6 in the namespace of this thread, by trying."""
    if not forwarding.has_ipv6():
        return False
    try:
        iptables.put(iptables.V6, _PROBE, _PROBE_NAT, _NEEDS_NAT)
    except OSError:
        return False
    iptables.remove(iptables.V6, _PROBE, _PROBE_NAT)
    return True


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
        MarkedService(
            text.mark_of_port(port.key), _FAMILIES[state.version], SCHEDULERS[port.balance]
        ): (port.target_port, _weights(port, state.own))
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


def _put(version: int, rules: Rules) -> str:
    return iptables.put(_TOOLS[version], text.CHAIN, text.HOOKS, rules)


def _listing(version: int) -> str:
    return iptables.listing(_TOOLS[version], text.HOOKS)


def _actual() -> dict[MarkedService, dict[str, int]]:
    with Ipvs() as kernel:
        return kernel.services()
