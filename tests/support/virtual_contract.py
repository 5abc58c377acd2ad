"""What is asked of virtual addresses in namespaces, beyond what `BalancingContract` asks of all.

A back end's tests derive from `VirtualContract`.
"""

from __future__ import annotations

import socket

import pytest
from msgspec.structs import replace

from swarmd.lb.virtual import VirtualBalancer
from swarmd.network.kernel import netns
from tests.support.virtual_world import (
    ADDRESSES,
    NETWORK,
    PATIENCE_S,
    PORT,
    ask,
    table,
    world,
)


class VirtualContract:
    """Derive, and implement `balancer`."""

    def balancer(self) -> VirtualBalancer:
        raise NotImplementedError

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
                await balancer.move()
                await balancer.forget()
                assert {answer() for _ in range(5)} == {other}

    async def test_a_service_that_is_removed_leaves_nothing(self) -> None:
        with world("a") as w:
            balancer = self.balancer()
            await balancer.apply(table(w, ready="a"), w.members)
            empty = {NETWORK: replace(table(w, ready="a")[NETWORK], services={}, endpoints={})}
            await balancer.apply(empty, w.members)
            with pytest.raises(OSError, match=r"[Nn]o route|timed out|unreachable"):
                ask(w.client, "10.66.0.2")
