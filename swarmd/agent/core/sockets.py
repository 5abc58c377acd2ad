"""The kernel's tables of sockets, as text of `/proc/<pid>/net/tcp`, `udp` and so on. Pure.

Rows are of the network namespace of the process, which may be the node's own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from ipaddress import IPv6Address
from typing import NamedTuple

from msgspec import Struct

_ESTABLISHED, _SYN_RECEIVED, _UNCONNECTED, _LISTEN = "01", "03", "07", "0A"
_LOOPBACK4_END = "7F"  # addresses are written as words of the machine's byte order
_LOOPBACK6 = ("0" * 24 + "01000000", "0" * 16 + "FFFF0000")


class Connection(NamedTuple):
    """A connection that is established, or about to be.

    It is `internal` when the other end is the loopback interface. `idle_ns` is for how long nobody
    has said anything on one whose client has got what it asked for; 0 where that isn't known.
    """

    port: int
    internal: bool
    idle_ns: int = 0


class Sockets(Struct, frozen=True):
    """What listens, and what is connected, by local port.

    `datagrams` are the UDP ports at which anybody may be answered. `ipv6` and `ipv6_datagrams` are
    those of the listening ones, and of them, at which clients of IPv6 are answered.
    """

    listening: frozenset[int] = frozenset()
    connections: tuple[Connection, ...] = ()
    datagrams: frozenset[int] = frozenset()
    ipv6: frozenset[int] = frozenset()
    ipv6_datagrams: frozenset[int] = frozenset()


def parse(*tables: str, datagrams: Iterable[str] = ()) -> Sockets:
    """The sockets in tables of either family; a line that is no row says nothing.

    Args:
        datagrams: tables of UDP; what only the loopback interface reaches is left out.
    """
    listening: set[int] = set()
    ipv6: set[int] = set()
    connections: list[Connection] = []
    for local, remote, state in (row for table in tables for row in _rows(table)):
        port = int(local.rpartition(":")[2], 16)
        if state == _LISTEN:
            listening.add(port)
            if _takes_ipv6(local.rpartition(":")[0]):
                ipv6.add(port)
        elif state in (_ESTABLISHED, _SYN_RECEIVED):
            connections.append(Connection(port, _is_loopback(remote.rpartition(":")[0])))
    receiving = [
        (address, int(port, 16))
        for table in datagrams
        for local, _, state in _rows(table)
        for address, _, port in (local.rpartition(":"),)
        if state == _UNCONNECTED and not _is_loopback(address)
    ]
    return Sockets(
        listening=frozenset(listening),
        connections=tuple(connections),
        datagrams=frozenset(port for _, port in receiving),
        ipv6=frozenset(ipv6),
        ipv6_datagrams=frozenset(port for address, port in receiving if _takes_ipv6(address)),
    )


def ipv6_addresses(table: str) -> frozenset[str]:
    """The addresses in the text of `/proc/<pid>/net/if_inet6`."""
    rows = (line.split(None, 1)[0] for line in table.splitlines() if line)
    return frozenset(str(IPv6Address(bytes.fromhex(row))) for row in rows)


def _rows(table: str) -> Iterator[tuple[str, str, str]]:
    for line in table.splitlines()[1:]:
        fields = line.split(None, 4)
        if len(fields) == 5:
            yield fields[1], fields[2], fields[3]


def _takes_ipv6(address: str) -> bool:
    """Whether others reach a socket at this address by IPv6."""
    mapped = _LOOPBACK6[1]
    return len(address) == 32 and not _is_loopback(address) and not address.startswith(mapped)


def _is_loopback(address: str) -> bool:
    if len(address) == 32:
        plain, mapped = _LOOPBACK6
        return address == plain or (address.startswith(mapped) and address.endswith(_LOOPBACK4_END))
    return address.endswith(_LOOPBACK4_END)
