"""Greetings over real TLS: both ends hold each other's key and the bare connection afterwards."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable

import pytest

from swarmd.model.ids import NodeId
from swarmd.network.crypt.greeting import Greeting
from swarmd.network.crypt.records import KEY_BYTES
from swarmd.rpc.tls import TUNNEL_ALPN, ClientTls, Credentials, ServerTls, client_context
from tests.support.certs import issue, shared_ca


class End:
    """One end, and the connection that it was left with."""

    def __init__(self, *, begins: bool) -> None:
        self.connection: socket.socket | None = None
        self.greeting = Greeting(NodeId("peer"), begins=begins, on_agreed=self._keep)

    def _keep(self, _: Greeting, connection: socket.socket) -> None:
        self.connection = connection

    async def ended(self) -> None:
        async with asyncio.timeout(5):
            await self.greeting.ended.wait()


@contextlib.asynccontextmanager
async def connected(
    serve: Callable[[], asyncio.Protocol], dial: Callable[[], asyncio.Protocol]
) -> AsyncIterator[asyncio.Transport]:
    here, there = issue(shared_ca(), "n1"), issue(shared_ca(), "n2")
    credentials = Credentials(there.root_pem, there.cert_pem, there.key_pem)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        serve, "127.0.0.1", 0, ssl=ServerTls(credentials, alpn=(TUNNEL_ALPN,)).context
    )
    tls = ClientTls(here.root_pem, here.cert_pem, here.key_pem, "n2")
    transport, _ = await loop.create_connection(
        dial,
        *server.sockets[0].getsockname()[:2],
        ssl=client_context(tls, alpn=TUNNEL_ALPN),
        server_hostname="n2",
    )
    try:
        yield transport
    finally:
        transport.abort()
        server.close()
        await server.wait_closed()


async def test_both_have_each_others_key_and_a_connection_without_tls() -> None:
    opener, taker = End(begins=True), End(begins=False)
    async with connected(lambda: taker.greeting, lambda: opener.greeting):
        await opener.ended()
        await taker.ended()
    assert opener.greeting.is_agreed
    assert taker.greeting.is_agreed
    assert opener.greeting.send_key == taker.greeting.receive_key
    assert opener.greeting.receive_key == taker.greeting.send_key
    assert opener.greeting.send_key != taker.greeting.send_key
    assert opener.connection is not None
    assert taker.connection is not None
    with opener.connection as here, taker.connection as there:
        for source, target in ((here, there), (there, here)):
            source.setblocking(True)
            source.sendall(b"in the open")
            target.settimeout(5)
            assert target.recv(100) == b"in the open"


class Says(asyncio.Protocol):
    """Says something, whatever it is told."""

    def __init__(self, text: bytes) -> None:
        self._text = text
        self.lost = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.write(self._text)

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost.set()


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(b"\2" + bytes(KEY_BYTES), id="another version"),
        pytest.param(b"\1" + bytes(KEY_BYTES) + b"more", id="more than a hello"),
        pytest.param(b"GET / HTTP/1.1\r\n\r\n", id="another language"),
    ],
)
async def test_who_says_something_else_is_hung_up_on(text: bytes) -> None:
    taker, other = End(begins=False), Says(text)
    async with connected(lambda: taker.greeting, lambda: other):
        await taker.ended()
        async with asyncio.timeout(5):
            await other.lost.wait()
    assert not taker.greeting.is_agreed
    assert taker.connection is None


async def test_an_end_that_goes_away_ends_the_greeting() -> None:
    taker, other = End(begins=False), Says(b"\1half")
    async with connected(lambda: taker.greeting, lambda: other) as transport:
        transport.abort()
        await taker.ended()
    assert not taker.greeting.is_agreed
