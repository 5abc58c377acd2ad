"""Questions that aren't ours go on to the node's, or the task's own, name servers.

A question travels as it came, under a number and from a port of our own. At most so many are under
way at once, per task and altogether, so that a flood from one task leaves room for the others.
"""

from __future__ import annotations

import asyncio
import random
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from swarmd.model.instant import SECOND
from swarmd.network.dns import messages
from swarmd.runtime.timeouts import timeout

PORT = 53
SERVERS_MAX = 3
# The resolvers of most C libraries give up after 5 s: two servers can have been tried by then.
PATIENCE_NS = 2 * SECOND
UNDER_WAY_MAX = 1024
UNDER_WAY_PER_TASK = 128
_LENGTH = struct.Struct("!H")


class Busy(Exception):
    """Too many questions are under way."""


class Unanswered(Exception):
    """No server gave an answer."""


class Upstream:
    """Asks other servers, from the namespace this process lives in."""

    def __init__(
        self, *, rng: random.Random, port: int = PORT, patience_ns: int = PATIENCE_NS
    ) -> None:
        """`patience_ns` is how long each server has."""
        self._rng = rng
        self._port = port
        self._patience_ns = patience_ns
        self._under_way: dict[str, int] = {}

    async def ask(self, asker: str, query: bytes, servers: Sequence[str], *, stream: bool) -> bytes:
        """The first answer of `servers` in their order; by TCP if the question came so.

        Raises:
            Busy, Unanswered
        """
        with self._counted(asker):
            for server in servers[:SERVERS_MAX]:
                try:
                    async with timeout(self._patience_ns / SECOND):
                        if stream:
                            return await self._ask_by_tcp(query, server)
                        return await self._ask_by_udp(query, server)
                except (OSError, TimeoutError, asyncio.IncompleteReadError):
                    continue
        raise Unanswered

    @contextmanager
    def _counted(self, asker: str) -> Iterator[None]:
        mine = self._under_way.get(asker, 0)
        if mine >= UNDER_WAY_PER_TASK or sum(self._under_way.values()) >= UNDER_WAY_MAX:
            raise Busy
        self._under_way[asker] = mine + 1
        try:
            yield
        finally:
            self._under_way[asker] -= 1
            if not self._under_way[asker]:
                del self._under_way[asker]

    async def _ask_by_udp(self, query: bytes, server: str) -> bytes:
        loop = asyncio.get_running_loop()
        number = self._rng.randrange(1 << 16)
        # A port for each question: together with the number, too much for others to guess.
        transport, protocol = await loop.create_datagram_endpoint(
            lambda: _Question(query, number, loop.create_future()), remote_addr=(server, self._port)
        )
        try:
            transport.sendto(_LENGTH.pack(number) + query[2:])
            answer = await protocol.answer
        finally:
            transport.close()
        return query[:2] + answer[2:]

    async def _ask_by_tcp(self, query: bytes, server: str) -> bytes:
        reader, writer = await asyncio.open_connection(server, self._port)
        try:
            writer.write(_LENGTH.pack(len(query)) + query)
            (length,) = _LENGTH.unpack(await reader.readexactly(_LENGTH.size))
            return await reader.readexactly(length)
        finally:
            writer.close()


class _Question(asyncio.DatagramProtocol):
    """Waits for the one datagram that answers its question; any other is ignored."""

    def __init__(self, query: bytes, number: int, answer: asyncio.Future[bytes]) -> None:
        self._query = query
        self._number = _LENGTH.pack(number)
        self.answer = answer

    def datagram_received(self, data: bytes, addr: object) -> None:
        if self.answer.done() or data[:2] != self._number:
            return
        if messages.answers_to(self._query, data):
            self.answer.set_result(data)

    def error_received(self, exc: Exception) -> None:
        if not self.answer.done():
            self.answer.set_exception(exc)


def servers_of(resolv_conf: Path) -> tuple[str, ...]:
    """The name servers a resolver's configuration names; none when it can't be read."""
    try:
        lines = resolv_conf.read_text(errors="replace").splitlines()
    except OSError:
        return ()
    words = (line.split() for line in lines)
    return tuple(row[1] for row in words if len(row) > 1 and row[0] == "nameserver")
