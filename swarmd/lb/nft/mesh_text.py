"""The mesh in nft's language: a table in the node's own namespace, one in its ingress namespace.

Each is there once for IPv4 and, where the node has that, once for IPv6.
"""

from __future__ import annotations

from msgspec import Struct

from swarmd.lb.core.mesh import NOT_A_PEER, MeshPort, MeshState, Source, mark_of_target
from swarmd.lb.nft.choosing import mark_by
from swarmd.lb.nft.ruleset import DESTINATION, Elements, Ruleset, translating
from swarmd.network import ingress
from swarmd.network.core.overlay_plan import BRIDGE
from swarmd.network.ingress import INSIDE, OUTSIDE

# Packets that have to show this node's address: a mark that no peer can have. It is of packets,
# and those of tasks are of connections.
MASQUERADED = NOT_A_PEER
NAMESPACE_ADDRESS = str(ingress.NAMESPACE_ADDRESS.ip)
_PORTS = "type inet_proto . inet_service"


class _Family(Struct, frozen=True):
    """What one family of addresses is called, and where its packets are led."""

    word: str  # of tables and of what a packet's headers are
    kind: str  # of elements
    namespace: str
    between: str
    # Of the node's own addresses those that packets can't be led on from.
    kept: str = ""

    @property
    def table(self) -> str:
        return f"{self.word} swarmd_mesh"


_FAMILIES = {
    4: _Family("ip", "ipv4_addr", NAMESPACE_ADDRESS, str(ingress.NAMESPACE_ADDRESS.network)),
    6: _Family(
        "ip6",
        "ipv6_addr",
        str(ingress.NAMESPACE_ADDRESS_V6.ip),
        str(ingress.NAMESPACE_ADDRESS_V6.network),
        # IPv6 knows no way out for the loopback address, nor from link to link: clients that use
        # those are the proxy's.
        kept="ip6 daddr != ::1 ip6 daddr != fe80::/10 ",
    ),
}


def table(version: int) -> str:
    """The name of both tables of a family, with the family."""
    return _FAMILIES[version].table


def at_node(ports: tuple[MeshPort, ...], version: int) -> Ruleset:
    """The node's own namespace: published ports lead to the ingress namespace."""
    family = _FAMILIES[version]
    to = f"dnat to {family.namespace}"
    lead = f"{family.kept}fib daddr type local meta l4proto . th dport @ports {to}"
    # Addresses of this node that alone answer a port.
    lead_some = f"{family.kept}meta l4proto . th dport . {family.word} daddr @bound {to}"
    return Ruleset(
        name=family.table,
        base={
            **translating("arrive", "prerouting", lead, lead_some),
            **translating("begin", "output", lead, lead_some),
            "leave": (
                "type nat hook postrouting priority srcnat; policy accept;",
                f'oifname "{OUTSIDE}" fib saddr type local masquerade',
                f'{family.word} saddr {family.between} oifname != "{OUTSIDE}" masquerade',
            ),
        },
        sets={
            "ports": Elements(
                _PORTS, {_key(port): "" for port in ports if port.located(version) is None}
            ),
            "bound": Elements(
                f"{_PORTS} . {family.kind}",
                {
                    f"{_key(port)} . {one}": ""
                    for port in ports
                    for one in port.located(version) or ()
                },
            ),
        },
    )


def at_ingress(state: MeshState) -> Ruleset:
    """The ingress namespace: ports lead to tasks, answers go back by the way clients came."""
    family = _FAMILIES[state.version]
    chains = {_chain(port): _choose(port, state) for port in state.ports}
    chains |= {
        _rescue_chain(address): (_lead_on(targets),) for address, targets in state.rescue.items()
    }
    targets = dict.fromkeys(address for port in state.ports for address in port.targets)
    numbers = {peer.mac: str(peer.number) for peer in state.peers}
    return Ruleset(
        name=family.table,
        base={
            # One client may use the same port towards two nodes. Where both connections meet
            # again, their zones keep them apart.
            "separate": (
                "type filter hook prerouting priority raw; policy accept;",
                f'iifname "{BRIDGE}" ct original zone set ether saddr map @zones',
            ),
            "remember": (
                "type filter hook prerouting priority mangle; policy accept;",
                f'iifname "{BRIDGE}" ct state new ct mark set ether saddr map @peers',
                # Where the mark is a peer's.
                f"ct direction reply ct mark & 0x{NOT_A_PEER:x} == 0 meta mark set ct mark",
            ),
            **translating(
                *("enter", "prerouting"),
                f'iifname "{INSIDE}" meta l4proto . th dport vmap @ports',
            ),
            **translating(
                *("rescue", "prerouting"),
                f'iifname "{BRIDGE}" {family.word} daddr vmap @leaving',
                priority=DESTINATION + 5,
            ),
            "leave": (
                "type nat hook postrouting priority srcnat; policy accept;",
                f'oifname "{BRIDGE}" meta mark 0x{MASQUERADED:x} snat to {state.own}',
                f'oifname "{INSIDE}" {family.word} saddr {state.subnet} masquerade',
            ),
            "fit": (
                "type filter hook forward priority mangle; policy accept;",
                "tcp flags syn tcp option maxseg size set rt mtu",
            ),
        },
        chains=chains,
        sets={
            "targets": Elements(
                f"type mark : {family.kind}",
                {_mark(address): address for address in targets},
            ),
            "ports": Elements(
                f"{_PORTS} : verdict", {_key(port): f"goto {_chain(port)}" for port in state.ports}
            ),
            "leaving": Elements(
                f"type {family.kind} : verdict",
                {address: f"goto {_rescue_chain(address)}" for address in state.rescue},
            ),
            "peers": Elements("type ether_addr : mark", numbers),
            "zones": Elements("typeof ether saddr : ct zone", numbers),
        },
    )


def _choose(port: MeshPort, state: MeshState) -> tuple[str, ...]:
    protocol = port.key.protocol.value
    hide = (f"meta mark set 0x{MASQUERADED:x}",) if port.source is Source.MASQUERADE else ()
    marks = [_mark(address) for address in port.round(state.own)]
    return (
        *hide,
        # Whichever node a client comes in at: what it has called there doesn't count.
        mark_by(port.balance, marks, hashed=f"{_FAMILIES[state.version].word} saddr"),
        f"meta l4proto {protocol} dnat to ct mark map @targets : {port.target_port}",
    )


def _lead_on(targets: tuple[str, ...]) -> str:
    """To another task, leaving the mark alone: it says where the connection came in."""
    if len(targets) == 1:
        return f"dnat to {targets[0]}"
    chosen = ", ".join(f"{index} : {address}" for index, address in enumerate(targets))
    return f"dnat to numgen inc mod {len(targets)} map {{ {chosen} }}"


def _key(port: MeshPort) -> str:
    return f"{port.key.protocol.value} . {port.key.port}"


def _chain(port: MeshPort) -> str:
    return f"p_{port.key.protocol.value}_{port.key.port}"


def _rescue_chain(address: str) -> str:
    return f"r_{mark_of_target(address):08x}"


def _mark(address: str) -> str:
    return f"0x{mark_of_target(address):08x}"
