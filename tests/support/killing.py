"""Counting under fire: clients that write while managers are killed at random.

Every client counts up a number in a service of its own, one compare and swap after the other,
through any manager that answers. Meanwhile a manager picked at random is killed with SIGKILL and
started again, over and over, now and then before the last one is back, so that the swarm also loses
its quorum and finds it again. A number lower than one that was acknowledged is a lost write; one
that is higher than what was asked is a write from nowhere.
"""

from __future__ import annotations

import asyncio
import random
import signal
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from demo.machines import Machine
from demo.swarm import Swarm, wait_until
from swarmd.model.errors import Code
from swarmd.rpc.channel import Channel
from swarmd.rpc.errors import RpcError
from swarmd.rpc.pb import control, objects
from tests.support.managers import settled, write

CLIENTS = 16
LABEL = "count"
TIMEOUT_S = 3
PAUSE_S = 0.05
NO_ANSWER = (Code.UNAVAILABLE, Code.DEADLINE_EXCEEDED, Code.FAILED_PRECONDITION)
RESTART_AFTER_S = (0.0, 0.5)
NEXT_KILL_AFTER_S = (0.0, 1.5)


class LostWrite(Exception):
    """The swarm forgot something it had acknowledged, or made something up."""


@dataclass
class Counter:
    """One client: what it asked for last, and what was acknowledged last."""

    name: str
    acknowledged: int = 0
    asked: int = 0
    refused: int = 0
    channels: dict[str, Channel] = field(default_factory=dict)

    async def count(self, nodes: list[Machine], chance: random.Random, done: asyncio.Event) -> None:
        """Count up until `done`; every step starts from a read, which checks the last one."""
        while not done.is_set():
            machine = chance.choice(nodes)
            try:
                await self._step(machine)
            except RpcError as error:
                self.refused += 1
                if error.code not in NO_ANSWER and "out of sequence" not in error.message:
                    raise
                await self._forget(machine)
                await asyncio.sleep(PAUSE_S)
        for channel in self.channels.values():
            await channel.close()

    async def _step(self, machine: Machine) -> None:
        stub = self._channel(machine).stub("docker.swarmkit.v1.Control")
        service = await self.read(stub)
        seen = int(service.spec.annotations.labels[LABEL] or 0)
        self.check(seen, machine)
        self.asked = seen + 1
        service.spec.annotations.labels[LABEL] = str(self.asked)
        await stub.UpdateService(
            control.UpdateServiceRequest(
                service_id=service.id, service_version=service.meta.version, spec=service.spec
            ),
            timeout_s=TIMEOUT_S,
        )
        self.acknowledged = self.asked

    def check(self, seen: int, machine: Machine) -> None:
        if not self.acknowledged <= seen <= self.asked:
            raise LostWrite(
                f"{self.name} is {seen} at {machine.name}; "
                f"{self.acknowledged} was acknowledged and {self.asked} asked for"
            )

    async def read(self, stub: Any) -> objects.Service:
        request = control.ListServicesRequest()
        request.filters.names.append(self.name)
        answer = await stub.ListServices(request, timeout_s=TIMEOUT_S)
        if not answer.services:
            raise LostWrite(f"service {self.name} is gone")
        return answer.services[0]

    def _channel(self, machine: Machine) -> Channel:
        if machine.name not in self.channels:
            self.channels[machine.name] = Channel(f"unix:{machine.socket}")
        return self.channels[machine.name]

    async def _forget(self, machine: Machine) -> None:
        channel = self.channels.pop(machine.name, None)
        if channel is not None:
            await channel.close()


async def kill_at_random(
    swarm: Swarm, kills: int, chance: random.Random, progress: Callable[[int], None]
) -> None:
    nodes = swarm.machines.nodes()
    restarts: dict[str, asyncio.Task[None]] = {}
    async with asyncio.TaskGroup() as tasks:
        for number in range(1, kills + 1):
            machine = chance.choice(nodes)
            if machine.name in restarts:
                await restarts.pop(machine.name)
            process = swarm.daemons[machine.name]
            process.send_signal(signal.SIGKILL)
            process.wait()
            machine.socket.unlink(missing_ok=True)
            restarts[machine.name] = tasks.create_task(
                _restart(swarm, machine, chance.uniform(*RESTART_AFTER_S))
            )
            progress(number)
            await asyncio.sleep(chance.uniform(*NEXT_KILL_AFTER_S))


async def _restart(swarm: Swarm, machine: Machine, after_s: float) -> None:
    await asyncio.sleep(after_s)
    await asyncio.to_thread(swarm.start_daemon, machine)


async def count_under_fire(
    swarm: Swarm,
    kills: int,
    chance: random.Random,
    progress: Callable[[int], None] = lambda _: None,
) -> list[Counter]:
    """Kill managers that often, then look at every number on every manager.

    Raises:
        LostWrite: inside an exception group when it was noticed on the way.
    """
    nodes = swarm.machines.nodes()
    counters = [Counter(f"counter-{number}") for number in range(CLIENTS)]
    for counter in counters:
        while not await write(nodes[0], counter.name):
            await asyncio.sleep(PAUSE_S)
    done = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        for counter in counters:
            tasks.create_task(counter.count(nodes, random.Random(chance.random()), done))
        await kill_at_random(swarm, kills, chance, progress)
        await asyncio.to_thread(wait_until, lambda: settled(swarm), what="all managers to be back")
        done.set()
    await _verify(counters, nodes)
    return counters


async def _verify(counters: list[Counter], nodes: list[Machine]) -> None:
    """Every manager tells every number, now that all is quiet."""
    for counter in counters:
        for machine in nodes:
            channel = Channel(f"unix:{machine.socket}")
            try:
                service = await counter.read(channel.stub("docker.swarmkit.v1.Control"))
            finally:
                await channel.close()
            counter.check(int(service.spec.annotations.labels[LABEL] or 0), machine)
