"""The namespace that VXLANs send from whose packets tunnels carry: one interface, and no other way.

All functions block, and raise OSError.
"""

from __future__ import annotations

import os
from ipaddress import ip_interface
from pathlib import Path

from swarmd.network.core.overlay_plan import TUNNEL_MTU
from swarmd.network.kernel import links, netns, sysctl
from swarmd.network.kernel.netlink import open_netlink
from swarmd.network.kernel.netns import inside
from swarmd.network.kernel.routing import MAIN_TABLE, Route, put_address, put_route
from swarmd.network.kernel.tun import open_tun

DEVICE = "swcrypt"
_EVERYTHING = {4: "0.0.0.0/0", 6: "::/0"}
_SETTINGS = {"ipv6/conf/default/addr_gen_mode": "1"}


def make(namespace: Path, address: str) -> int:
    """A descriptor of the interface, which has the address of the underlay and lasts as long.

    The namespace may be there already, without the interface.
    """
    netns.create(namespace)
    inside(namespace, lambda: sysctl.put(_SETTINGS))
    descriptor = open_tun(DEVICE, node=namespace)
    try:
        own = ip_interface(address)
        with open_netlink(namespace) as netlink:
            index = links.index_of(netlink, DEVICE)
            netlink.do(
                links.change(index, up=True, mtu=TUNNEL_MTU),
                put_address(index, own),
                put_route(Route(_EVERYTHING[own.version], index=index, table=MAIN_TABLE)),
            )
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def is_there(namespace: Path) -> bool:
    """Whether the interface is, and takes packets."""
    if not netns.exists(namespace):
        return False
    with open_netlink(namespace) as netlink:
        link = links.links(netlink).get(DEVICE)
        return link is not None and link.is_up


def remove(namespace: Path) -> None:
    """Take everything away; again is fine."""
    netns.remove(namespace)
