"""Connecting a task's namespace: a pair with one end at a bridge and the other, set up, in there.

These calls block, for about a millisecond.
"""

from __future__ import annotations

import errno
from ipaddress import ip_interface, ip_network
from pathlib import Path

from msgspec import Struct

from swarmd.network.core.interfaces import Interface
from swarmd.network.kernel import links, netns, routing, sysctl
from swarmd.network.kernel.netlink import Netlink, Request, open_netlink
from swarmd.network.kernel.routing import Route

LOOPBACK = 1
# Packets come and go by different interfaces where clients' addresses are kept, and a node's own
# services on the way must not talk tasks into other routes.
_TASK_SETTINGS = {
    "ipv4/conf/all/rp_filter": "0",
    "ipv4/conf/default/rp_filter": "0",
    "ipv4/conf/all/accept_redirects": "0",
    "ipv4/conf/default/accept_redirects": "0",
    "ipv4/conf/all/send_redirects": "0",
    "ipv4/conf/default/send_redirects": "0",
    # As containers are used to: any user may listen on any port of its own network, and ping.
    "ipv4/ip_unprivileged_port_start": "0",
    "ipv6/conf/default/accept_ra": "0",
    "ipv6/conf/default/accept_redirects": "0",
}
_PING = {"ipv4/ping_group_range": "0 2147483647"}


class Plug(Struct, frozen=True):
    """An interface of a task and the namespace it belongs into."""

    namespace: Path
    interface: Interface


def prepare(path: Path, *, ipv6: bool) -> None:
    """Make the namespace of a task, with nothing but a loopback interface; again is fine.

    Raises:
        OSError: the kernel refuses.
    """
    netns.create(path)
    settings = {**_TASK_SETTINGS, "ipv6/conf/default/disable_ipv6": "0" if ipv6 else "1"}
    netns.inside(path, lambda: _set(settings))
    with open_netlink(path) as netlink:
        netlink.do(links.change(LOOPBACK, up=True))


def plug(outer: Netlink, name: str, plug: Plug, *, master: int, mtu: int = 0) -> int:
    """Make the pair whose one end, `name`, is a port of the bridge `master`.

    What is left of an earlier attempt goes. Returns the number of that end.

    Raises:
        OSError: the kernel refuses, or there is no such namespace; nothing is left but a pair.
    """
    interface = plug.interface
    mtu = interface.mtu or mtu
    with open(plug.namespace) as namespace, open_netlink(plug.namespace) as inner:
        outer.do(links.delete(name))
        inner.do(links.delete(interface.name))
        outer.do(
            links.pair(
                name,
                peer=interface.name,
                peer_namespace=namespace.fileno(),
                master=master,
                peer_mac=interface.mac,
                mtu=mtu,
            )
        )
        index = links.index_of(inner, interface.name)
        inner.do(links.change(index, up=True), *_furnish(index, interface))
        links.settle(inner, interface.name)
        links.settle(outer, name)
        for address in interface.addresses:
            routing.settle(inner, ip_interface(address))
    return links.index_of(outer, name)


def resize(plug: Plug, mtu: int) -> None:
    """Change the largest packet of a task's interface.

    Raises:
        OSError
    """
    with open_netlink(plug.namespace) as inner:
        inner.do(links.change(links.index_of(inner, plug.interface.name), mtu=mtu))


def _set(settings: dict[str, str]) -> None:
    sysctl.put(settings)
    try:
        sysctl.put(_PING)
    except OSError as error:
        # A user namespace that maps a few groups has no others to name.
        if error.errno != errno.EINVAL:
            raise


def _furnish(index: int, interface: Interface) -> list[Request]:
    requests = [
        routing.put_address(index, ip_interface(address)) for address in interface.addresses
    ]
    requests += [
        routing.put_route(
            Route(destination=str(ip_network(hop.destination)), index=index, gateway=hop.gateway)
        )
        for hop in interface.routes
    ]
    return requests
