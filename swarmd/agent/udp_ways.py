"""Whether UDP packets get from node to node at the ports that encrypted networks need.

Where WireGuard has such a port, it tells by itself whether it has met the other end lately: its
sessions are kept up. Where nothing has the port yet, the other node answers there while it is being
examined: what was sent comes back as it was, if it is of this kind, so nobody gets more than he
has sent.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Iterable
from typing import cast

from swarmd.model.instant import SECOND
from swarmd.runtime.clock import Clock
from swarmd.runtime.timeouts import timeout

MAGIC = b"swarmd: is there a way by UDP? "
NONCE_BYTES = 16
ANSWER_S = 30.0  # as long as an examination may take
TRIES, TIMEOUT_S = 3, 0.5
SESSION_NS = 180 * SECOND  # after that WireGuard itself takes a session for lost


class Answering:
    """Answers at UDP ports of this node, for a while after each time it was asked to."""

    def __init__(self) -> None:
        self._open: dict[tuple[str, int], asyncio.DatagramTransport] = {}
        self._end: asyncio.TimerHandle | None = None

    async def answer(self, addresses: Iterable[tuple[str, int]]) -> None:
        """Answer at these from now on; ports that somebody else has are left to him."""
        loop = asyncio.get_running_loop()
        for address in addresses:
            if address not in self._open:
                with contextlib.suppress(OSError):
                    self._open[address], _ = await loop.create_datagram_endpoint(
                        _Echo, local_addr=address
                    )
        if self._end is not None:
            self._end.cancel()
        self._end = loop.call_later(ANSWER_S, self.close) if self._open else None

    def close(self) -> None:
        """Answer no more."""
        if self._end is not None:
            self._end.cancel()
            self._end = None
        for transport in self._open.values():
            transport.close()
        self._open.clear()


async def ask(address: tuple[str, int], *, clock: Clock) -> int | None:
    """How long an answer took to come, in nanoseconds; None when none came."""
    asking = _Asking()
    question = MAGIC + os.urandom(NONCE_BYTES)
    try:
        transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: asking, remote_addr=address
        )
    except OSError:
        return None
    try:
        for _ in range(TRIES):
            sent_at = clock.monotonic()
            transport.sendto(question)
            with contextlib.suppress(TimeoutError):
                async with timeout(TIMEOUT_S):
                    await asking.heard(question)
                    return clock.monotonic() - sent_at
        return None
    finally:
        transport.close()


def is_met(last_ns: int, *, now_ns: int) -> bool:
    """Whether a session of WireGuard is alive whose ends have met last at `last_ns` (0: never)."""
    return last_ns > 0 and now_ns - last_ns <= SESSION_NS


class _Echo(asyncio.DatagramProtocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        if len(data) == len(MAGIC) + NONCE_BYTES and data.startswith(MAGIC):
            self._transport.sendto(data, addr)

    def error_received(self, exc: Exception) -> None:
        """Somebody who has asked is there no more."""


class _Asking(asyncio.DatagramProtocol):
    def __init__(self) -> None:
        self._heard: asyncio.Queue[bytes] = asyncio.Queue(TRIES)

    async def heard(self, wanted: bytes) -> None:
        while await self._heard.get() != wanted:
            continue

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        if not self._heard.full():
            self._heard.put_nowait(data)

    def error_received(self, exc: Exception) -> None:
        """Nobody has the port: it may be opened while we go on asking."""
