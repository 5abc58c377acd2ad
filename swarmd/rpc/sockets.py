"""Addresses as text, and socket options of long-lived connections."""

from __future__ import annotations

import socket
from typing import Any

# A machine that lost its power or its network says nothing. Probes of the kernel find out within
# six seconds, at no cost to us; data that nobody acknowledges for as long has the same effect.
PROBE_AFTER_S = 2
_KEEPALIVE_INTERVAL_S = 1
_KEEPALIVE_PROBES = 4
UNANSWERED_MS = 6_000

UNIX_PREFIX = "unix:"


def format_address(name: Any) -> str:
    """`host:port` of a socket name, with brackets around IPv6; empty for other kinds."""
    if not isinstance(name, tuple) or len(name) < 2:
        return ""
    host, port = name[0], name[1]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def split_address(address: str) -> tuple[str, int]:
    """Host and port of `host:port` or `[host]:port`.

    Raises:
        ValueError: it is neither.
    """
    host, separator, port = address.rpartition(":")
    if not separator or not port.isdigit() or not 0 < int(port) < 65536:
        raise ValueError(f"{address!r} is not an address of the form host:port")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise ValueError(f"{address!r} is ambiguous: write an IPv6 address as [address]:port")
    if not host:
        raise ValueError(f"{address!r} names no host")
    return host, int(port)


def detect_dead_peers(sock: socket.socket | None, *, probe_after_s: int = PROBE_AFTER_S) -> None:
    """Have the kernel end a TCP connection whose peer has silently gone."""
    if sock is None or sock.family not in (socket.AF_INET, socket.AF_INET6):
        return
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, probe_after_s)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, _KEEPALIVE_INTERVAL_S)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, _KEEPALIVE_PROBES)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNANSWERED_MS)
