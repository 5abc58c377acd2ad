"""The kernel's tables of TCP sockets, as text of `/proc/<pid>/net/tcp` and `tcp6`. Pure.

Rows are of the network namespace of the process, which may be the node's own.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from msgspec import Struct

_ESTABLISHED, _LISTEN = "01", "0A"
_LOOPBACK4_END = "7F"  # addresses are written as words of the machine's byte order
_LOOPBACK6 = ("0" * 24 + "01000000", "0" * 16 + "FFFF0000")


class Connection(NamedTuple):
    """An established connection; `internal` when the other end is the loopback interface."""

    port: int
    internal: bool


class Sockets(Struct, frozen=True):
    """What listens, and what is connected, by local port."""

    listening: frozenset[int] = frozenset()
    connections: tuple[Connection, ...] = ()


def parse(*tables: str) -> Sockets:
    """The sockets in tables of either family; a line that is no row says nothing."""
    listening: set[int] = set()
    connections: list[Connection] = []
    for local, remote, state in (row for table in tables for row in _rows(table)):
        port = int(local.rpartition(":")[2], 16)
        if state == _LISTEN:
            listening.add(port)
        elif state == _ESTABLISHED:
            connections.append(Connection(port, _is_loopback(remote.rpartition(":")[0])))
    return Sockets(frozenset(listening), tuple(connections))


def _rows(table: str) -> Iterator[tuple[str, str, str]]:
    for line in table.splitlines()[1:]:
        fields = line.split(None, 4)
        if len(fields) == 5:
            yield fields[1], fields[2], fields[3]


def _is_loopback(address: str) -> bool:
    if len(address) == 32:
        plain, mapped = _LOOPBACK6
        return address == plain or (address.startswith(mapped) and address.endswith(_LOOPBACK4_END))
    return address.endswith(_LOOPBACK4_END)
