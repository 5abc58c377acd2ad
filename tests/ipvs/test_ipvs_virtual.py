"""Virtual addresses by IPVS. Where this kernel has none, `make test-ipvs` brings one that has."""

from __future__ import annotations

import os
import socket

import pytest

from swarmd.lb.ipvs.virtual import ipvs_virtual, missing
from swarmd.lb.spaces import VERIFY_EVERY_NS
from swarmd.lb.virtual import VirtualBalancer
from swarmd.model.states import Balance
from swarmd.network.kernel import netns
from swarmd.network.kernel.ipvs import Ipvs
from tests.support.hand_clock import HandClock
from tests.support.virtual_contract import VirtualContract
from tests.support.virtual_world import ask, connect, table, world

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="namespaces need root"),
    pytest.mark.skipif(bool(missing()), reason=missing()),
]


class TestIpvsVirtual(VirtualContract):
    def balancer(self) -> VirtualBalancer:
        return ipvs_virtual(clock=HandClock(0))


async def test_what_somebody_changed_is_put_right_and_counted() -> None:
    with world("ab") as w:
        clock = HandClock(0)
        balancer = ipvs_virtual(clock=clock)
        await balancer.apply(table(w, ready="ab"), w.members)
        clock.advance(VERIFY_EVERY_NS)
        assert (await balancer.tend()).repaired == 0

        def spoil() -> None:
            with Ipvs() as kernel:
                for service, targets in kernel.services().items():
                    if service.family == socket.AF_INET:
                        kernel.delete_target(service, min(targets))

        netns.inside(w.client, spoil)
        assert {ask(w.client, "10.66.0.2") for _ in range(4)} == {"b"}
        clock.advance(VERIFY_EVERY_NS)
        assert (await balancer.tend()).repaired == 1
        assert {ask(w.client, "10.66.0.2") for _ in range(4)} == {"a", "b"}


async def test_a_new_daemon_takes_over_without_breaking_connections() -> None:
    with world("ab") as w:
        await ipvs_virtual(clock=HandClock(0)).apply(table(w, ready="ab"), w.members)
        await ipvs_virtual(clock=HandClock(0)).apply(table(w, ready="a", present="a"), w.members)
        assert {ask(w.client, "10.66.0.2") for _ in range(4)} == {"a"}


async def test_another_way_to_balance_is_taken_over_without_breaking_connections() -> None:
    with world("ab") as w:
        await ipvs_virtual(clock=HandClock(0)).apply(table(w, ready="ab"), w.members)
        with connect(w.client, "10.66.0.2") as sock:
            sock.recv(10)
            hashed = table(w, ready="ab", balance=Balance.SOURCE_HASH)
            await ipvs_virtual(clock=HandClock(0)).apply(hashed, w.members)
            assert len({ask(w.client, "10.66.0.2") for _ in range(4)}) == 1
            sock.send(b"more")
            assert sock.recv(10) == b"more"
