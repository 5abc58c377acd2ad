"""Virtual addresses: which tasks stand behind each, and what changes from one table to the next.

A virtual service has one address. Whatever is sent to it, of any protocol and port, goes to one of
its targets under the same port. The mesh's ports are another matter (`lb/core/mesh.py`).
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping
from ipaddress import ip_address

from msgspec import Struct

from swarmd.model.states import Balance
from swarmd.network.core.tables import Endpoint, NetworkTable

_IPV6_MARK = 0x8000_0000


class VirtualTarget(Struct, frozen=True, gc=False):
    """A task behind a virtual address; new connections come to it by weight, none at 0."""

    address: str
    weight: int = 1


class VirtualService(Struct, frozen=True, gc=False):
    """One virtual address. Without targets it refuses at once."""

    address: str
    targets: tuple[VirtualTarget, ...] = ()
    balance: Balance = Balance.ROUND_ROBIN


class VirtualChange(Struct, frozen=True):
    """From what is in place to what is wanted. Connections that exist are not touched."""

    added: tuple[VirtualService, ...] = ()
    changed: tuple[tuple[VirtualService, VirtualService], ...] = ()  # before and after
    removed: tuple[VirtualService, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.added or self.changed or self.removed)


def is_ipv4(address: str) -> bool:
    return ":" not in address


def mark_of(address: str) -> int:
    """The connection mark of a target: by it the kernel finds all connections that lead there.

    An IPv4 address is its own mark. IPv6 addresses are hashed: two that collide cost a connection
    that could have lived on, and no more.
    """
    if is_ipv4(address):
        first, second, third, fourth = address.split(".")
        return int(first) << 24 | int(second) << 16 | int(third) << 8 | int(fourth)
    return zlib.crc32(ip_address(address).packed) | _IPV6_MARK


def virtual_services(table: NetworkTable, *, leaving: bool = False) -> tuple[VirtualService, ...]:
    """The virtual addresses of a network and the ready tasks behind them, by task id.

    With `leaving` the others are among them as well, at weight 0.
    """
    endpoints: dict[str, list[Endpoint]] = {}
    for task_id in sorted(table.endpoints):
        endpoint = table.endpoints[task_id]
        if endpoint.ready or leaving:
            endpoints.setdefault(endpoint.service_id, []).append(endpoint)
    return tuple(
        VirtualService(
            vip,
            _targets(endpoints.get(service.service_id, ()), ipv4=is_ipv4(vip)),
            service.balance,
        )
        for service in table.services.values()
        for vip in service.virtual_ips
    )


def compare(
    actual: Mapping[str, VirtualService], wanted: Mapping[str, VirtualService]
) -> VirtualChange:
    """The change between two states, both by address."""
    if actual is wanted:
        return VirtualChange()
    return VirtualChange(
        added=tuple(row for address, row in wanted.items() if address not in actual),
        changed=tuple(
            (actual[address], row)
            for address, row in wanted.items()
            if address in actual and actual[address] is not row and actual[address] != row
        ),
        removed=tuple(row for address, row in actual.items() if address not in wanted),
    )


def departed(before: Iterable[NetworkTable], after: Iterable[NetworkTable]) -> frozenset[str]:
    """Addresses of tasks that have stopped for good: nothing may lead there any more."""
    return _addresses(before, ready=False) - _addresses(after, ready=False)


def retired(before: Iterable[NetworkTable], after: Iterable[NetworkTable]) -> frozenset[str]:
    """Addresses of tasks that were balanced to and now merely end what they have begun."""
    return _addresses(before, ready=True) - _addresses(after, ready=True)


def _addresses(tables: Iterable[NetworkTable], *, ready: bool) -> frozenset[str]:
    return frozenset(
        address
        for table in tables
        for endpoint in table.endpoints.values()
        if endpoint.ready or not ready
        for address in endpoint.addresses
    )


def _targets(endpoints: Iterable[Endpoint], *, ipv4: bool) -> tuple[VirtualTarget, ...]:
    return tuple(
        VirtualTarget(address, weight=endpoint.weight if endpoint.ready else 0)
        for endpoint in endpoints
        for address in endpoint.addresses
        if is_ipv4(address) == ipv4
    )
