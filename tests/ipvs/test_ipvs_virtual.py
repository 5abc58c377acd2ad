"""Virtual addresses by IPVS. Where this kernel has none, `make test-ipvs` brings one that has."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from swarmd.lb.core.virtual import Schedule
from swarmd.lb.ipvs.virtual import IpvsSpace, ipvs_virtual, missing
from swarmd.lb.spaces import VERIFY_EVERY_NS, Space
from swarmd.lb.virtual import VirtualBalancer
from swarmd.network.kernel import netns
from swarmd.network.kernel.ipvs import Ipvs
from tests.support.hand_clock import HandClock
from tests.support.virtual_contract import VirtualContract
from tests.support.virtual_world import ask, connect, one_service, table, world

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="namespaces need root"),
    pytest.mark.skipif(bool(missing()), reason=missing()),
]


class TestIpvsVirtual(VirtualContract):
    def balancer(self) -> VirtualBalancer:
        return ipvs_virtual(clock=HandClock(0))

    def space(self, path: Path) -> Space:
        return IpvsSpace(path)


@pytest.mark.parametrize("ipv6", [False, True])
def test_by_least_connection_who_has_fewest_gets_the_next(ipv6: bool) -> None:
    with world("ab") as w:
        row = one_service(w, {"a": 1, "b": 1}, Schedule.LEAST_CONNECTION, ipv6=ipv6)
        IpvsSpace(w.client).bring({row.address: row})
        first, second = (connect(w.client, row.address) for _ in range(2))
        with first:
            busy = first.recv(10)
            with second:
                idle = second.recv(10)
            assert busy != idle
            # Going round it would be the other's turn.
            assert ask(w.client, row.address) == idle.decode()


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
