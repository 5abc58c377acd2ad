"""Interfaces: bridges, VXLANs, pairs, and what is there.

Each function makes a request for `Netlink.do`. Making what is there already is an error, as it may
be something else of the same name; deleting what is gone is none.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import socket
import struct
import time
from ipaddress import ip_address

from msgspec import Struct

from swarmd.network.kernel.netlink import (
    CREATE,
    EXCL,
    Netlink,
    Request,
    attribute,
    attributes,
    number,
)

NAME_MAX = 15
IPV4 = 4

_NEWLINK, _DELLINK, _GETLINK, _SETLINK = 16, 17, 18, 19
_ADDRESS, _IFNAME, _MTU, _MASTER, _PROTINFO, _LINKINFO = 1, 3, 4, 10, 12, 18
_NET_NS_FD, _AF_SPEC = 28, 26
_TX_QUEUES, _RX_QUEUES = 31, 32
_KIND, _DATA, _SLAVE_DATA = 1, 2, 5
_VETH_PEER = 1
_BRIDGE_SNOOPING = 23
_BRPORT_LEARNING, _BRPORT_FLOOD, _BRPORT_ISOLATED = 8, 9, 33
_VXLAN_ID, _VXLAN_LOCAL, _VXLAN_LEARNING, _VXLAN_PROXY = 1, 4, 7, 11
_VXLAN_PORT, _VXLAN_LOCAL6, _VXLAN_ZERO_CSUM6_RX = 15, 17, 20
_NESTED = 0x8000
_UP = 1
_SIOCGIFINDEX, _SIOCETHTOOL = 0x8933, 0x8946
_ETHTOOL_GLINK = 0x0A
_OPERSTATE, _OPERATES = 16, b"\6"
SETTLE_S_MAX, SETTLE_LOOK_S = 2.0, 0.001


class Link(Struct, frozen=True):
    """An interface as the kernel has it."""

    index: int
    name: str
    kind: str = ""  # bridge, vxlan, veth; empty for real ones
    mac: str = ""
    mtu: int = 0
    is_up: bool = False
    master: int = 0  # index of the bridge whose port it is
    vxlan_id: int = 0
    vxlan_port: int = 0
    vxlan_local: str = ""
    learns: bool = True  # as a port of a bridge
    floods: bool = True


def bridge(name: str, *, mac: str = "", mtu: int = 0, up: bool = True) -> Request:
    """A bridge that floods multicast as a switch without any knowledge of groups does."""
    data = attribute(_BRIDGE_SNOOPING, b"\0")
    info = attribute(_KIND, b"bridge") + attribute(_DATA, data)
    body = _header(up=up) + _name(name) + _common(mac, mtu) + attribute(_LINKINFO, info)
    return Request(_NEWLINK, CREATE | EXCL, body, f"bridge {name}")


def plain(name: str, kind: str) -> Request:
    """An interface of a kind that needs no more to be said."""
    body = _header() + _name(name) + attribute(_LINKINFO, attribute(_KIND, kind.encode()))
    return Request(_NEWLINK, CREATE | EXCL, body, f"{kind} interface {name}")


def vxlan(
    name: str, *, vxlan_id: int, port: int, local: str, mac: str, mtu: int, namespace: int
) -> Request:
    """A VXLAN in the namespace of a descriptor; its socket stays in the one that is asked.

    It learns nothing, and answers for the neighbours it has been told of.
    """
    address = ip_address(local)
    data = (
        number(_VXLAN_ID, vxlan_id)
        + attribute(_VXLAN_LOCAL if address.version == IPV4 else _VXLAN_LOCAL6, address.packed)
        + attribute(_VXLAN_LEARNING, b"\0")
        + attribute(_VXLAN_PROXY, b"\1")
        + attribute(_VXLAN_PORT, struct.pack("!H", port))
    )
    info = attribute(_KIND, b"vxlan") + attribute(_DATA, data)
    body = (
        _header()
        + _name(name)
        + _common(mac, mtu)
        + number(_NET_NS_FD, namespace)
        + attribute(_LINKINFO, info)
    )
    return Request(_NEWLINK, CREATE | EXCL, body, f"VXLAN {vxlan_id} on UDP port {port}")


def pair(
    name: str,
    *,
    peer: str,
    peer_namespace: int,
    master: int = 0,
    mac: str = "",
    peer_mac: str = "",
    mtu: int = 0,
) -> Request:
    """A pair: one end here, up, as a port of the bridge `master`; the other in a namespace.

    It has one queue rather than one for each processor, which takes less time to make: packets
    don't wait in them.
    """
    queues = number(_TX_QUEUES, 1) + number(_RX_QUEUES, 1)
    other = (
        _header()
        + _name(peer)
        + _common(peer_mac, mtu)
        + number(_NET_NS_FD, peer_namespace)
        + queues
    )
    info = attribute(_KIND, b"veth") + attribute(_DATA, attribute(_VETH_PEER, other))
    body = _header(up=True) + _name(name) + _common(mac, mtu) + queues
    if master:
        body += number(_MASTER, master)
    return Request(_NEWLINK, CREATE | EXCL, body + attribute(_LINKINFO, info), f"pair {name}")


def change(
    index: int, *, up: bool | None = None, master: int | None = None, mac: str = "", mtu: int = 0
) -> Request:
    """Change an interface; what isn't given stays as it is."""
    body = _header(index=index, up=up) + _common(mac, mtu)
    if master is not None:
        body += number(_MASTER, master)
    return Request(_NEWLINK, 0, body, f"interface {index}")


def port(index: int, *, learns: bool, floods: bool) -> Request:
    """How a bridge treats one of its ports: learning addresses there, sending there what it
    doesn't know the place of."""
    return _bridge_port(index, {_BRPORT_LEARNING: learns, _BRPORT_FLOOD: floods})


def isolated_port(index: int) -> Request:
    """Keep a port of a bridge apart from the others that are kept apart."""
    return _bridge_port(index, {_BRPORT_ISOLATED: True})


def delete(name: str) -> Request:
    """Delete an interface, and with it the other end of a pair."""
    return Request(_DELLINK, 0, _header() + _name(name), f"interface {name}", (errno.ENODEV,))


def index_of(netlink: Netlink, name: str) -> int:
    """The number of an interface.

    Raises:
        OSError: ENODEV when there is none of that name.
    """
    request = struct.pack("16si20x", name.encode(), 0)
    answer = fcntl.ioctl(netlink.fileno(), _SIOCGIFINDEX, request)
    index: int = struct.unpack_from("16si", answer)[1]
    return index


def find(netlink: Netlink, name: str) -> int | None:
    """The number of an interface, or None."""
    try:
        return index_of(netlink, name)
    except OSError as error:
        if error.errno != errno.ENODEV:
            raise
        return None


def settle(netlink: Netlink, *names: str, within_s: float = SETTLE_S_MAX) -> bool:
    """Wait until bridges, or ends of pairs, that are up take packets; False if they don't in time.

    The kernel notices in the background that both ends of a pair are up, at times a second later,
    and drops what is sent until then. Newer ones (Linux 6.8) do so at once when they are asked for
    the state of the link.
    """
    deadline = time.monotonic() + within_s
    while True:
        for name in names:
            _ask_for_link(netlink, name)
        states = (netlink.ask(_GETLINK, _header() + _name(name)) for name in names)
        if all(attributes(state, 16)[_OPERSTATE] == _OPERATES for state in states):
            return True
        if time.monotonic() > deadline:
            return False
        time.sleep(SETTLE_LOOK_S)


def links(netlink: Netlink) -> dict[str, Link]:
    """All interfaces of a namespace, by name."""
    found = (_link(payload) for payload in netlink.dump(_GETLINK, _header()))
    return {link.name: link for link in found}


def _link(payload: bytes) -> Link:
    _, _, index, flags, _ = struct.unpack_from("=BxHiII", payload)
    known = attributes(payload, 16)
    info = attributes(known.get(_LINKINFO, b""))
    kind = info.get(_KIND, b"").rstrip(b"\0").decode()
    data = attributes(info.get(_DATA, b"")) if kind == "vxlan" else {}
    slave = attributes(info.get(_SLAVE_DATA, b""))
    local = data.get(_VXLAN_LOCAL) or data.get(_VXLAN_LOCAL6)
    return Link(
        index=index,
        name=known[_IFNAME].rstrip(b"\0").decode(),
        kind=kind,
        mac=known.get(_ADDRESS, b"").hex(":"),
        mtu=_int(known.get(_MTU)),
        is_up=bool(flags & _UP),
        master=_int(known.get(_MASTER)),
        vxlan_id=_int(data.get(_VXLAN_ID)),
        vxlan_port=struct.unpack("!H", data[_VXLAN_PORT])[0] if _VXLAN_PORT in data else 0,
        vxlan_local=str(ip_address(local)) if local else "",
        learns=slave.get(_BRPORT_LEARNING) != b"\0",
        floods=slave.get(_BRPORT_FLOOD) != b"\0",
    )


def _ask_for_link(netlink: Netlink, name: str) -> None:
    question = ctypes.create_string_buffer(struct.pack("=II", _ETHTOOL_GLINK, 0))
    request = struct.pack("16sP16x", name.encode(), ctypes.addressof(question))
    fcntl.ioctl(netlink.fileno(), _SIOCETHTOOL, request)


def _header(*, index: int = 0, up: bool | None = None) -> bytes:
    flags = _UP if up else 0
    return struct.pack("=BxHiII", socket.AF_UNSPEC, 0, index, flags, 0 if up is None else _UP)


def _bridge_port(index: int, settings: dict[int, bool]) -> Request:
    body = struct.pack("=BxHiII", socket.AF_BRIDGE, 0, index, 0, 0)
    values = b"".join(attribute(kind, bytes((value,))) for kind, value in settings.items())
    return Request(
        _SETLINK, 0, body + attribute(_PROTINFO | _NESTED, values), f"bridge port {index}"
    )


def _name(name: str) -> bytes:
    return attribute(_IFNAME, name.encode() + b"\0")


def _common(mac: str, mtu: int) -> bytes:
    body = attribute(_ADDRESS, bytes.fromhex(mac.replace(":", ""))) if mac else b""
    return body + (number(_MTU, mtu) if mtu else b"")


def _int(value: bytes | None) -> int:
    return int(struct.unpack("=I", value)[0]) if value else 0
