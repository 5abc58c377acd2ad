"""The userspace proxy where it differs from other back ends: ports, limits, times, broken peers."""

from __future__ import annotations

import asyncio
import random
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from msgspec.structs import replace

from swarmd.lb.core.tables import Backend, PortMapping, ServiceEndpoints
from swarmd.lb.kernel import BalancerReport, choose
from swarmd.lb.proxy import Place, ProxyBalancer, ProxyCandidate, ProxySettings
from swarmd.model.ids import NodeId, TaskId
from swarmd.model.instant import MILLISECOND
from swarmd.model.states import Protocol
from swarmd.runtime.clock import SystemClock
from tests.support.echo import (
    TARGET_PORT,
    TcpTask,
    UdpClient,
    UdpTask,
    ask,
    eventually,
    free_port,
    running,
    service,
    table,
)

ENTRY = "127.0.0.8"
NODE_8 = Place(node_name="node-8", listen=(ENTRY,))
RESET = struct.pack("ii", 1, 0)


@asynccontextmanager
async def proxy(
    *rows: ServiceEndpoints,
    place: Place = NODE_8,
    reports: list[BalancerReport] | None = None,
    **settings: int,
) -> AsyncIterator[ProxyBalancer]:
    balancer = ProxyBalancer(
        place=place,
        clock=SystemClock(),
        rng=random.Random(8),
        settings=ProxySettings(**settings),
        on_report=(reports if reports is not None else []).append,
    )
    try:
        await balancer.apply(table(1, *rows))
        yield balancer
    finally:
        await balancer.close()


def with_backend(row: ServiceEndpoints, task_id: str, address: str, port: int) -> ServiceEndpoints:
    protocol = row.ports[0].protocol
    backend = Backend(
        task_id=TaskId(task_id),
        node_id=NodeId("elsewhere"),
        address=address,
        ports=(PortMapping(protocol, TARGET_PORT, port),),
    )
    return replace(row, backends=(*row.backends, backend))


async def test_a_port_in_use_is_reported_in_one_sentence_and_served_once_it_frees() -> None:
    task, port, reports = TcpTask("a"), free_port(ENTRY), []
    other = socket.socket()
    other.bind((ENTRY, port))
    other.listen()
    async with (
        running(task),
        proxy(service(port, task), reports=reports, bind_retry_ns=20 * MILLISECOND) as balancer,
    ):
        (sentence,) = balancer.report.problems
        assert sentence == (
            f"port {port}/tcp on node node-8 is taken by another program; "
            "publish another port or stop it"
        )
        other.close()
        await eventually(lambda: not balancer.report.problems)
        assert reports[-1].problems == ()
        assert (await ask(ENTRY, port))[0] == "a"


async def test_the_program_that_holds_a_port_is_named() -> None:
    port = free_port(ENTRY)
    listen = (
        "import socket; s = socket.socket(); "
        f"s.bind(('{ENTRY}', {port})); s.listen(); print(flush=True); input()"
    )
    process = await asyncio.create_subprocess_exec(
        "python3",
        "-c",
        listen,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        assert process.stdout is not None
        await process.stdout.readline()
        async with proxy(service(port)) as balancer:
            (sentence,) = balancer.report.problems
        assert f"(python3, process {process.pid})" in sentence
    finally:
        process.kill()
        await process.wait()


async def test_one_port_in_use_does_not_hide_the_others() -> None:
    task, taken, free = TcpTask("a"), free_port(ENTRY), free_port(ENTRY)
    with socket.socket() as other:
        other.bind((ENTRY, taken))
        other.listen()
        async with running(task):
            rows = service(taken, task, name="one"), service(free, task, name="two")
            async with proxy(*rows) as balancer:
                assert len(balancer.report.problems) == 1
                assert (await ask(ENTRY, free))[0] == "a"


async def test_a_port_without_tasks_is_kept_for_the_service() -> None:
    port = free_port(ENTRY)
    async with proxy(service(port)):
        with socket.socket() as other, pytest.raises(OSError, match="in use"):
            other.bind((ENTRY, port))


async def test_an_address_that_is_not_ours_is_explained() -> None:
    port = free_port()
    place = Place(node_name="node-8", listen=("192.0.2.1",))
    async with proxy(service(port), place=place) as balancer:
        (sentence,) = balancer.report.problems
    assert "is not an address of this machine" in sentence


async def test_sctp_is_refused_with_a_sentence() -> None:
    async with proxy(service(5000, protocol=Protocol.SCTP)) as balancer:
        (sentence,) = balancer.report.problems
    assert "cannot carry sctp" in sentence


async def test_a_target_that_never_answers_is_passed_by_and_left_to_rest() -> None:
    task, port = TcpTask("a"), free_port(ENTRY)
    # A full backlog: the kernel drops further handshakes, as a machine that is gone would.
    silent = socket.socket()
    silent.bind(("127.0.0.1", 0))
    silent.listen(0)
    silent_port = silent.getsockname()[1]
    stuffing = [socket.socket() for _ in range(4)]
    for sock in stuffing:
        sock.setblocking(False)
        sock.connect_ex(("127.0.0.1", silent_port))
    try:
        async with running(task):
            row = with_backend(service(port, task), "b", "127.0.0.1", silent_port)
            async with proxy(row, connect_timeout_ns=100 * MILLISECOND) as balancer:
                assert [(await ask(ENTRY, port))[0] for _ in range(4)] == ["a"] * 4
                (stats,) = balancer.stats().values()
        assert stats.failovers == 1
        assert stats.refused == 0
    finally:
        for sock in (silent, *stuffing):
            sock.close()


async def test_a_client_is_refused_when_every_target_fails() -> None:
    tasks, port = [TcpTask("a"), TcpTask("b")], free_port(ENTRY)
    async with running(*tasks):
        row = service(port, *tasks)
    async with proxy(row) as balancer:
        with pytest.raises(ConnectionError):
            await ask(ENTRY, port)
        (stats,) = balancer.stats().values()
    assert (stats.refused, stats.failovers, stats.active) == (1, 2, 0)


async def test_a_connection_is_never_led_in_a_circle() -> None:
    port = free_port(ENTRY)
    place = Place(node_name="node-8", listen=(ENTRY,), own=frozenset({ENTRY}))
    row = with_backend(service(port), "a", ENTRY, port)
    async with proxy(row, place=place) as balancer:
        with pytest.raises(ConnectionError):
            await ask(ENTRY, port)
        (stats,) = balancer.stats().values()
    assert stats.accepted == 1


async def test_a_reset_by_the_client_resets_the_task() -> None:
    task, port = TcpTask("a"), free_port(ENTRY)
    async with running(task), proxy(service(port, task)):
        with socket.create_connection((ENTRY, port)) as client:
            client.setblocking(False)
            assert await asyncio.get_running_loop().sock_recv(client, 10) == b"a\n"
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        await eventually(lambda: task.reset == 1)


async def test_a_reset_by_the_task_resets_the_client() -> None:
    port = free_port(ENTRY)
    with socket.socket() as listener:
        listener.setblocking(False)
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        row = with_backend(service(port), "a", "127.0.0.1", listener.getsockname()[1])
        async with proxy(row):
            reader, writer = await asyncio.open_connection(ENTRY, port)
            backend, _ = await asyncio.get_running_loop().sock_accept(listener)
            backend.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            backend.close()
            with pytest.raises(ConnectionResetError):
                await reader.read()
            writer.close()


async def test_an_early_answer_reaches_a_client_that_is_still_sending() -> None:
    port = free_port(ENTRY)

    async def reject(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"too large")
        await writer.drain()
        writer.write_eof()
        await reader.read()
        writer.close()

    server = await asyncio.start_server(reject, "127.0.0.1", 0)
    async with server:
        row = with_backend(service(port), "a", "127.0.0.1", server.sockets[0].getsockname()[1])
        async with proxy(row):
            reader, writer = await asyncio.open_connection(ENTRY, port)
            writer.write(bytes(1_000_000))
            assert await reader.read() == b"too large"
            await writer.drain()
            writer.close()
            await writer.wait_closed()


async def test_a_slow_reader_slows_the_sender_down_instead_of_filling_memory() -> None:
    port = free_port(ENTRY)
    sent = 0

    async def flood(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        try:
            while True:
                writer.write(bytes(65536))
                await writer.drain()
                sent += 65536
        except ConnectionError:
            writer.close()

    server = await asyncio.start_server(flood, "127.0.0.1", 0)
    async with server:
        row = with_backend(service(port), "a", "127.0.0.1", server.sockets[0].getsockname()[1])
        async with proxy(row):
            client = socket.create_connection((ENTRY, port))
            before = -1
            while sent != before:  # until nothing moves any more
                before = sent
                await asyncio.sleep(0.1)
            assert sent < 64 * 1024 * 1024
            client.close()


async def test_at_the_limit_clients_wait_until_others_have_gone() -> None:
    task, port = TcpTask("a"), free_port(ENTRY)
    async with running(task), proxy(service(port, task), sessions_max=4) as balancer:
        streams = [await asyncio.open_connection(ENTRY, port) for _ in range(4)]
        for reader, _ in streams:
            await reader.readline()
        waiting_reader, waiting_writer = await asyncio.open_connection(ENTRY, port)
        # What the proxy has taken is what it counts; the fifth is in the kernel's queue.
        (stats,) = balancer.stats().values()
        assert stats.active == 4
        for _, writer in streams:
            writer.close()
            await writer.wait_closed()
        async with asyncio.timeout(10):
            assert await waiting_reader.readline() == b"a\n"
        waiting_writer.close()
        await waiting_writer.wait_closed()


async def test_udp_answers_leave_from_the_address_the_client_used() -> None:
    task = UdpTask("a")
    port = free_port("0.0.0.0", socket.SOCK_DGRAM)
    place = Place(node_name="node-8", listen=("0.0.0.0", "::"))
    async with running(task):
        row = service(port, task, protocol=Protocol.UDP)
        async with proxy(row, place=place):
            # A connected socket only receives from the address it sends to.
            for address in ("127.0.0.1", "127.0.0.77", "::1"):
                with UdpClient(address, port) as client:
                    assert await client.ask(b"hello") == "a"


async def test_a_udp_session_moves_on_when_nobody_listens_at_its_task() -> None:
    tasks, port = [UdpTask("a"), UdpTask("b")], free_port(ENTRY, socket.SOCK_DGRAM)
    async with running(*tasks), proxy(service(port, *tasks, protocol=Protocol.UDP)):
        with UdpClient(ENTRY, port) as client:
            first = await client.ask(b"one")
            gone, stays = sorted(tasks, key=lambda task: task.name != first)
            await gone.stop()
            answer = ""
            async with asyncio.timeout(10):
                while answer != stays.name:  # the first datagrams find out
                    try:
                        answer = await client.ask(b"two", patience_s=0.05)
                    except TimeoutError:
                        continue


async def test_idle_udp_sessions_end() -> None:
    task, port = UdpTask("a"), free_port(ENTRY, socket.SOCK_DGRAM)
    async with (
        running(task),
        proxy(service(port, task, protocol=Protocol.UDP), udp_idle_ns=50 * MILLISECOND) as balancer,
    ):
        with UdpClient(ENTRY, port) as client:
            await client.ask(b"hello")
            await eventually(lambda: next(iter(balancer.stats().values())).active == 0)
            assert await client.ask(b"again") == "a"


async def test_at_the_limit_the_longest_idle_udp_client_gives_way() -> None:
    task, port = UdpTask("a"), free_port(ENTRY, socket.SOCK_DGRAM)
    async with (
        running(task),
        proxy(service(port, task, protocol=Protocol.UDP), sessions_max=2) as balancer,
    ):
        clients = [UdpClient(ENTRY, port) for _ in range(4)]
        for client in clients:
            assert await client.ask(b"hello") == "a"
        (stats,) = balancer.stats().values()
        assert (stats.active, stats.accepted) == (2, 4)
        for client in clients:
            client.sock.close()


async def test_closing_ends_connections_and_frees_ports() -> None:
    task, port = TcpTask("a"), free_port(ENTRY)
    async with running(task):
        async with proxy(service(port, task)):
            reader, writer = await asyncio.open_connection(ENTRY, port)
            await reader.readline()
        with pytest.raises(ConnectionResetError):
            await reader.read()
        writer.close()
        with socket.socket() as other:
            other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            other.bind((ENTRY, port))
            other.listen()


async def test_the_proxy_is_what_remains_when_nothing_else_works() -> None:
    class NoKernel:
        def probe(self) -> str:
            return "the kernel has no ip_vs"

    def make() -> ProxyBalancer:
        raise AssertionError("choosing makes nothing yet")

    choice = choose((NoKernel(), ProxyCandidate(make)))
    assert choice.name == "proxy"
    assert choice.reason.startswith("the kernel has no ip_vs; ")
