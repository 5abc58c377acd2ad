"""Encryption by the kernel: WireGuard between nodes, with VXLAN packets routed into it.

    VXLAN ─► guard's mark ─► routing table ─► interface of the key in use ─► UDP to the peer

Addresses stay what they are: an interface takes what goes to the underlay's address of a peer, and
gives out what comes from there. There is one interface for each key of the ring (`core/wireguard`),
and sessions on all of them are kept up, so turning to the next key is one route. What the kernel
holds outlives the daemon.
"""

from __future__ import annotations

from ipaddress import IPv4Interface, ip_address
from pathlib import Path

from swarmd.model.network import Mechanism
from swarmd.network.core.encryption import RING
from swarmd.network.core.overlay_plan import WIREGUARD_V4, WIREGUARD_V6, Underlay
from swarmd.network.core.wireguard import Interface, Wireguard
from swarmd.network.crypt.guard import MARKS, WIREGUARD_DEVICES
from swarmd.network.kernel import links, routing, sysctl
from swarmd.network.kernel.links import Link
from swarmd.network.kernel.netlink import Netlink, Request, open_netlink
from swarmd.network.kernel.netns import inside
from swarmd.network.kernel.routing import Route, Rule
from swarmd.network.kernel.wireguard import KIND, Device, Peer, WireguardNetlink, open_wireguard

ROUTING_TABLE, RULE_PRIORITY = 20_584, 90
IPV4 = 4
# Nobody ever sees them; but without any address there can't be loose checks of senders.
_ADDRESSES = tuple(IPv4Interface(f"169.254.77.{10 + slot}/32") for slot in range(RING))
_EVERYTHING = {4: "0.0.0.0/0", 6: "::/0"}


def bring(wanted: Wireguard, underlay: Underlay, *, node: Path | None = None) -> int:
    """Have the kernel hold this and nothing else of ours; how many steps that took. Blocks.

    New interfaces come before packets are led to them, old ones go after.

    Raises:
        OSError: the kernel refuses.
    """
    version = ip_address(underlay.address).version
    mtu = underlay.mtu - (WIREGUARD_V4 if version == IPV4 else WIREGUARD_V6)
    with open_netlink(node) as netlink:
        present = links.links(netlink)
        kept = {device_name(one.slot) for one in wanted.interfaces}
        old = [
            name
            for name in map(device_name, range(RING))
            if name in present and (name not in kept or present[name].kind != KIND)
        ]
        replaced = [name for name in old if name in kept]
        netlink.do(*map(links.delete, replaced))
        done = len(old)
        if wanted.interfaces:
            with open_wireguard(node) as wireguard:
                for one in wanted.interfaces:
                    link = present.get(device_name(one.slot))
                    link = None if device_name(one.slot) in replaced else link
                    done += _interface(one, link, mtu, netlink, wireguard, node)
        done += _lead(wanted, version, netlink)
        netlink.do(*(links.delete(name) for name in old if name not in kept))
    return done


def met(*, node: Path | None = None) -> dict[tuple[str, int], int]:
    """When our interfaces have met the other ends of their sessions: see `WireguardNetlink.met`.

    Raises:
        OSError: the kernel doesn't tell.
    """
    with open_netlink(node) as netlink:
        names = [name for name in map(device_name, range(RING)) if name in links.links(netlink)]
    if not names:
        return {}
    with open_wireguard(node) as wireguard:
        return {end: at for name in names for end, at in wireguard.met(name).items()}


def device_name(slot: int) -> str:
    return f"{WIREGUARD_DEVICES}{slot}"


def _interface(
    wanted: Interface,
    link: Link | None,
    mtu: int,
    netlink: Netlink,
    wireguard: WireguardNetlink,
    node: Path | None,
) -> int:
    """Have one interface, its identity and its peers as they should be."""
    name = device_name(wanted.slot)
    done = 0
    if link is None:
        netlink.do(links.plain(name, KIND))
        inside(node, lambda: sysctl.put(_settings(name)))
    device = Device() if link is None else wireguard.device(name)
    if (device.public_key, device.port) != (wanted.public_key, wanted.port):
        wireguard.identify(name, private_key=wanted.private_key, port=wanted.port)
        device = Device()
        done += 1
    peers = {
        Peer(one.public_key, one.address, one.address, one.port, one.shared)
        for one in wanted.remotes
    }
    put, gone = peers - device.peers, device.peers - peers
    if put or gone:
        kept = {peer.public_key for peer in put}
        wireguard.change_peers(
            name,
            remove=sorted(peer.public_key for peer in gone if peer.public_key not in kept),
            put=sorted(put),
        )
        done += 1
    if link is None or not link.is_up or link.mtu != mtu:
        index = links.index_of(netlink, name)
        address = routing.put_address(index, _ADDRESSES[wanted.slot])
        netlink.do(links.change(index, up=True, mtu=mtu), address)
        done += 1
    return done


def _lead(wanted: Wireguard, version: int, netlink: Netlink) -> int:
    """Lead what the guard has marked to the interface of the key in use."""
    rules = {rule for rule in routing.rules(netlink) if rule.table == ROUTING_TABLE}
    routes = {route for route in routing.routes(netlink) if route.table == ROUTING_TABLE}
    to_rules: set[Rule] = set()
    to_routes: set[Route] = set()
    if wanted.sending is not None:
        index = links.index_of(netlink, device_name(wanted.sending))
        to_routes = {Route(_EVERYTHING[version], index=index, table=ROUTING_TABLE)}
        mark = MARKS[Mechanism.WIREGUARD]
        to_rules = {Rule(version, mark, ROUTING_TABLE, RULE_PRIORITY)}
    kept = {route.destination for route in to_routes}
    requests: list[Request] = [
        # A route takes the place of the one there was.
        *(routing.put_route(route) for route in sorted(to_routes - routes)),
        *(routing.put_rule(rule) for rule in sorted(to_rules - rules)),
        *(routing.delete_rule(rule) for rule in sorted(rules - to_rules)),
        *(
            routing.delete_route(route)
            for route in sorted(routes - to_routes)
            if route.destination not in kept
        ),
    ]
    netlink.do(*requests)
    return len(requests)


def _settings(name: str) -> dict[str, str]:
    return {
        # Senders are reached by the underlay, not by the way their packets come.
        f"ipv4/conf/{name}/rp_filter": "2",
        f"ipv6/conf/{name}/addr_gen_mode": "1",
    }
