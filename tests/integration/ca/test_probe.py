"""What a look at an address finds, over real sockets."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from swarmd.model.errors import Code, Rejection
from swarmd.model.instant import HOUR, Instant
from swarmd.model.states import Role
from swarmd.node import probe
from swarmd.node.probe import Address, diagnose, parse_address
from tests.support.certs import issue, make_ca, server_context, wall_now

ROOT = make_ca()


@asynccontextmanager
async def listening(
    context: ssl.SSLContext | None, greet: Callable[[asyncio.StreamWriter], None] = lambda w: None
) -> AsyncIterator[str]:
    """Somebody on a free port of the loopback interface; the block gets the address."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        greet(writer)
        try:
            await reader.read()
        except (ConnectionError, ssl.SSLError):
            return
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    try:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        await server.wait_closed()


def a_manager(now: Instant | None = None) -> ssl.SSLContext:
    return server_context(issue(ROOT, "m1", Role.MANAGER, now=now, life_ns=24 * HOUR))


async def finding(
    address: str, root_pem: bytes | None = ROOT.cert_pem, now: Instant | None = None
) -> Rejection:
    found = await diagnose(address, root_pem, now=now or wall_now())
    assert found is not None
    assert address in found.message
    return found


async def test_a_manager_of_this_cluster_is_fine() -> None:
    async with listening(a_manager()) as address:
        assert await diagnose(address, ROOT.cert_pem, now=wall_now()) is None
        assert await diagnose(address, None, now=wall_now()) is None


async def test_nobody_listening_is_unreachable() -> None:
    async with listening(None) as address:
        pass
    found = await finding(address)
    assert found.code is Code.UNAVAILABLE
    assert "connection refused" in found.message


async def test_a_name_that_does_not_resolve_is_unreachable() -> None:
    found = await finding("no-such-host.invalid:2377")
    assert found.code is Code.UNAVAILABLE
    assert "can't be resolved" in found.message


async def test_silence_is_unreachable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "PROBE_TIMEOUT_S", 0.1)
    async with listening(None) as address:
        found = await finding(address)
    assert found.code is Code.UNAVAILABLE
    assert "does not answer" in found.message


@pytest.mark.parametrize(
    "greet",
    [
        pytest.param(lambda w: w.write(b"SSH-2.0-OpenSSH_9.2\r\n"), id="ssh"),
        pytest.param(lambda w: w.write(b"HTTP/1.1 400 Bad Request\r\n\r\n"), id="http"),
        pytest.param(lambda w: w.transport.abort(), id="hangs up"),
        pytest.param(lambda w: w.close(), id="closes"),
    ],
)
async def test_a_port_without_tls_is_no_managers(
    greet: Callable[[asyncio.StreamWriter], None],
) -> None:
    async with listening(None, greet) as address:
        found = await finding(address)
    assert found.code is Code.INVALID_ARGUMENT
    assert "does not speak TLS" in found.message


async def test_a_web_server_is_no_manager() -> None:
    context = server_context(issue(ROOT, "m1", Role.MANAGER), alpn=("http/1.1",))
    async with listening(context) as address:
        found = await finding(address)
    assert found.code is Code.INVALID_ARGUMENT
    assert "not gRPC" in found.message


async def test_a_manager_of_another_cluster_is_called_so() -> None:
    async with listening(a_manager()) as address:
        found = await finding(address, make_ca().cert_pem)
    assert found.code is Code.INVALID_ARGUMENT
    assert "another cluster" in found.message


@pytest.mark.parametrize(
    ("offset_ns", "words"), [(-3 * HOUR, "clock is at least"), (30 * HOUR, "expired")]
)
async def test_a_clock_that_is_off_is_named(offset_ns: int, words: str) -> None:
    async with listening(a_manager()) as address:
        found = await finding(address, now=Instant(wall_now() + offset_ns))
    assert found.code is Code.FAILED_PRECONDITION
    assert words in found.message


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("10.0.0.1:2377", Address("10.0.0.1", 2377)),
        ("[fd00::1]:2377", Address("fd00::1", 2377)),
        ("manager.example:4000", Address("manager.example", 4000)),
    ],
)
def test_addresses_are_taken_apart(text: str, address: Address) -> None:
    assert parse_address(text) == address
