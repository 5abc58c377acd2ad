"""Asking another machine for an echo, to see whether packets of a size get there and back.

Packets are not to be fragmented, so the largest that is answered tells the way's MTU. As root a raw
socket is used; other users are let by kernels whose `ping_group_range` says so.
"""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from collections.abc import Sequence
from ipaddress import ip_address
from pathlib import Path

from msgspec import Struct

from swarmd.network.kernel import netns
from swarmd.runtime.clock import Clock
from swarmd.runtime.timeouts import timeout

TIMEOUT_S = 0.5
TRIES = 2
# As large as links are made, what an overlay leaves of it, and what any way must carry.
SIZES = (9000, 8950, 1500, 1450, 1430, 1400, 1350, 1280, 576)
SMALL = 84
_IP_MTU_DISCOVER, _IPV6_MTU_DISCOVER = 10, 23
_PROBE = 3  # not to be fragmented, whatever is known of the way
_ECHO, _ECHO_REPLY = {4: 8, 6: 128}, {4: 0, 6: 129}
_HEADER_BYTES = {4: 20, 6: 40}
_ICMP = struct.Struct("!BBHHH")


class Echo(Struct, frozen=True):
    """What came back: after how long, and the largest packet that did; nothing when None."""

    round_trip_ns: int
    mtu: int


class NoPing(Exception):
    """Echoes can't be asked for here; the message says why."""


async def ping(
    address: str, *, clock: Clock, namespace: Path | None = None, sizes: Sequence[int] = SIZES
) -> Echo | None:
    """The echo of `address`, asked for in a network namespace; None when there is none.

    Raises:
        NoPing: nothing could be sent at all.
    """
    try:
        version = ip_address(address).version
    except ValueError:
        raise NoPing(f"{address!r} is no address") from None
    line = await asyncio.to_thread(_open, version, namespace)
    with line:
        prober = _Prober(line, address, version, clock)
        for _ in range(TRIES):
            round_trip_ns = await prober.ask(SMALL)
            if round_trip_ns is not None:
                break
        else:
            return None
        for size in sizes:
            if await prober.ask(size) is not None:
                return Echo(round_trip_ns, size)
    return Echo(round_trip_ns, SMALL)


def _open(version: int, namespace: Path | None) -> socket.socket:
    family = socket.AF_INET if version == 4 else socket.AF_INET6
    protocol = socket.IPPROTO_ICMP if version == 4 else socket.IPPROTO_ICMPV6
    kind = socket.SOCK_RAW if os.geteuid() == 0 else socket.SOCK_DGRAM
    try:
        line = netns.inside(namespace, lambda: socket.socket(family, kind, protocol))
    except OSError as error:
        raise NoPing(f"this node may not ask for echoes: {error.strerror or error}") from None
    if version == 4:
        line.setsockopt(socket.IPPROTO_IP, _IP_MTU_DISCOVER, _PROBE)
    else:
        line.setsockopt(socket.IPPROTO_IPV6, _IPV6_MTU_DISCOVER, _PROBE)
    line.setblocking(False)
    return line


class _Prober:
    """Asks one address, one echo after the other."""

    def __init__(self, line: socket.socket, address: str, version: int, clock: Clock) -> None:
        self._line = line
        self._address = address
        self._version = version
        self._clock = clock
        self._ident = int.from_bytes(os.urandom(2), "big")
        self._sequence = 0

    async def ask(self, size: int) -> int | None:
        """How long the echo of a packet of `size` bytes, its headers included, took to come."""
        self._sequence += 1
        loop = asyncio.get_running_loop()
        sent_at = self._clock.monotonic()
        try:
            async with timeout(TIMEOUT_S):
                await loop.sock_sendto(self._line, self._packet(size), (self._address, 0))
                while not self._is_echo(await loop.sock_recv(self._line, 65535)):
                    continue
        except (TimeoutError, OSError):
            return None  # lost, too large, or nobody knows the way
        return self._clock.monotonic() - sent_at

    def _packet(self, size: int) -> bytes:
        payload = bytes(size - _HEADER_BYTES[self._version] - _ICMP.size)
        kind = _ECHO[self._version]
        head = _ICMP.pack(kind, 0, 0, self._ident, self._sequence)
        if self._version == 6:
            return head + payload  # the kernel fills in the checksum
        return _ICMP.pack(kind, 0, checksum(head + payload), self._ident, self._sequence) + payload

    def _is_echo(self, packet: bytes) -> bool:
        if self._version == 4 and self._line.type == socket.SOCK_RAW:
            packet = packet[(packet[0] & 15) * 4 :]
        if len(packet) < _ICMP.size:
            return False
        kind, _, _, ident, sequence = _ICMP.unpack_from(packet)
        # Other users' echoes get identifiers of the kernel's.
        own = self._line.type != socket.SOCK_RAW or ident == self._ident
        is_reply: bool = kind == _ECHO_REPLY[self._version]
        return is_reply and own and sequence == self._sequence


def checksum(data: bytes) -> int:
    """The Internet checksum of RFC 1071."""
    if len(data) % 2:
        data += b"\0"
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total >> 16) + (total & 0xFFFF)
    total += total >> 16
    return ~total & 0xFFFF
