"""Whether anybody in a network namespace exchanges datagrams with others."""

from __future__ import annotations

import socket
from pathlib import Path

_TABLES = Path("/proc/thread-self/net")
_NAMES = {socket.AF_INET: ("udp", "udp6"), socket.AF_INET6: ("udp6",)}  # some speak both
_LOOPBACK4_END = "7F:"  # addresses are written as words of the machine's byte order
_LOOPBACK6 = "0" * 24 + "01000000:"


def are_exchanged(family: socket.AddressFamily) -> bool:
    """Whether a socket of the namespace this thread is in may, by this family, now. Blocks.

    One that is bound to the loopback interface talks to nobody else.

    Raises:
        OSError: the kernel's tables can't be read.
    """
    tables = (_TABLES / name for name in _NAMES[family])
    return any(_is_open(line) for table in tables for line in _lines(table))


def _lines(table: Path) -> list[str]:
    try:
        return table.read_text().splitlines()[1:]
    except FileNotFoundError:
        return []  # a kernel without IPv6


def _is_open(line: str) -> bool:
    local = line.split(None, 2)[1]
    address, colon, _ = local.partition(":")
    return not (address + colon).endswith((_LOOPBACK4_END, _LOOPBACK6))
