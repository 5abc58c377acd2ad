"""Who is where: forwarding entries of bridges and VXLANs, and hardware addresses of neighbours.

Requests for `Netlink.do`, and what is there. Putting replaces what is there already; removing what
is gone is no error. Nothing put here ages.
"""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Iterator
from ipaddress import ip_address

from msgspec import Struct

from swarmd.network.kernel.netlink import (
    CREATE,
    REPLACE,
    Netlink,
    Request,
    address_text,
    attribute,
    attributes,
)

IPV4 = 4
MAC_BYTES = 6

_NEWNEIGH, _DELNEIGH, _GETNEIGH = 28, 29, 30
_DST, _LLADDR = 1, 2
_PERMANENT, _NOARP = 0x80, 0x40
_SELF, _MASTER = 0x02, 0x04
_NDMSG = struct.Struct("=BxxxiHBB")
_GONE = (errno.ENOENT, errno.ENODEV)


class Forwarding(Struct, frozen=True, order=True):
    """Frames for `mac` are sent to the node at `node`, in the VXLAN of number `index`."""

    index: int
    mac: str
    node: str


class Neighbour(Struct, frozen=True, order=True):
    """`address` is at `mac`, behind the interface of number `index`."""

    index: int
    address: str
    mac: str


def put_forwarding(entry: Forwarding) -> Request:
    body = _header(socket.AF_BRIDGE, entry.index, _PERMANENT, _SELF) + _forwarding(entry)
    return Request(_NEWNEIGH, CREATE | REPLACE, body, f"forwarding of {entry.mac} to {entry.node}")


def delete_forwarding(entry: Forwarding) -> Request:
    body = _header(socket.AF_BRIDGE, entry.index, 0, _SELF) + _forwarding(entry)
    return Request(_DELNEIGH, 0, body, f"forwarding of {entry.mac}", _GONE)


def put_port_entry(index: int, mac: str) -> Request:
    """Have a bridge know that `mac` is behind its port of number `index`."""
    body = _header(socket.AF_BRIDGE, index, _NOARP, _MASTER) + attribute(_LLADDR, _packed(mac))
    return Request(_NEWNEIGH, CREATE | REPLACE, body, f"port of {mac}")


def put_neighbour(entry: Neighbour) -> Request:
    body = _header(_family(entry.address), entry.index, _PERMANENT, 0) + _neighbour(entry)
    return Request(_NEWNEIGH, CREATE | REPLACE, body, f"neighbour {entry.address}")


def delete_neighbour(entry: Neighbour) -> Request:
    body = _header(_family(entry.address), entry.index, 0, 0) + _neighbour(entry)
    return Request(_DELNEIGH, 0, body, f"neighbour {entry.address}", _GONE)


def forwardings(netlink: Netlink) -> set[Forwarding]:
    """The entries of all VXLANs of a namespace."""
    found = set()
    for index, known in _dump(netlink, socket.AF_BRIDGE):
        if _DST in known and _LLADDR in known:
            found.add(
                Forwarding(
                    index=index,
                    mac=known[_LLADDR].hex(":"),
                    node=address_text(known[_DST]),
                )
            )
    return found


def port_entries(netlink: Netlink) -> set[tuple[int, str]]:
    """Number of the port and hardware address, of what `put_port_entry` has put."""
    found = set()
    for payload in netlink.dump(_GETNEIGH, _header(socket.AF_BRIDGE, 0, 0, 0)):
        _, index, state, flags, _ = _NDMSG.unpack_from(payload)
        known = attributes(payload, _NDMSG.size)
        if state == _NOARP and not flags & _SELF and _LLADDR in known and _DST not in known:
            found.add((index, known[_LLADDR].hex(":")))
    return found


def neighbours(netlink: Netlink) -> set[Neighbour]:
    """The permanent neighbours of all interfaces of a namespace."""
    found = set()
    for family in (socket.AF_INET, socket.AF_INET6):
        for index, known in _dump(netlink, family, state=_PERMANENT):
            if _DST in known and len(known.get(_LLADDR, b"")) == MAC_BYTES:
                found.add(
                    Neighbour(
                        index=index,
                        address=address_text(known[_DST]),
                        mac=known[_LLADDR].hex(":"),
                    )
                )
    return found


def _dump(
    netlink: Netlink, family: int, *, state: int | None = None
) -> Iterator[tuple[int, dict[int, bytes]]]:
    for payload in netlink.dump(_GETNEIGH, _header(family, 0, 0, 0)):
        got, index, found, _, _ = _NDMSG.unpack_from(payload)
        if got == family and state in (None, found):
            yield index, attributes(payload, _NDMSG.size)


def _header(family: int, index: int, state: int, flags: int) -> bytes:
    return _NDMSG.pack(family, index, state, flags, 0)


def _forwarding(entry: Forwarding) -> bytes:
    return attribute(_LLADDR, _packed(entry.mac)) + attribute(_DST, ip_address(entry.node).packed)


def _neighbour(entry: Neighbour) -> bytes:
    return attribute(_DST, ip_address(entry.address).packed) + attribute(
        _LLADDR, _packed(entry.mac)
    )


def _family(address: str) -> int:
    return socket.AF_INET if ip_address(address).version == IPV4 else socket.AF_INET6


def _packed(mac: str) -> bytes:
    return bytes.fromhex(mac.replace(":", ""))
