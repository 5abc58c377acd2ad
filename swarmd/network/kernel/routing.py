"""Addresses, routes and rules of a namespace: requests for `Netlink.do`, and what is there.

Putting what is there already changes nothing; removing what is gone is no error. Addresses are
usable at once: nobody else has them, so the kernel isn't left to find out.
"""

from __future__ import annotations

import errno
import socket
import struct
import time
from ipaddress import (
    IPv4Interface,
    IPv4Network,
    IPv6Interface,
    IPv6Network,
    ip_address,
    ip_interface,
    ip_network,
)

from msgspec import Struct

from swarmd.network.kernel.netlink import (
    CREATE,
    EXCL,
    REPLACE,
    Netlink,
    Request,
    address_text,
    attribute,
    attributes,
    number,
)

MAIN_TABLE = 254
OURS = 87  # the protocol number under which the routes are found again
_OF_BALANCERS = 88
IPV4 = 4

_NEWADDR, _DELADDR, _GETADDR = 20, 21, 22
_NEWROUTE, _DELROUTE, _GETROUTE = 24, 25, 26
_NEWRULE, _DELRULE, _GETRULE = 32, 33, 34
_IFA_ADDRESS, _IFA_LOCAL, _IFA_FLAGS = 1, 2, 8
_NODAD, _PERMANENT = 0x02, 0x80
_DST, _OIF, _GATEWAY, _METRIC, _PREFERRED_SOURCE, _TABLE = 1, 4, 5, 6, 7, 15
_FRA_PRIORITY, _FRA_FWMARK, _FRA_TABLE, _FRA_FWMASK = 6, 10, 15, 16
_UNIVERSE, _LINK, _HOST, _UNICAST, _LOCAL, _TO_TABLE = 0, 253, 254, 1, 2, 1
_LOCAL_TABLE = 255
_ONLINK = 4
_TYPE_AT, _LOCAL = 7, 2
SETTLE_S_MAX, SETTLE_LOOK_S = 2.0, 0.001

Interface = IPv4Interface | IPv6Interface
Block = IPv4Network | IPv6Network


class Route(Struct, frozen=True, order=True):
    """Where packets to `destination` go: by a gateway, or to `index` directly."""

    destination: str  # CIDR
    index: int = 0
    gateway: str = ""
    table: int = MAIN_TABLE
    onlink: bool = False  # the gateway is there, whatever the addresses say


class Rule(Struct, frozen=True, order=True):
    """Packets with a mark are routed by a table of their own."""

    family: int  # 4 or 6
    mark: int
    table: int
    priority: int
    mask: int = 0xFFFFFFFF


def put_address(index: int, address: Interface) -> Request:
    return Request(
        _NEWADDR, CREATE | REPLACE, _address(index, address), f"address {address}", (errno.EEXIST,)
    )


def delete_address(index: int, address: Interface) -> Request:
    return Request(
        _DELADDR,
        0,
        _address(index, address),
        f"address {address}",
        (errno.EADDRNOTAVAIL, errno.ENODEV),
    )


def settle(netlink: Netlink, address: Interface, *, within_s: float = SETTLE_S_MAX) -> bool:
    """Wait until an address that was put takes packets; False if it doesn't in time.

    The kernel finishes IPv6 addresses in the background, and drops what arrives until then.
    """
    deadline = time.monotonic() + within_s
    while not _is_local(netlink, address):
        if time.monotonic() > deadline:
            return False
        time.sleep(SETTLE_LOOK_S)
    return True


def put_route(route: Route) -> Request:
    return Request(_NEWROUTE, CREATE | REPLACE, _route(route), _words(route))


def delete_route(route: Route) -> Request:
    return Request(_DELROUTE, 0, _route(route), _words(route), (errno.ESRCH,))


def put_local_route(address: str, *, index: int, source: str) -> Request:
    """Have the namespace take packets to `address` for its own, and send its own from `source`."""
    return Request(
        _NEWROUTE,
        CREATE | REPLACE,
        _local_route(address, index) + attribute(_PREFERRED_SOURCE, ip_address(source).packed),
        f"local route to {address}",
    )


def delete_local_route(address: str, *, index: int) -> Request:
    return Request(
        _DELROUTE, 0, _local_route(address, index), f"local route to {address}", (errno.ESRCH,)
    )


def put_rule(rule: Rule) -> Request:
    return Request(_NEWRULE, CREATE | EXCL, _rule(rule), f"rule {rule.mark:#x}", (errno.EEXIST,))


def delete_rule(rule: Rule) -> Request:
    return Request(_DELRULE, 0, _rule(rule), f"rule {rule.mark:#x}", (errno.ENOENT,))


def addresses(netlink: Netlink, index: int) -> set[Interface]:
    """The addresses of an interface, but for those IPv6 makes up by itself."""
    return all_addresses(netlink).get(index, set())


def all_addresses(netlink: Netlink) -> dict[int, set[Interface]]:
    """The addresses of each interface that has any, as in `addresses`, by index."""
    found: dict[int, set[Interface]] = {}
    for payload in netlink.dump(_GETADDR, struct.pack("=BBBBI", 0, 0, 0, 0, 0)):
        _, prefix, _, _, where = struct.unpack_from("=BBBBI", payload)
        known = attributes(payload, 8)
        packed = known.get(_IFA_LOCAL) or known.get(_IFA_ADDRESS)
        if packed:
            address = ip_address(packed)
            if address.version == IPV4 or not address.is_link_local:
                found.setdefault(where, set()).add(ip_interface((address, prefix)))
    return found


def routes(netlink: Netlink, *, table: int | None = None) -> set[Route]:
    """The routes that were put by `put_route`, into one table if it is named."""
    found = set()
    for family in (socket.AF_INET, socket.AF_INET6):
        body = struct.pack("=BBBBBBBBI", family, 0, 0, 0, 0, 0, 0, 0, 0)
        for payload in netlink.dump(_GETROUTE, body):
            got, length, _, _, _, protocol, _, _, flags = struct.unpack_from("=BBBBBBBBI", payload)
            if protocol != OURS or got != family:
                continue
            known = attributes(payload, 12)
            if table is None or table == _int(known[_TABLE]):
                found.add(_found_route(family, length, flags, known))
    return found


def rules(netlink: Netlink) -> set[Rule]:
    """The rules that go by a mark."""
    found = set()
    for family, version in ((socket.AF_INET, 4), (socket.AF_INET6, 6)):
        for payload in netlink.dump(_GETRULE, struct.pack("=BBBBBBBBI", family, *([0] * 8))):
            if payload[0] != family:
                continue
            known = attributes(payload, 12)
            if _FRA_FWMASK in known:
                found.add(
                    Rule(
                        family=version,
                        # The kernel doesn't tell one of 0.
                        mark=_int(known[_FRA_FWMARK]) if _FRA_FWMARK in known else 0,
                        table=_int(known[_FRA_TABLE]),
                        priority=_int(known[_FRA_PRIORITY]),
                        mask=_int(known[_FRA_FWMASK]),
                    )
                )
    return found


def _is_local(netlink: Netlink, address: Interface) -> bool:
    family = socket.AF_INET if address.version == IPV4 else socket.AF_INET6
    header = struct.pack("=BBBBBBBBI", family, address.max_prefixlen, 0, 0, 0, 0, 0, 0, 0)
    try:
        answer = netlink.ask(_GETROUTE, header + attribute(_DST, address.ip.packed))
    except OSError:
        return False
    return answer[_TYPE_AT] == _LOCAL


def _address(index: int, address: Interface) -> bytes:
    family = socket.AF_INET if address.version == IPV4 else socket.AF_INET6
    packed = address.ip.packed
    header = struct.pack("=BBBBI", family, address.network.prefixlen, 0, 0, index)
    flags = b"" if address.version == IPV4 else number(_IFA_FLAGS, _NODAD | _PERMANENT)
    return header + attribute(_IFA_LOCAL, packed) + attribute(_IFA_ADDRESS, packed) + flags


def _route(route: Route) -> bytes:
    block = ip_network(route.destination)
    family = socket.AF_INET if block.version == IPV4 else socket.AF_INET6
    scope = _UNIVERSE if route.gateway or family == socket.AF_INET6 else _LINK
    flags = _ONLINK if route.onlink else 0
    header = struct.pack(
        "=BBBBBBBBI", family, block.prefixlen, 0, 0, 0, OURS, scope, _UNICAST, flags
    )
    body = header + number(_TABLE, route.table)
    if block.prefixlen:
        body += attribute(_DST, block.network_address.packed)
    if route.index:
        body += number(_OIF, route.index)
    if route.gateway:
        body += attribute(_GATEWAY, ip_address(route.gateway).packed)
    return body


def _local_route(address: str, index: int) -> bytes:
    known = ip_address(address)
    family = socket.AF_INET if known.version == IPV4 else socket.AF_INET6
    header = struct.pack("=BBBBBBBBI", family, known.max_prefixlen, 0, 0, 0, OURS, _HOST, _LOCAL, 0)
    where = number(_TABLE, _LOCAL_TABLE) + number(_OIF, index)
    return header + where + attribute(_DST, known.packed)


def _found_route(family: int, length: int, flags: int, known: dict[int, bytes]) -> Route:
    default = b"\0" * (4 if family == socket.AF_INET else 16)
    return Route(
        destination=f"{address_text(known.get(_DST, default))}/{length}",
        index=_int(known[_OIF]) if _OIF in known else 0,
        gateway=address_text(known[_GATEWAY]) if _GATEWAY in known else "",
        table=_int(known[_TABLE]),
        onlink=bool(flags & _ONLINK),
    )


def _rule(rule: Rule) -> bytes:
    family = socket.AF_INET if rule.family == IPV4 else socket.AF_INET6
    header = struct.pack("=BBBBBBBBI", family, 0, 0, 0, 0, 0, 0, _TO_TABLE, 0)
    return (
        header
        + number(_FRA_FWMARK, rule.mark)
        + number(_FRA_FWMASK, rule.mask)
        + number(_FRA_TABLE, rule.table)
        + number(_FRA_PRIORITY, rule.priority)
    )


def _words(route: Route) -> str:
    return f"route to {route.destination}" + (f" by {route.gateway}" if route.gateway else "")


def _int(value: bytes) -> int:
    return int(struct.unpack("=I", value)[0])
