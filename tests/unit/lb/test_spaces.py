"""Namespaces are brought in line before anybody is forgotten in them."""

from __future__ import annotations

from pathlib import Path

from swarmd.lb.core.leaving import UDP_REST_NS, Due
from swarmd.lb.core.virtual import virtual_services
from swarmd.lb.spaces import NamespaceBalancer, Services
from swarmd.model.ids import NetworkId, NodeId, ServiceId, TaskId
from swarmd.network.core.tables import Endpoint, NetworkTable
from tests.support.hand_clock import HandClock

NET = NetworkId("net")
SPACE = Path("space")
A = "10.0.0.5"


def a_table(version: int, *, ready: bool) -> dict[NetworkId, NetworkTable]:
    endpoint = Endpoint(TaskId("a"), ServiceId("s"), NodeId("n"), (A,), ready=ready)
    return {NET: NetworkTable(NET, "net", version, endpoints={endpoint.task_id: endpoint})}


class Kernel:
    """A namespace that takes its time: bringing it in line moves the clock."""

    def __init__(self, clock: HandClock) -> None:
        self._clock = clock
        self.takes_ns = 0
        self.refuses = False
        self.forgotten: list[Due] = []

    def bring(self, wanted: Services) -> None:
        self._clock.advance(self.takes_ns)

    def forget(self, due: Due) -> None:
        if self.refuses:
            raise PermissionError("not allowed")
        self.forgotten.append(due)

    def repair(self) -> bool:
        return False


async def test_udp_clients_move_on_only_after_the_rules_without_their_task_are_in_force() -> None:
    clock = HandClock(0)
    kernel = Kernel(clock)
    balancer = NamespaceBalancer(
        "fake", services=virtual_services, space=lambda _path: kernel, clock=clock
    )
    await balancer.apply(a_table(3, ready=True), {SPACE: (NET,)})
    kernel.takes_ns = 10 * UDP_REST_NS
    await balancer.apply(a_table(5, ready=False), {SPACE: (NET,)})
    assert await balancer.move(), "there is more to come"
    assert kernel.forgotten == []
    assert balancer.moving == {NET: 4}
    clock.advance(UDP_REST_NS)
    assert not await balancer.move()
    assert [due.moved for due in kernel.forgotten] == [{A}]
    assert balancer.moving == {}


async def test_clients_that_the_kernel_does_not_forget_are_still_to_be_moved() -> None:
    clock = HandClock(0)
    kernel = Kernel(clock)
    balancer = NamespaceBalancer(
        "fake", services=virtual_services, space=lambda _path: kernel, clock=clock
    )
    await balancer.apply(a_table(3, ready=True), {SPACE: (NET,)})
    await balancer.apply(a_table(5, ready=False), {SPACE: (NET,)})
    clock.advance(UDP_REST_NS)
    kernel.refuses = True
    assert await balancer.move()
    assert balancer.moving == {NET: 4}
    kernel.refuses = False
    clock.advance(UDP_REST_NS)
    assert not await balancer.move()
    assert balancer.moving == {}
