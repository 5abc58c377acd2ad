"""The name servers of a node's tasks: one pair of sockets in each task's namespace, one process.

The sockets have ports of the kernel's choice; rules in the namespace lead 127.0.0.11:53 there, so
that a task may well run a name server of its own. They are made anew when the daemon starts again.
"""

from __future__ import annotations

import asyncio
import logging
import random
import socket
import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from dnslib import RCODE
from msgspec import Struct

from swarmd.model.ids import NetworkId
from swarmd.network.core.names import Answer, Names
from swarmd.network.core.tables import NetworkTable
from swarmd.network.dns import messages
from swarmd.network.dns.upstream import Busy, Unanswered, Upstream
from swarmd.network.kernel import netns, nft
from swarmd.runtime.supervise import Supervisor
from swarmd.runtime.timeouts import timeout

log = logging.getLogger(__name__)

ADDRESS = "127.0.0.11"
PORT = 53
TABLE = "ip swarmd_names"
DATAGRAM_MAX = 4096
# Questions read in one turn of the event loop: a flood must not hold up heartbeats.
PER_TURN = 64
CLIENTS_MAX = 64  # TCP connections of one task
IDLE_S = 10.0
_LENGTH = struct.Struct("!H")


class Client(Struct, frozen=True):
    """A task as its name server knows it.

    `upstream` are the servers that get what isn't known here; none for a task that may reach
    nobody outside.
    """

    key: str
    networks: tuple[NetworkId, ...]
    upstream: tuple[str, ...] = ()


class _Serving:
    """The sockets of one task, and the rules that lead to them."""

    def __init__(self, client: Client, path: Path) -> None:
        """Raises: OSError, NftError. It blocks."""
        self.client = client
        self._path = path
        self.datagrams, self.listener = netns.inside(path, _open)
        self._rules = _rules(self.datagrams.getsockname()[1], self.listener.getsockname()[1])
        self._listing: str | None = None  # of the table as it should be; None: not looked at yet
        try:
            self._generation = netns.inside(path, self._put)
        except (OSError, nft.NftError):
            self._close()
            raise
        self.streams = 0
        self.accepting: asyncio.Task[Any] | None = None

    async def close(self) -> None:
        if self.accepting is not None:
            self.accepting.cancel()
            await asyncio.wait([self.accepting])
        self._close()

    def repair(self) -> bool:
        """Put back rules that somebody has changed; whether any were. It blocks.

        Raises:
            OSError, NftError: the namespace refuses, or isn't there any more.
        """
        return netns.inside(self._path, self._repair)

    def _repair(self) -> bool:
        generation = nft.generation()
        if generation == self._generation:
            return False
        found = nft.listing(TABLE)
        if found == self._listing or (
            self._listing is None and all(rule in found for rule in self._rules)
        ):
            self._listing, self._generation = found, generation
            return False
        self._generation = self._put()
        self._listing = nft.listing(TABLE)
        return self._listing != found

    def _put(self) -> int:
        nft.run(_table(self._rules))
        return nft.generation()

    def _close(self) -> None:
        self.datagrams.close()
        self.listener.close()


class NameServer:
    """All name servers of a node. Made and used in one event loop."""

    def __init__(self, *, rng: random.Random, upstream: Upstream | None = None) -> None:
        self._rng = rng
        self._names = Names()
        self._upstream = upstream if upstream is not None else Upstream(rng=rng)
        self._serving: dict[str, _Serving] = {}
        self._supervisor = Supervisor("names")

    def use(self, tables: Mapping[NetworkId, NetworkTable]) -> None:
        """Answer by these tables from now on."""
        self._names = Names(tables, self._names)

    async def serve(self, client: Client, path: Path) -> None:
        """Answer the task in the namespace at `path`; again with other words is fine.

        Raises:
            OSError, NftError: the namespace or its rules refuse.
        """
        known = self._serving.get(client.key)
        if known is not None:
            known.client = client
            return
        serving = await asyncio.to_thread(_Serving, client, path)
        self._serving[client.key] = serving
        loop = asyncio.get_running_loop()
        loop.add_reader(serving.datagrams, self._read, serving)
        serving.accepting = self._supervisor.spawn(
            self._accept(serving), name=f"accept.{client.key}"
        )

    async def stop(self, key: str) -> None:
        """Answer no more; a task unknown is fine."""
        serving = self._serving.pop(key, None)
        if serving is not None:
            asyncio.get_running_loop().remove_reader(serving.datagrams)
            await serving.close()

    async def tend(self) -> int:
        """Look whether rules still lead to the servers; in how many namespaces they did not."""
        return await asyncio.to_thread(_repair, tuple(self._serving.values()))

    async def close(self) -> None:
        await self._supervisor.stop()
        for key in tuple(self._serving):
            await self.stop(key)

    def _read(self, serving: _Serving) -> None:
        for _ in range(PER_TURN):
            try:
                data, sender = serving.datagrams.recvfrom(DATAGRAM_MAX)
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:
                log.warning("names.unreadable task.id=%s error=%s", serving.client.key, error)
                return

            def answer(reply: bytes, sender: Any = sender) -> None:
                try:
                    serving.datagrams.sendto(reply, sender)
                except OSError as error:
                    log.debug("names.unsent task.id=%s error=%s", serving.client.key, error)

            self._answer(serving, data, answer)

    def _answer(self, serving: _Serving, data: bytes, send: Callable[[bytes], None]) -> None:
        """Send the answer to a datagram at once, or have it asked for elsewhere."""
        reply = self._known(serving.client, data, stream=False)
        if reply is None:
            self._supervisor.spawn(
                self._send_forwarded(serving, data, send), name=f"forward.{serving.client.key}"
            )
        elif reply:
            send(reply)

    async def _send_forwarded(
        self, serving: _Serving, data: bytes, send: Callable[[bytes], None]
    ) -> None:
        reply = await self._forward(serving.client, data, stream=False)
        if serving.datagrams.fileno() >= 0:
            send(reply)

    def _known(self, client: Client, data: bytes, *, stream: bool) -> bytes | None:
        """The reply, empty for none at all; None when somebody else is to be asked."""
        try:
            query = messages.parse(data)
        except messages.Unreadable as error:
            return error.reply or b""
        answer = self._names.find(client.networks, query.name, query.want) if query.name else None
        if answer is not None:
            return messages.reply(query, answer, self._order(answer), stream=stream)
        if client.upstream:
            return None
        return messages.refuse(query, RCODE.NXDOMAIN)

    async def _forward(self, client: Client, data: bytes, *, stream: bool) -> bytes:
        try:
            return await self._upstream.ask(client.key, data, client.upstream, stream=stream)
        except (Busy, Unanswered):
            return messages.failure(data, RCODE.SERVFAIL)

    def _order(self, answer: Answer) -> list[int]:
        order = list(range(messages.count(answer)))
        self._rng.shuffle(order)
        return order

    async def _accept(self, serving: _Serving) -> None:
        loop = asyncio.get_running_loop()
        while True:
            sock, _ = await loop.sock_accept(serving.listener)
            if serving.streams >= CLIENTS_MAX:
                sock.close()
                continue
            self._supervisor.spawn(self._converse(serving, sock), name="stream")

    async def _converse(self, serving: _Serving, sock: socket.socket) -> None:
        """Answer the questions of one connection, one after the other, until it is idle."""
        reader, writer = await asyncio.open_connection(sock=sock)
        serving.streams += 1
        try:
            while True:
                async with timeout(IDLE_S):
                    (length,) = _LENGTH.unpack(await reader.readexactly(_LENGTH.size))
                    data = await reader.readexactly(length)
                    reply = self._known(serving.client, data, stream=True)
                    if reply is None:
                        reply = await self._forward(serving.client, data, stream=True)
                    if not reply:
                        return
                    writer.write(_LENGTH.pack(len(reply)) + reply)
                    await writer.drain()
        except (asyncio.IncompleteReadError, TimeoutError, OSError):
            return
        finally:
            serving.streams -= 1
            writer.close()


def _open() -> tuple[socket.socket, socket.socket]:
    """Both sockets, in the namespace of the calling thread."""
    datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        datagrams.bind((ADDRESS, 0))
        listener.bind((ADDRESS, 0))
        listener.listen()
    except OSError:
        datagrams.close()
        listener.close()
        raise
    return datagrams, listener


def _repair(servings: tuple[_Serving, ...]) -> int:
    repaired = 0
    for serving in servings:
        try:
            repaired += serving.repair()
        except FileNotFoundError:
            continue  # the task has ended
        except (OSError, nft.NftError) as error:
            log.warning("names.not_led task.id=%s reason=%s", serving.client.key, error)
    return repaired


def _rules(udp: int, tcp: int) -> tuple[str, ...]:
    """As nft lists them, too."""
    to = f"ip daddr {ADDRESS}"
    return (
        f"{to} udp dport {PORT} dnat to {ADDRESS}:{udp}",
        f"{to} tcp dport {PORT} dnat to {ADDRESS}:{tcp}",
    )


def _table(rules: tuple[str, ...]) -> str:
    chain = "".join(f"    {rule}\n" for rule in rules)
    return (
        f"table {TABLE}\ndelete table {TABLE}\n"
        f"table {TABLE} {{\n"
        "  chain lead {\n"
        "    type nat hook output priority -100; policy accept;\n"
        f"{chain}"
        "  }\n"
        "}\n"
    )
