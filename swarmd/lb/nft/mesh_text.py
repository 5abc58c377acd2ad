"""The mesh in nft's language: a table in the node's own namespace, one in its ingress namespace."""

from __future__ import annotations

from swarmd.lb.core.mesh import MeshPort, MeshState, Source
from swarmd.lb.core.virtual import mark_of
from swarmd.lb.nft.ruleset import Elements, Ruleset
from swarmd.network import ingress
from swarmd.network.core.overlay_plan import BRIDGE
from swarmd.network.core.tables import mac_of
from swarmd.network.ingress import INSIDE, OUTSIDE

TABLE = "ip swarmd_mesh"
# Packets that have to show this node's address: a mark no target and no peer can have.
MASQUERADED = 0x4D53
NAMESPACE_ADDRESS = str(ingress.NAMESPACE_ADDRESS.ip)
BETWEEN = str(ingress.NAMESPACE_ADDRESS.network)
_PORTS = "type inet_proto . inet_service"


def at_node(ports: tuple[MeshPort, ...]) -> Ruleset:
    """The node's own namespace: published ports lead to the ingress namespace."""
    lead = f"fib daddr type local meta l4proto . th dport @ports dnat to {NAMESPACE_ADDRESS}"
    # Addresses of this node that alone answer a port.
    lead_some = f"meta l4proto . th dport . ip daddr @bound dnat to {NAMESPACE_ADDRESS}"
    return Ruleset(
        name=TABLE,
        base={
            "arrive": ("type nat hook prerouting priority dstnat; policy accept;", lead, lead_some),
            "begin": ("type nat hook output priority -100; policy accept;", lead, lead_some),
            "leave": (
                "type nat hook postrouting priority srcnat; policy accept;",
                f'oifname "{OUTSIDE}" fib saddr type local masquerade',
                f'ip saddr {BETWEEN} oifname != "{OUTSIDE}" masquerade',
            ),
        },
        sets={
            "ports": Elements(_PORTS, {_key(port): "" for port in ports if port.ipv4 is None}),
            "bound": Elements(
                f"{_PORTS} . ipv4_addr",
                {f"{_key(port)} . {one}": "" for port in ports for one in port.ipv4 or ()},
            ),
        },
    )


def at_ingress(state: MeshState) -> Ruleset:
    """The ingress namespace: ports lead to tasks, answers go back by the way clients came."""
    chains = {_chain(port): _choose(port) for port in state.ports}
    chains |= {
        _rescue_chain(address): (_lead_on(targets),) for address, targets in state.rescue.items()
    }
    # Tasks that leave stay among them: a packet that has chosen one by the rules of before is
    # still translated.
    targets = dict.fromkeys(
        (
            *(address for port in state.ports for address in port.targets),
            *state.ways,
            *state.rescue,
        )
    )
    numbers = {mac_of(peer.address): str(peer.number) for peer in state.peers}
    return Ruleset(
        name=TABLE,
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
                # Where the mark is a peer's: tasks' marks are their addresses, which are larger.
                "ct direction reply ct mark & 0xff000000 == 0 meta mark set ct mark",
            ),
            "enter": (
                "type nat hook prerouting priority dstnat; policy accept;",
                f'iifname "{INSIDE}" meta l4proto . th dport vmap @ports',
            ),
            "rescue": (
                "type nat hook prerouting priority dstnat + 5; policy accept;",
                f'iifname "{BRIDGE}" ip daddr vmap @leaving',
            ),
            "leave": (
                "type nat hook postrouting priority srcnat; policy accept;",
                f'oifname "{BRIDGE}" meta mark 0x{MASQUERADED:x} snat to {state.own}',
                f'oifname "{INSIDE}" ip saddr {state.subnet} masquerade',
            ),
            "fit": (
                "type filter hook forward priority mangle; policy accept;",
                "tcp flags syn tcp option maxseg size set rt mtu",
            ),
        },
        chains=chains,
        sets={
            "targets": Elements(
                "type mark : ipv4_addr",
                {f"0x{mark_of(address):08x}": address for address in targets},
            ),
            "ports": Elements(
                f"{_PORTS} : verdict", {_key(port): f"goto {_chain(port)}" for port in state.ports}
            ),
            "leaving": Elements(
                "type ipv4_addr : verdict",
                {address: f"goto {_rescue_chain(address)}" for address in state.rescue},
            ),
            "peers": Elements("type ether_addr : mark", numbers),
            "zones": Elements("typeof ether saddr : ct zone", numbers),
        },
    )


def _choose(port: MeshPort) -> tuple[str, ...]:
    protocol = port.key.protocol.value
    hide = (f"meta mark set 0x{MASQUERADED:x}",) if port.source is Source.MASQUERADE else ()
    return (
        *hide,
        _spread(port.targets),
        f"meta l4proto {protocol} dnat to ct mark map @targets : {port.target_port}",
    )


def _spread(targets: tuple[str, ...]) -> str:
    marks = [f"0x{mark_of(address):08x}" for address in targets]
    if len(marks) == 1:
        return f"ct mark set {marks[0]}"
    chosen = ", ".join(f"{index} : {mark}" for index, mark in enumerate(marks))
    return f"ct mark set numgen inc mod {len(marks)} map {{ {chosen} }}"


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
    return f"r_{mark_of(address):08x}"
