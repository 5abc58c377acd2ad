"""What every back end for virtual addresses must do: one suite, on real namespaces and sockets.

A back end's tests derive from `VirtualContract`.
"""

from __future__ import annotations

import socket
from collections import Counter
from pathlib import Path

import pytest
from msgspec.structs import replace

from swarmd.lb.core.virtual import Schedule
from swarmd.lb.spaces import Space
from swarmd.lb.virtual import VirtualBalancer
from swarmd.network.kernel import netns
from tests.support.virtual_world import (
    ADDRESSES,
    NETWORK,
    PATIENCE_S,
    PORT,
    ask,
    connect,
    one_service,
    table,
    world,
)

SERVICES = 2000


class VirtualContract:
    """Derive, and implement `balancer` and `space`."""

    def balancer(self) -> VirtualBalancer:
        raise NotImplementedError

    def space(self, path: Path) -> Space:
        """What the balancer has for one namespace."""
        raise NotImplementedError

    @pytest.mark.parametrize("ipv6", [False, True])
    def test_connections_are_shared_out_by_weight(self, ipv6: bool) -> None:
        with world() as w:
            row = one_service(w, {"a": 3, "b": 1, "c": 0}, Schedule.ROUND_ROBIN, ipv6=ipv6)
            self.space(w.client).bring({row.address: row})
            assert Counter(ask(w.client, row.address) for _ in range(8)) == {"a": 6, "b": 2}

    @pytest.mark.parametrize("ipv6", [False, True])
    def test_by_source_hash_a_client_stays_with_its_task_and_clients_spread(
        self, ipv6: bool
    ) -> None:
        with world() as w:
            row = one_service(w, {"a": 1, "b": 1, "c": 1}, Schedule.SOURCE_HASH, ipv6=ipv6)
            self.space(w.client).bring({row.address: row})
            clients = w.more_clients(8, ipv6=ipv6)
            found = {
                client: {ask(w.client, row.address, client) for _ in range(4)} for client in clients
            }
        assert all(len(names) == 1 for names in found.values())
        assert len(set.union(*found.values())) > 1

    @pytest.mark.parametrize("address", ADDRESSES)
    async def test_connections_go_round_the_tasks_exactly(self, address: str) -> None:
        with world() as w:
            assert await self.balancer().apply(table(w, ready="abc"), w.members) == ()
            names = [ask(w.client, address) for _ in range(9)]
        assert names[:3] == names[3:6] == names[6:]
        assert sorted(names[:3]) == ["a", "b", "c"]

    @pytest.mark.parametrize("address", ADDRESSES)
    async def test_a_task_that_leaves_gets_no_new_connections_and_keeps_its_old(
        self, address: str
    ) -> None:
        with world() as w:
            balancer = self.balancer()
            await balancer.apply(table(w, ready="abc"), w.members)
            open_ = [connect(w.client, address) for _ in range(3)]
            assert sorted(sock.recv(10) for sock in open_) == [b"a", b"b", b"c"]
            await balancer.apply(table(w, ready="bc"), w.members)
            assert Counter(ask(w.client, address) for _ in range(4)) == {"b": 2, "c": 2}
            for task in w.tasks.values():
                task.accepted[0].send(b"more")
            assert [sock.recv(10) for sock in open_] == [b"more"] * 3
            for sock in open_:
                sock.close()

    @pytest.mark.parametrize("address", ADDRESSES)
    async def test_a_task_reaches_itself_by_the_address_of_its_service(self, address: str) -> None:
        with world("a") as w:
            await self.balancer().apply(table(w, ready="a"), w.members)
            assert ask(w.tasks["a"].path, address) == "a"

    @pytest.mark.parametrize("address", ADDRESSES)
    async def test_without_tasks_clients_are_refused_at_once_until_there_are_some(
        self, address: str
    ) -> None:
        with world("a") as w:
            balancer = self.balancer()
            await balancer.apply(table(w, ready=""), w.members)
            with pytest.raises(ConnectionRefusedError):
                ask(w.client, address)
            await balancer.apply(table(w, ready="a", version=2), w.members)
            assert ask(w.client, address) == "a"
            await balancer.apply(table(w, ready="", version=3), w.members)
            with pytest.raises(ConnectionRefusedError):
                ask(w.client, address)

    async def test_a_namespace_that_comes_later_has_what_the_others_have_and_follows(self) -> None:
        with world("ab") as w:
            balancer = self.balancer()
            first = {path: networks for path, networks in w.members.items() if path != w.client}
            await balancer.apply(table(w, ready="a"), first)
            assert await balancer.attend(w.client, (NETWORK,)) == ()
            assert ask(w.client, ADDRESSES[0]) == "a"
            await balancer.apply(table(w, ready="b", version=2), w.members)
            assert ask(w.client, ADDRESSES[0]) == "b"

    async def test_datagrams_of_one_client_stay_with_a_task_until_it_is_gone(self) -> None:
        with world("ab") as w:
            balancer = self.balancer()
            await balancer.apply(table(w, ready="ab"), w.members)
            with netns.inside(
                w.client, lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            ) as sock:
                sock.settimeout(PATIENCE_S)
                sock.connect(("10.66.0.2", PORT))

                def answer() -> str:
                    sock.send(b"?")
                    return sock.recv(10).decode()

                first = answer()
                assert {answer() for _ in range(5)} == {first}
                other = "b" if first == "a" else "a"
                await balancer.apply(table(w, ready=other, present=other), w.members)
                await balancer.forget()
                assert {answer() for _ in range(5)} == {other}

    async def test_thousands_of_services_stand_beside_each_other(self) -> None:
        with world("ab") as w:
            balancer = self.balancer()
            members = {w.client: (NETWORK,)}
            assert await balancer.apply(table(w, ready="a", more=SERVICES), members) == ()
            assert ask(w.client, "10.66.0.2") == "a"
            await balancer.apply(table(w, ready="b", more=SERVICES, version=2), members)
            assert ask(w.client, "10.66.0.2") == "b"

    async def test_a_service_that_is_removed_leaves_nothing(self) -> None:
        with world("a") as w:
            balancer = self.balancer()
            await balancer.apply(table(w, ready="a"), w.members)
            empty = {NETWORK: replace(table(w, ready="a")[NETWORK], services={}, endpoints={})}
            await balancer.apply(empty, w.members)
            with pytest.raises(OSError, match=r"[Nn]o route|timed out|unreachable"):
                ask(w.client, "10.66.0.2")
