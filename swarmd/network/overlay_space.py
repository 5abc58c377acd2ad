"""The namespace of one overlay network on this node: looking at it, and bringing it in line.

What is wanted is decided in `core/overlay_plan`. Everything here blocks.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import partial
from ipaddress import ip_interface
from pathlib import Path

from msgspec import Struct

from swarmd.network.core.overlay_plan import (
    BRIDGE,
    PORT_PREFIX,
    Known,
    Observed,
    Place,
    Port,
    PortState,
    Steps,
    Vxlan,
    Wanted,
    steps,
)
from swarmd.network.kernel import links, neighbours, netns, routing, sysctl
from swarmd.network.kernel.links import Link
from swarmd.network.kernel.neighbours import Forwarding, Neighbour
from swarmd.network.kernel.netlink import Netlink, Request, open_netlink
from swarmd.network.plugging import LOOPBACK, Plug, plug, resize

_SETTINGS = {
    # Frames that merely pass the bridge are nobody's to filter or track.
    "bridge/bridge-nf-call-iptables": "0",
    "bridge/bridge-nf-call-ip6tables": "0",
    "bridge/bridge-nf-call-arptables": "0",
    "ipv4/conf/all/rp_filter": "0",
    "ipv4/conf/default/rp_filter": "0",
    "ipv6/conf/default/accept_ra": "0",
    "ipv6/conf/default/accept_dad": "0",
}

_WITH_IPV6 = {"ipv6/conf/default/disable_ipv6": "0", f"ipv6/conf/{BRIDGE}/disable_ipv6": "0"}


class Outcome(Struct, frozen=True):
    """How many things were not as they should be, and a sentence on each that still isn't."""

    changed: int = 0
    problems: tuple[str, ...] = ()


class OverlaySpace:
    """The namespace at `path`; `node` is the one that has the underlay (None: this process's)."""

    def __init__(self, path: Path, *, node: Path | None = None) -> None:
        self.path = path
        self._node = node

    def bring(
        self, wanted: Wanted, plugs: Mapping[Port, Plug], spared: Collection[str] = ()
    ) -> Outcome:
        """Bring everything in line with `wanted`; what can't be done doesn't stop the rest.

        Args:
            plugs: the tasks that are to be connected.
            spared: names of ports that are left as they are.

        Raises:
            OSError: there can't be a namespace, or it can't be looked at.
        """
        was_made = netns.create(self.path)
        if was_made:
            ipv6 = {"ipv6/conf/default/disable_ipv6": "0" if wanted.has_ipv6 else "1"}
            netns.inside(self.path, lambda: sysctl.put({**_SETTINGS, **ipv6}))
        elif wanted.has_ipv6:
            # An earlier daemon may have made it for IPv4 alone.
            netns.inside(self.path, lambda: sysctl.put(_WITH_IPV6))
        with open_netlink(self.path) as inner, open_netlink(self._node) as node:
            if was_made:
                inner.do(links.change(LOOPBACK, up=True))
            todo = steps(wanted, plugs, observe(inner, wanted), spared)
            failures = _Work(self.path, inner, node, wanted, plugs).carry_out(todo)
        return Outcome(changed=todo.count, problems=tuple(dict.fromkeys(failures)))

    def has_ports(self) -> bool:
        """Whether tasks are connected, as far as the kernel knows. Raises: OSError."""
        if not netns.exists(self.path):
            return False
        with open_netlink(self.path) as inner:
            return any(name.startswith(PORT_PREFIX) for name in links.links(inner))

    def has(self, port: Port) -> bool:
        """Whether a task is connected, as far as the kernel knows. Raises: OSError."""
        if not netns.exists(self.path):
            return False
        with open_netlink(self.path) as inner:
            return links.find(inner, port.name) is not None

    def plug(self, wanted: Wanted, port: Port, one: Plug) -> None:
        """Connect a task, without a look at anything else.

        Raises:
            OSError: the kernel refuses; the next `bring` tries again.
        """
        with open_netlink(self.path) as inner:
            _plug(inner, wanted, port, one)

    def remove(self) -> None:
        """Take everything away. Raises: OSError."""
        if netns.exists(self.path):
            with open_netlink(self.path) as inner:
                # The kernel takes its time to end a namespace; the VXLAN's number is free at once.
                found = [link for link in links.links(inner).values() if link.kind == "vxlan"]
                inner.attempt(links.delete(link.name) for link in found)
        netns.remove(self.path)


def observe(inner: Netlink, wanted: Wanted) -> Observed:
    """What a namespace holds. Raises: OSError."""
    found = links.links(inner)
    names = {link.index: link.name for link in found.values()}
    bridge = found.get(BRIDGE)
    if bridge is not None and bridge.kind != "bridge":
        bridge = None
    index = bridge.index if bridge else 0
    macs: dict[int, set[str]] = {}
    for port, mac in neighbours.port_entries(inner):
        macs.setdefault(port, set()).add(mac)

    def state(link: Link, *, floods: bool) -> PortState:
        return PortState(
            mtu=link.mtu,
            is_right=bool(
                index
                and link.is_up
                and link.master == index
                and not link.learns
                and link.floods == floods
            ),
            macs=frozenset(macs.get(link.index, ())),
        )

    vxlans = {
        link.name: (
            Vxlan(
                name=link.name,
                vxlan_id=link.vxlan_id,
                local=link.vxlan_local,
                port=link.vxlan_port,
            ),
            state(link, floods=True),
        )
        for link in found.values()
        if link.kind == "vxlan"
    }
    return Observed(
        has_bridge=bridge is not None,
        bridge_is_right=bridge is not None and bridge.is_up and bridge.mac == wanted.mac,
        mtu=bridge.mtu if bridge else 0,
        addresses=frozenset(map(str, routing.addresses(inner, index))) if index else frozenset(),
        vxlans=vxlans,
        ports={
            link.name: state(link, floods=False)
            for link in found.values()
            if link.kind == "veth" and link.name.startswith(PORT_PREFIX)
        },
        places=frozenset(
            Place(vxlan=names[entry.index], mac=entry.mac, node=entry.node)
            for entry in neighbours.forwardings(inner)
            if names.get(entry.index) in vxlans
        ),
        known=frozenset(
            Known(vxlan=names[entry.index], address=entry.address, mac=entry.mac)
            for entry in neighbours.neighbours(inner)
            if names.get(entry.index) in vxlans
        ),
    )


class _Work:
    """Carries out steps; failures become sentences."""

    def __init__(
        self,
        path: Path,
        inner: Netlink,
        node: Netlink,
        wanted: Wanted,
        plugs: Mapping[Port, Plug],
    ) -> None:
        self._path = path
        self._inner = inner
        self._node = node
        self._wanted = wanted
        self._plugs = plugs
        self._failures: list[str] = []

    def carry_out(self, todo: Steps) -> list[str]:
        wanted = self._wanted
        self._try(links.delete(name) for name in (*todo.drop_ports, *todo.delete_links))
        if todo.make_bridge:
            self._try([links.bridge(BRIDGE, mac=wanted.mac, mtu=wanted.mtu, up=False)])
        bridge = links.find(self._inner, BRIDGE)
        if bridge is None:
            return self._failures
        for vxlan in todo.make_vxlans:
            self._make_vxlan(vxlan, bridge)
        for name in todo.set_vxlans:
            self._set_vxlan(name, bridge)
        if todo.make_bridge or todo.set_bridge:
            # Last: a bridge that comes up without ports takes no packets until it is looked at.
            self._try([links.change(bridge, up=True, mac=wanted.mac, mtu=wanted.mtu)])
        for port in todo.make_ports:
            self._guard(partial(self._plug, port))
        for port in todo.set_ports:
            self._guard(partial(self._set_port, port, bridge))
        self._try(
            routing.delete_address(bridge, ip_interface(one)) for one in todo.delete_addresses
        )
        self._try(routing.put_address(bridge, ip_interface(one)) for one in todo.put_addresses)
        self._enter(todo)
        return self._failures

    def _enter(self, todo: Steps) -> None:
        found = {link.name: link.index for link in links.links(self._inner).values()}
        self._try(
            neighbours.delete_forwarding(_forwarding(place, found))
            for place in todo.delete_places
            if place.vxlan in found
        )
        self._try(
            neighbours.put_forwarding(_forwarding(place, found))
            for place in todo.put_places
            if place.vxlan in found
        )
        self._try(
            neighbours.delete_neighbour(_neighbour(known, found))
            for known in todo.delete_known
            if known.vxlan in found
        )
        self._try(
            neighbours.put_neighbour(_neighbour(known, found))
            for known in todo.put_known
            if known.vxlan in found
        )

    def _make_vxlan(self, vxlan: Vxlan, bridge: int) -> None:
        with open(self._path) as namespace:
            request = links.vxlan(
                vxlan.name,
                vxlan_id=vxlan.vxlan_id,
                port=vxlan.port,
                local=vxlan.local,
                mac="",
                mtu=self._wanted.mtu,
                namespace=namespace.fileno(),
            )
            failures = self._node.attempt([request])
        self._failures += (_sentence(failure, vxlan) for failure in failures)
        if not failures:
            self._set_vxlan(vxlan.name, bridge)

    def _set_vxlan(self, name: str, bridge: int) -> None:
        index = links.find(self._inner, name)
        if index is None:
            return
        vxlan = next(one for one in self._wanted.vxlans if one.name == name)
        inner = self._inner
        failures = inner.attempt(
            [links.change(index, up=True, master=bridge, mtu=self._wanted.mtu)]
        ) or inner.attempt([links.port(index, learns=False, floods=True)])
        self._failures += (_sentence(failure, vxlan) for failure in failures)

    def _plug(self, port: Port) -> None:
        _plug(self._inner, self._wanted, port, self._plugs[port])

    def _set_port(self, port: Port, bridge: int) -> None:
        index = links.index_of(self._inner, port.name)
        resize(self._plugs[port], self._wanted.mtu)
        self._inner.do(
            links.change(index, up=True, master=bridge, mtu=self._wanted.mtu),
            *_port(index, port),
        )

    def _guard(self, call: Callable[[], None]) -> None:
        try:
            call()
        except OSError as error:
            self._failures.append(_sentence(error))

    def _try(self, requests: Iterable[Request]) -> None:
        self._failures += map(_sentence, self._inner.attempt(requests))


def _plug(inner: Netlink, wanted: Wanted, port: Port, one: Plug) -> None:
    bridge = links.index_of(inner, BRIDGE)
    index = plug(inner, port.name, one, master=bridge, mtu=wanted.mtu)
    inner.do(*_port(index, port))


def _port(index: int, port: Port) -> tuple[Request, Request]:
    """The task's place is known, so nothing has to be learnt, or tried everywhere."""
    return links.port(index, learns=False, floods=False), neighbours.put_port_entry(index, port.mac)


def _forwarding(place: Place, indexes: Mapping[str, int]) -> Forwarding:
    return Forwarding(index=indexes[place.vxlan], mac=place.mac, node=place.node)


def _neighbour(known: Known, indexes: Mapping[str, int]) -> Neighbour:
    return Neighbour(index=indexes[known.vxlan], address=known.address, mac=known.mac)


def _sentence(error: OSError, vxlan: Vxlan | None = None) -> str:
    about = f"{error.filename}: " if error.filename else ""
    reason = error.strerror or os.strerror(error.errno or errno.EIO)
    if vxlan is not None and error.errno == errno.EEXIST:
        return (
            f"VXLAN id {vxlan.vxlan_id} is in use by another interface of this machine, which "
            "`ip -d link show type vxlan` may name; remove that, or make the network anew"
        )
    if vxlan is not None and error.errno == errno.EADDRINUSE:
        return (
            f"UDP port {vxlan.port} of this machine is taken by another program, so that tasks on "
            "other nodes can't be reached; end that program"
        )
    return f"{about}{reason}"
