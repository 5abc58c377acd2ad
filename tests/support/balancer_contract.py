"""What every balancing back end must do, whatever it is made of: one suite for all of them.

A back end's tests derive from `BalancerContract` and say how it is made. Tasks are real servers on
loopback; published ports are asked at `self.entry`, and at `self.entry6` over IPv6.
"""

from __future__ import annotations

import asyncio
import socket
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from swarmd.lb.core.tables import PublishedPort, ServiceEndpoints, Tables
from swarmd.lb.kernel import Balancer
from swarmd.model.ids import ServiceId
from swarmd.model.states import Protocol
from tests.support.echo import (
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


class BalancerContract:
    """Derive, and implement `balancer`."""

    entry = "127.0.0.1"
    entry6 = "::1"

    def balancer(self) -> Balancer:
        raise NotImplementedError

    @asynccontextmanager
    async def serving(self, *rows: ServiceEndpoints) -> AsyncIterator[Balancer]:
        balancer = self.balancer()
        try:
            report = await balancer.apply(table(1, *rows))
            assert report.problems == ()
            assert report.version == 1
            yield balancer
        finally:
            await balancer.close()

    def port(self, kind: int = socket.SOCK_STREAM) -> int:
        return free_port(self.entry, kind)

    async def test_a_change_of_the_tasks_keeps_the_round_exact(self) -> None:
        tasks = [TcpTask(name) for name in "abcd"]
        async with running(*tasks):
            port = self.port()
            async with self.serving(service(port, *tasks[:3])) as balancer:
                [await ask(self.entry, port) for _ in range(2)]
                await balancer.apply(table(2, service(port, *tasks)))
                names = Counter([(await ask(self.entry, port))[0] for _ in range(8)])
        assert names == {"a": 2, "b": 2, "c": 2, "d": 2}

    async def test_a_port_answers_again_when_tasks_come_back(self) -> None:
        task = TcpTask("a")
        async with running(task):
            port = self.port()
            async with self.serving(service(port, task)) as balancer:
                await balancer.apply(table(2, service(port)))
                with pytest.raises(ConnectionError):
                    await ask(self.entry, port)
                await balancer.apply(table(3, service(port, task)))
                assert (await ask(self.entry, port, b"hello")) == ("a", b"hello")

    async def test_a_removed_service_answers_no_more_and_frees_its_port(self) -> None:
        task = TcpTask("a")
        async with running(task):
            port = self.port()
            async with self.serving(service(port, task)) as balancer:
                await balancer.apply(table(2))
                with pytest.raises(ConnectionError):
                    await ask(self.entry, port)
                with socket.socket() as other:
                    other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    other.bind((self.entry, port))
                    other.listen()

    async def test_a_task_that_refuses_is_passed_by(self) -> None:
        tasks = [TcpTask(name) for name in "abc"]
        async with running(*tasks):
            port = self.port()
            async with self.serving(service(port, *tasks)):
                await tasks[1].stop()
                names = Counter([(await ask(self.entry, port))[0] for _ in range(10)])
        assert names == {"a": 5, "c": 5}

    async def test_ipv6_clients_are_served_as_well(self) -> None:
        task = TcpTask("a")
        async with running(task):
            port = self.port()
            async with self.serving(service(port, task)):
                assert (await ask(self.entry6, port, b"six")) == ("a", b"six")

    async def test_a_task_may_be_reached_over_ipv6(self) -> None:
        task = TcpTask("a", address="::1")
        async with running(task):
            port = self.port()
            async with self.serving(service(port, task)):
                assert (await ask(self.entry, port, b"six")) == ("a", b"six")

    async def test_half_closed_connections_deliver_everything(self) -> None:
        task = TcpTask("a")
        payload = bytes(range(256)) * 40_000  # 10 MB, far more than any buffer on the way
        async with running(task):
            port = self.port()
            async with self.serving(service(port, task)):
                reader, writer = await asyncio.open_connection(self.entry, port)

                async def send() -> None:
                    writer.write(payload)
                    await writer.drain()
                    writer.write_eof()

                async with asyncio.TaskGroup() as group:
                    group.create_task(send())
                    assert await reader.readline() == b"a\n"
                    assert await reader.read() == payload
                writer.close()
                await writer.wait_closed()

    async def test_a_drained_task_keeps_its_connections_and_gets_no_new_ones(self) -> None:
        tasks = [TcpTask(name) for name in "ab"]
        async with running(*tasks):
            port = self.port()
            async with self.serving(service(port, *tasks)) as balancer:
                streams = [await asyncio.open_connection(self.entry, port) for _ in range(2)]
                names = {await reader.readline(): (reader, writer) for reader, writer in streams}
                await balancer.apply(table(2, service(port, tasks[0])))
                assert {(await ask(self.entry, port))[0] for _ in range(4)} == {"a"}
                reader, writer = names[b"b\n"]
                writer.write(b"still here")
                assert await reader.readexactly(10) == b"still here"
                for _, writer in streams:
                    writer.close()
                    await writer.wait_closed()

    async def test_no_request_is_lost_while_tasks_come_and_go(self) -> None:
        tasks = [TcpTask(name) for name in "abcdef"]
        answered: Counter[str] = Counter()
        async with running(*tasks):
            port = self.port()
            async with self.serving(service(port, *tasks)) as balancer:
                done = False

                async def load() -> None:
                    while not done:
                        name, echo = await ask(self.entry, port, b"payload")
                        assert echo == b"payload"
                        answered[name] += 1

                async with asyncio.TaskGroup() as group:
                    for _ in range(8):
                        group.create_task(load())
                    for version in range(2, 42):
                        gone = tasks[version % len(tasks)]
                        rest = [task for task in tasks if task is not gone]
                        await balancer.apply(table(version, service(port, *rest)))
                        # Out of the table first, gone afterwards: as a task that is drained.
                        await asyncio.sleep(0.01)
                        await gone.stop()
                        await gone.start()
                    done = True
        assert set(answered) == {task.name for task in tasks}

    async def test_udp_clients_stay_with_their_task_and_new_ones_go_round(self) -> None:
        tasks = [UdpTask(name) for name in "abc"]
        async with running(*tasks):
            port = self.port(socket.SOCK_DGRAM)
            async with self.serving(service(port, *tasks, protocol=Protocol.UDP)):
                first = []
                for _ in range(6):
                    with UdpClient(self.entry, port) as client:
                        names = {await client.ask(b"%d" % number) for number in range(3)}
                        assert len(names) == 1
                        first.extend(names)
        assert Counter(first) == {"a": 2, "b": 2, "c": 2}

    async def test_udp_clients_move_when_their_task_leaves(self) -> None:
        tasks = [UdpTask(name) for name in "ab"]
        async with running(*tasks):
            port = self.port(socket.SOCK_DGRAM)
            row = service(port, *tasks, protocol=Protocol.UDP)
            async with self.serving(row) as balancer:
                with UdpClient(self.entry, port) as client:
                    before = await client.ask(b"one")
                    stays = next(task for task in tasks if task.name != before)
                    row = service(port, stays, protocol=Protocol.UDP)
                    await balancer.apply(table(2, row))
                    assert await client.ask(b"two") == stays.name

    async def test_udp_over_ipv6(self) -> None:
        task = UdpTask("a", address="::1")
        async with running(task):
            port = self.port(socket.SOCK_DGRAM)
            async with self.serving(service(port, task, protocol=Protocol.UDP)):
                with UdpClient(self.entry6, port) as client:
                    assert await client.ask(b"six") == "a"

    async def test_the_same_table_again_changes_nothing(self) -> None:
        task = TcpTask("a")
        async with running(task):
            port = self.port()
            async with self.serving(service(port, task)) as balancer:
                reader, writer = await asyncio.open_connection(self.entry, port)
                assert await reader.readline() == b"a\n"
                for _ in range(3):
                    await balancer.apply(table(1, service(port, task)))
                writer.write(b"x")
                assert await reader.readexactly(1) == b"x"
                writer.close()
                await writer.wait_closed()

    async def test_a_thousand_services_are_served_and_removed(self) -> None:
        task = TcpTask("a")
        async with running(task):
            rows = self._many(1000, task)
            balancer = self.balancer()
            try:
                tables = Tables(1, {row.service_id: row for row in rows})
                problems = (await balancer.apply(tables)).problems
                # Somebody else on this machine may use one or the other of so many ports.
                assert len(problems) < 10
                answers = Counter()
                for row in rows[::50]:
                    answers[(await ask(self.entry, row.ports[0].published_port))[0]] += 1
                assert answers["a"] >= 15
                assert (await balancer.apply(Tables(2, {}))).problems == ()
                assert balancer.stats() == {}
            finally:
                await balancer.close()

    async def test_counters_tell_what_happened(self) -> None:
        task = TcpTask("a")
        async with running(task):
            port = self.port()
            async with self.serving(service(port, task)) as balancer:
                await ask(self.entry, port, b"12345")
                await eventually(lambda: next(iter(balancer.stats().values())).active == 0)
                (stats,) = balancer.stats().values()
        assert stats.accepted == 1
        assert stats.bytes_in == 5
        assert stats.bytes_out == len(b"a\n12345")

    def _many(self, count: int, task: TcpTask) -> list[ServiceEndpoints]:
        (backend,) = service(1, task).backends
        return [
            ServiceEndpoints(
                service_id=ServiceId(f"service-{number:04}"),
                service_name=f"web{number}",
                ports=(PublishedPort(Protocol.TCP, 12_000 + number, 80),),
                backends=(backend,),
            )
            for number in range(count)
        ]
