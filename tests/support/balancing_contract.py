"""What everybody who balances a service must do: one suite for all back ends.

A back end says what it can (`BackEnd`) and how a service over some tasks is had by it (`Balanced`);
`tests/support/balanced.py` has them all. Everything is asked over real sockets.
"""

from __future__ import annotations

import asyncio
import socket
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager, closing
from typing import NamedTuple, Protocol

import pytest

from swarmd.model.states import Balance

ALIKE = {"a": 1, "b": 1, "c": 1}
SERVICES = 2000
# Of thousands of ports somebody else on this machine may have some.
TAKEN_MAX = 10

Connection = tuple[str, socket.socket]  # who answered, who then sends back what it is sent


class Balanced(Protocol):
    """One service in the hands of a back end. What blocks is to be called from a thread."""

    clients: tuple[str, ...]  # addresses to call from

    async def serve(
        self,
        weights: Mapping[str, int],
        balance: Balance = Balance.ROUND_ROBIN,
        *,
        more: int = 0,
    ) -> tuple[str, ...]:
        """Lead new connections to these tasks by weight, beside `more` other services.

        Answers what could not be done, in sentences.
        """
        ...

    def connect(self, client: str = "") -> Connection:
        """Blocks. Raises: ConnectionRefusedError."""
        ...

    async def call_from(self, task: str) -> str:
        """Who answers when a task calls its own service."""
        ...

    def datagrams(self) -> socket.socket:
        """A client of datagrams; answers begin with a name and a blank."""
        ...

    async def firsts(self) -> list[str]:
        """To whom the first connections of several nodes, or tasks, come."""
        ...


class BackEnd(NamedTuple):
    """A back end, and what it can: whatever else the suite asks for all of them have to do."""

    name: str
    # The service over tasks named by one letter each, of which one may listen to IPv6.
    open: Callable[[str, bool], AbstractAsyncContextManager[Balanced]]
    least_connection: bool
    lacking: Callable[[], str]  # why it can't be had here; empty where it can


async def ask(balanced: Balanced, client: str = "") -> str:
    """Who answers a new connection, which is over when this returns."""

    def call() -> str:
        name, sock = balanced.connect(client)
        with closing(sock):
            sock.shutdown(socket.SHUT_WR)
            while sock.recv(100):
                pass
        return name

    return await asyncio.to_thread(call)


async def asked(balanced: Balanced, times: int, client: str = "") -> list[str]:
    return [await ask(balanced, client) for _ in range(times)]


class BalancingContract:
    """Derive, and give the fixture `back_end` its back ends."""

    @pytest.fixture(params=[False, True], ids=["ipv4", "ipv6"])
    def ipv6(self, request: pytest.FixtureRequest) -> bool:
        return bool(request.param)

    async def test_connections_go_round_the_tasks_exactly_each_by_its_weight(
        self, back_end: BackEnd, ipv6: bool
    ) -> None:
        async with back_end.open("abc", ipv6) as balanced:
            assert await balanced.serve(ALIKE) == ()
            names = await asked(balanced, 9)
            assert names[:3] == names[3:6] == names[6:]
            assert sorted(names[:3]) == ["a", "b", "c"]
            assert await balanced.serve({"a": 6, "b": 2}) == ()
            # IPVS still goes by the turns it had in mind for a round.
            await asked(balanced, 4)
            assert Counter(await asked(balanced, 8)) == {"a": 6, "b": 2}

    async def test_by_source_hash_a_client_stays_with_its_task_and_clients_spread(
        self, back_end: BackEnd, ipv6: bool
    ) -> None:
        async with back_end.open("abc", ipv6) as balanced:
            await balanced.serve(ALIKE)
            _, sock = await asyncio.to_thread(balanced.connect)
            with closing(sock):
                assert await balanced.serve(ALIKE, Balance.SOURCE_HASH) == ()
                found = {one: set(await asked(balanced, 4, one)) for one in balanced.clients}
                # Whatever is open stays where it is.
                assert await asyncio.to_thread(echoed, sock, b"still here") == b"still here"
                # Clients of a task that leaves are led to others.
                assert await balanced.serve({"b": 1, "c": 1}, Balance.SOURCE_HASH) == ()
                assert {await ask(balanced, one) for one in balanced.clients} <= {"b", "c"}
        assert all(len(names) == 1 for names in found.values())
        assert len(set.union(*found.values())) > 1 or len(found) == 1

    async def test_by_least_connection_who_has_fewest_gets_the_next_or_it_is_said_that_none_counts(
        self, back_end: BackEnd, ipv6: bool
    ) -> None:
        async with back_end.open("ab", ipv6) as balanced:
            problems = await balanced.serve({"a": 1, "b": 1}, Balance.LEAST_CONNECTION)
            busy, first = await asyncio.to_thread(balanced.connect)
            with closing(first):
                names = await asked(balanced, 3)
            if back_end.least_connection:
                assert problems == ()
                assert set(names) == {"a", "b"} - {busy}
            else:
                assert len(problems) == 1
                assert "asks for balance least-connection" in problems[0]
                assert names[::2] == [name for name in "ab" if name != busy] * 2

    async def test_a_task_that_leaves_gets_no_new_connections_and_keeps_its_old(
        self, back_end: BackEnd, ipv6: bool
    ) -> None:
        async with back_end.open("abc", ipv6) as balanced:
            await balanced.serve(ALIKE)
            held = dict([await asyncio.to_thread(balanced.connect) for _ in range(3)])
            assert sorted(held) == ["a", "b", "c"]
            await balanced.serve({"b": 1, "c": 1})
            assert Counter(await asked(balanced, 4)) == {"b": 2, "c": 2}
            for name, sock in held.items():
                with closing(sock):
                    assert await asyncio.to_thread(echoed, sock, name.encode()) == name.encode()

    async def test_without_tasks_clients_are_refused_at_once_and_a_task_alone_reaches_itself(
        self, back_end: BackEnd, ipv6: bool
    ) -> None:
        async with back_end.open("a", ipv6) as balanced:
            for weights in ({}, {"a": 1}, {}):
                assert await balanced.serve(weights) == ()
                if weights:
                    assert await ask(balanced) == "a"
                    assert await balanced.call_from("a") == "a"
                    continue
                with pytest.raises(ConnectionRefusedError):
                    await ask(balanced)

    async def test_datagrams_of_one_client_stay_with_a_task(
        self, back_end: BackEnd, ipv6: bool
    ) -> None:
        async with back_end.open("ab", ipv6) as balanced:
            await balanced.serve({"a": 1, "b": 1})

            def answers() -> set[bytes]:
                with closing(balanced.datagrams()) as sock:
                    return {echoed(sock, b"?").split()[0] for _ in range(5)}

            found = [await asyncio.to_thread(answers) for _ in range(4)]
        assert all(len(names) == 1 for names in found)
        assert set.union(*found) == {b"a", b"b"}

    async def test_nodes_begin_their_rounds_at_different_tasks(self, back_end: BackEnd) -> None:
        async with back_end.open("abc", False) as balanced:
            assert len(set(await balanced.firsts())) > 1

    async def test_thousands_of_services_stand_beside_each_other(self, back_end: BackEnd) -> None:
        async with back_end.open("ab", False) as balanced:
            for name in "ab":
                problems = await balanced.serve({name: 1}, more=SERVICES)
                assert len(problems) < TAKEN_MAX
                assert await ask(balanced) == name


def echoed(sock: socket.socket, data: bytes) -> bytes:
    """What comes back."""
    sock.send(data)
    return sock.recv(100)
