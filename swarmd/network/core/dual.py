"""IPv6 on the ingress network: addresses that follow from the IPv4 ones. Pure.

Swarms give the ingress network IPv4 addresses alone. Who has one of those has this one as well, so
clients that come by IPv6 are led to tasks as they are, and no manager has to hand out anything. The
block is a unique local one of RFC 4193 that nobody outside ingress namespaces and tasks ever sees.
An ingress network that was given an IPv6 subnet keeps to that.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_interface, ip_network
from typing import Generic, TypeVar

from msgspec.structs import replace

from swarmd.model.network import NetworkAttachment
from swarmd.network.core.tables import IPV4, Endpoint, NetworkTable, Peer, Subnet

BLOCK = IPv6Network("fdc5:7761:726d:1::/96")
_IPV4_BITS = 32

K = TypeVar("K", bound=str)
Row = TypeVar("Row", Peer, Endpoint)


def six_of(address: str) -> str:
    """The IPv6 address of who has this IPv4 address."""
    return str(IPv6Address(int(BLOCK.network_address) | int(IPv4Address(address))))


def four_of(address: str) -> str:
    """The IPv4 address that an address follows from; an address that follows from none itself."""
    known = IPv6Address(address) if ":" in address else None
    if known is None or known not in BLOCK:
        return address
    return str(IPv4Address(int(known) & (1 << _IPV4_BITS) - 1))


def widened(attachment: NetworkAttachment, table: NetworkTable) -> NetworkAttachment:
    """A task's attachment with all its addresses on the network of this table."""
    if not any(_follows(subnet) for subnet in table.subnets):
        return attachment
    fours = [ip_interface(one) for one in attachment.addresses if ":" not in one]
    return replace(
        attachment,
        addresses=(
            *attachment.addresses,
            *(f"{six_of(str(one.ip))}/{_length(one.network.prefixlen)}" for one in fours),
        ),
    )


class DualStack:
    """Widens tables of the ingress network; rows that stay the same stay the same object."""

    def __init__(self) -> None:
        self._tables: tuple[NetworkTable, NetworkTable] | None = None
        self._peers: _Widened[Peer] = _Widened()
        self._endpoints: _Widened[Endpoint] = _Widened()

    def widen(self, table: NetworkTable) -> NetworkTable:
        """The table with the addresses of both families; another network's as it is."""
        if not table.ingress or any(":" in subnet.cidr for subnet in table.subnets):
            return table
        if self._tables is None or self._tables[0] is not table:
            self._tables = (table, self._widen(table))
        return self._tables[1]

    def _widen(self, table: NetworkTable) -> NetworkTable:
        return replace(
            table,
            subnets=(*table.subnets, *map(_six_subnet, table.subnets)),
            peers=self._peers.take(table.peers.items()),
            endpoints=self._endpoints.take(table.endpoints.items()),
        )


class _Widened(Generic[Row]):
    """Rows by key, each beside the one it was made of."""

    def __init__(self) -> None:
        self._rows: dict[str, tuple[Row, Row]] = {}

    def take(self, rows: Iterable[tuple[K, Row]]) -> dict[K, Row]:
        before, self._rows = self._rows, {}
        found: dict[K, Row] = {}
        for key, row in rows:
            known = before.get(key)
            if known is None or known[0] is not row:
                known = (row, _widen_row(row))
            self._rows[key] = known
            found[key] = known[1]
        return found


def _widen_row(row: Row) -> Row:
    sixes: tuple[str, ...] = tuple(
        six_of(address) for address in row.addresses if ":" not in address
    )
    return replace(row, addresses=(*row.addresses, *sixes))


def _six_subnet(subnet: Subnet) -> Subnet:
    block = ip_network(subnet.cidr)
    return Subnet(
        cidr=f"{six_of(str(block.network_address))}/{_length(block.prefixlen)}",
        vxlan_id=subnet.vxlan_id,
    )


def _follows(subnet: Subnet) -> bool:
    block = ip_network(subnet.cidr)
    return block.version != IPV4 and block.network_address in BLOCK


def _length(prefix_length: int) -> int:
    return BLOCK.prefixlen + prefix_length
