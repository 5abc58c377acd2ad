"""The interface of this machine that carries encapsulated packets, and what fits through it."""

from __future__ import annotations

import struct
from ipaddress import ip_address
from pathlib import Path

from swarmd.network.core.overlay_plan import Underlay
from swarmd.network.kernel import links, routing
from swarmd.network.kernel.netlink import open_netlink


def find_underlay(address: str, *, node: Path | None = None) -> Underlay | str:
    """The underlay at an address of this machine, or a phrase saying why there can be none."""
    try:
        wanted = ip_address(address)
    except ValueError:
        return f"its data address {address!r} is no IP address"
    if wanted.is_loopback:
        return f"its data address {address} is reached from this machine alone"
    try:
        with open_netlink(node) as netlink:
            for link in links.links(netlink).values():
                if any(one.ip == wanted for one in routing.addresses(netlink, link.index)):
                    return Underlay(address=str(wanted), mtu=link.mtu)
    except (OSError, struct.error) as error:
        return f"the kernel does not tell of its interfaces: {error}"
    return f"its data address {address} is not an address of this machine"
