"""Addresses of a node's tasks on its own bridge: a range only it knows, and who has which. Pure."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterable
from ipaddress import (
    IPv4Address,
    IPv4Interface,
    IPv4Network,
    IPv6Address,
    IPv6Interface,
    IPv6Network,
)

from swarmd.model.ids import TaskId

# Between what Docker takes by default and what swarms are given; only this node sees them.
RANGES = IPv4Network("172.24.0.0/13")
PREFIX = 22
PREFIX_V6 = 64
_LOCAL = 0xFD << 120  # of RFC 4193; 40 bits follow that make up the site, and 16 of its subnet
_SITE_BYTES = 5


class NoAddressLeft(Exception):
    """Every address of the node's range is taken."""


def choose_range(node_id: str, taken: Iterable[IPv4Network]) -> IPv4Network:
    """A range that overlaps with none of `taken`; the same for the same node, if it is free.

    Raises:
        NoAddressLeft: everything overlaps.
    """
    known = tuple(taken)
    count = 1 << (PREFIX - RANGES.prefixlen)
    first = zlib.crc32(node_id.encode()) % count
    size = 1 << (32 - PREFIX)
    for step in range(count):
        address = RANGES.network_address + (first + step) % count * size
        candidate = IPv4Network((address, PREFIX))
        if not any(candidate.overlaps(network) for network in known):
            return candidate
    raise NoAddressLeft(f"all of {RANGES} overlaps with networks this node is part of")


def routed(table: str) -> list[IPv4Network]:
    """The networks of /proc/net/route, without the default route."""
    found = []
    for line in table.splitlines()[1:]:
        fields = line.split()
        destination, mask = (_from_hex(fields[column]) for column in (1, 7))
        if mask != IPv4Address(0):
            found.append(IPv4Network(f"{destination}/{mask}", strict=False))
    return found


def site_of(node_id: str) -> IPv6Network:
    """The IPv6 range of a node's bridge, which no other node or network has but by great chance."""
    site = hashlib.blake2s(node_id.encode(), digest_size=_SITE_BYTES).digest()
    return IPv6Network((_LOCAL | int.from_bytes(site, "big") << 80, PREFIX_V6))


def beside(address: IPv4Address, site: IPv6Network) -> IPv6Interface:
    """The IPv6 address of who has this IPv4 address on the bridge."""
    return IPv6Interface((IPv6Address(int(site.network_address) + int(address)), site.prefixlen))


class Addresses:
    """Who has which address of a range; the first belongs to the node itself."""

    def __init__(self, network: IPv4Network) -> None:
        self.network = network
        self.gateway = IPv4Interface((network.network_address + 1, network.prefixlen))
        self._held: dict[TaskId, IPv4Address] = {}
        self._next = 2

    def hold(self, task_id: TaskId, address: IPv4Address) -> None:
        """Note an address that a container has from an earlier run of the daemon."""
        self._held[task_id] = address

    def lease(self, task_id: TaskId) -> IPv4Address:
        """The task's address; another one than any it could be mistaken for just now.

        Raises:
            NoAddressLeft
        """
        if task_id in self._held:
            return self._held[task_id]
        taken = set(self._held.values())
        last = self.network.num_addresses - 1
        for step in range(last - 2):
            number = 2 + (self._next - 2 + step) % (last - 2)
            address = self.network.network_address + number
            if address not in taken:
                self._next = number + 1
                self._held[task_id] = address
                return address
        raise NoAddressLeft(
            f"all {last - 2} container addresses of the node are taken; place the task elsewhere"
        )

    def release(self, task_id: TaskId) -> None:
        self._held.pop(task_id, None)

    def interface(self, address: IPv4Address) -> IPv4Interface:
        return IPv4Interface((address, self.network.prefixlen))


def _from_hex(text: str) -> IPv4Address:
    return IPv4Address(int.from_bytes(bytes.fromhex(text), "little"))
