"""The name server of a task, asked by real sockets from the task's namespace."""

from __future__ import annotations

import asyncio
import os
import random
import socket
import struct
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from uuid import uuid4

import pytest
from dnslib import QTYPE, RCODE, RR, A, DNSRecord

from swarmd.model.ids import NetworkId, NodeId, ServiceId, TaskId
from swarmd.model.instant import MILLISECOND
from swarmd.network.core.tables import Endpoint, NetworkTable, ServiceRow
from swarmd.network.dns.server import Client, NameServer
from swarmd.network.dns.upstream import UNDER_WAY_PER_TASK, Upstream
from swarmd.network.kernel import netns, nft
from tests.support.virtual_world import ip_commands

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="namespaces need root"),
    pytest.mark.skipif(bool(nft.missing()), reason="libnftables is not installed"),
]

NET = NetworkId("net")
TABLE = NetworkTable(
    NET,
    "net",
    services={ServiceId("s"): ServiceRow(ServiceId("s"), "web", virtual_ips=("10.0.1.2",))},
    endpoints={
        TaskId(f"t{n}"): Endpoint(
            TaskId(f"t{n}"),
            ServiceId("s"),
            NodeId("n"),
            (f"10.0.1.{n}",),
            (f"web.{n}",),
            ready=True,
        )
        for n in range(10, 110)
    },
)
PATIENCE_S = 5


@contextmanager
def namespace() -> Iterator[Path]:
    path = Path("/run") / f"swarmd-test-{uuid4().hex[:8]}"
    netns.create(path)
    try:
        ip_commands(path, "link set lo up")
        yield path
    finally:
        netns.remove(path)


@asynccontextmanager
async def serving(
    path: Path, *servers: str, upstream: Upstream | None = None
) -> AsyncIterator[NameServer]:
    server = NameServer(rng=random.Random(1), upstream=upstream)
    server.use({NET: TABLE})
    try:
        await server.serve(Client("t", (NET,), servers), path)
        yield server
    finally:
        await server.close()


async def ask(path: Path, name: str, kind: str = "A", *, stream: bool = False) -> DNSRecord:
    return DNSRecord.parse(
        await asyncio.to_thread(_ask, path, DNSRecord.question(name, kind).pack(), stream)
    )


def _ask(path: Path, question: bytes, stream: bool) -> bytes:
    kind = socket.SOCK_STREAM if stream else socket.SOCK_DGRAM
    with netns.inside(path, lambda: socket.socket(type=kind)) as sock:
        sock.settimeout(PATIENCE_S)
        sock.connect(("127.0.0.11", 53))
        if not stream:
            sock.send(question)
            return sock.recv(65535)
        sock.send(struct.pack("!H", len(question)) + question)
        (length,) = struct.unpack("!H", sock.recv(2, socket.MSG_WAITALL))
        return sock.recv(length, socket.MSG_WAITALL)


async def test_a_task_asks_by_datagram_and_by_stream() -> None:
    with namespace() as path:
        async with serving(path):
            for stream in (False, True):
                answer = await ask(path, "web", stream=stream)
                assert [str(row.rdata) for row in answer.rr] == ["10.0.1.2"]
            assert (await ask(path, "tasks.web")).header.tc == 1
            tasks = await ask(path, "tasks.web", stream=True)
            assert len(tasks.rr) == 100
            again = await ask(path, "tasks.web", stream=True)
            assert [str(row.rdata) for row in tasks.rr] != [str(row.rdata) for row in again.rr]
            assert (await ask(path, "web", "AAAA")).header.rcode == RCODE.NOERROR
            assert (await ask(path, "example.org")).header.rcode == RCODE.NXDOMAIN


async def test_rules_that_somebody_flushed_are_put_back() -> None:
    with namespace() as path:
        async with serving(path) as server:
            assert await server.tend() == 0
            netns.inside(path, lambda: nft.run("flush ruleset"))
            assert await server.tend() == 1
            assert await server.tend() == 0
            assert (await ask(path, "web")).rr


async def test_a_new_daemon_serves_the_tasks_of_the_old() -> None:
    with namespace() as path:
        for _ in range(2):
            async with serving(path):
                assert (await ask(path, "web")).rr


async def test_other_questions_go_to_the_servers_of_the_node() -> None:
    class Elsewhere(asyncio.DatagramProtocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            self.transport = transport

        def datagram_received(self, data: bytes, addr: object) -> None:
            reply = DNSRecord.parse(data).reply()
            if str(reply.q.qname) == "silence.org.":
                return
            reply.add_answer(RR(reply.q.qname, QTYPE.A, rdata=A("192.0.2.7")))
            self.transport.sendto(b"\0\0" + reply.pack()[2:], addr)  # type: ignore[attr-defined]
            self.transport.sendto(reply.pack(), addr)  # type: ignore[attr-defined]

    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(Elsewhere, local_addr=("127.0.0.1", 0))
    upstream = Upstream(
        rng=random.Random(1),
        port=transport.get_extra_info("sockname")[1],
        patience_ns=200 * MILLISECOND,
    )
    try:
        with namespace() as path:
            async with serving(path, "127.0.0.1", upstream=upstream):
                answer = await ask(path, "example.org")
                assert [str(row.rdata) for row in answer.rr] == ["192.0.2.7"]
                assert (await ask(path, "silence.org")).header.rcode == RCODE.SERVFAIL
                # A flood of questions nobody answers: those that are too many are told at once,
                # and what the swarm knows is answered all the while.
                questions = DNSRecord.question("silence.org").pack()
                with netns.inside(path, lambda: socket.socket(type=socket.SOCK_DGRAM)) as flood:
                    flood.connect(("127.0.0.11", 53))
                    for _ in range(UNDER_WAY_PER_TASK + 20):
                        flood.send(questions)
                    assert (await ask(path, "web")).rr
                    flood.settimeout(PATIENCE_S)
                    reply = await asyncio.to_thread(flood.recv, 512)
                assert DNSRecord.parse(reply).header.rcode == RCODE.SERVFAIL
    finally:
        transport.close()
