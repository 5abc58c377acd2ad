"""The inner network of a node whose daemon may make networks, but not change the machine's own.

    task ─ veth ─ bridge, in the inner namespace ─ sockets of the daemon ─ the machine's network

It takes the place of the node's own namespace for everything the kernel does for tasks: the node's
bridge, the underlay of overlays and the mesh are in there. The only interface that leads out of it
is that of the `ferry`, which carries the packets of overlays to other nodes. What tasks send to the
world comes to a socket of the daemon (`lb.proxy.outlet`), and clients of published ports are led in
by sockets that the daemon has in there. It lasts as long as its file.

These calls block, for about a millisecond.
"""

from __future__ import annotations

import socket
from pathlib import Path

from swarmd.network.ferry import DEVICE
from swarmd.network.kernel import links, netns, nft
from swarmd.network.kernel.netlink import open_netlink

LOOPBACK = 1
TABLE = "swarmd_outlet"
BACKLOG = 1024
# Programs are told of no other refusal at once that doesn't speak for the one they have asked.
_REFUSED = "admin-prohibited"


def make(path: Path) -> None:
    """Have the namespace; again is fine.

    Raises:
        OSError: the kernel refuses.
    """
    netns.create(path)
    with open_netlink(path) as netlink:
        netlink.do(links.change(LOOPBACK, up=True))


def open_outlet(path: Path, *, own: str) -> socket.socket:
    """A socket, listening, to which TCP over IPv4 from tasks to the world is led from now on.

    To the machine itself, too, whose address `own` the inner network has as well.

    `SO_ORIGINAL_DST` of a connection says where to. What else tasks send there is refused at once:
    the way to other nodes is for what the kernel has encapsulated, and there is no other.

    Raises:
        OSError, NftError: the kernel refuses.
    """

    def lead() -> socket.socket:
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        try:
            listener.bind(("0.0.0.0", 0))
            listener.listen(BACKLOG)
            nft.run(_rules(listener.getsockname()[1], own))
        except BaseException:
            listener.close()
            raise
        return listener

    return netns.inside(path, lead)


def _rules(port: int, own: str) -> str:
    to_machine = f"ip daddr {own} meta l4proto tcp redirect to :{port}" if ":" not in own else ""
    return (
        f"table ip6 {TABLE}\ndelete table ip6 {TABLE}\n"
        f"table ip6 {TABLE} {{\n"
        "  chain barred {\n"
        "    type filter hook forward priority 0; policy accept;\n"
        f'    oifname "{DEVICE}" reject with icmpv6 type {_REFUSED}\n'
        "  }\n"
        "}\n"
        f"table ip {TABLE}\ndelete table ip {TABLE}\n"
        f"table ip {TABLE} {{\n"
        "  chain leaving {\n"
        "    type nat hook prerouting priority -100; policy accept;\n"
        f"    fib daddr type unicast meta l4proto tcp redirect to :{port}\n"
        f"    {to_machine}\n"
        "  }\n"
        "  chain barred {\n"
        "    type filter hook forward priority 0; policy accept;\n"
        f'    oifname "{DEVICE}" reject with icmp type {_REFUSED}\n'
        "  }\n"
        "}\n"
    )
