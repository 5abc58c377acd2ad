"""The scenarios: what is done to a cluster, and what of it is measured.

A phase ends when the API says so. The nodes' own view only tells when to begin asking, so that the
waiting client is no load; counts are asked for ten times a second, lists twice.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from swarmd.rpc.pb import specs, types
from tests.bench.swarm.api import Api, a_spec
from tests.bench.swarm.board import Board, Version
from tests.bench.swarm.figures import Figures
from tests.bench.swarm.fleet import Fleet
from tests.bench.swarm.managers import Managers
from tests.bench.swarm.processes import cpu_s, rss_mb
from tests.bench.swarm.tls_channel import TlsSocketChannel

LOOK_S = 0.01
PATIENCE_S = 300.0


class Scenarios:
    """Runs scenarios on one cluster, one after the other, and keeps the figures."""

    def __init__(self, managers: Managers, fleet: Fleet, figures: Figures) -> None:
        self.figures = figures
        self._managers = managers
        self._fleet = fleet
        self._board: Board = fleet.board
        self._cpu: dict[str, float] = {}
        self._reports = 0
        self._given_up = 0

    # --- a: joins

    async def joins(self, api: Api, nodes: int) -> None:
        """The fleet has just been started; wait until the API shows all its nodes READY."""
        others = len(self._managers.pids)
        async with self._phase() as took:
            await self._until(
                lambda: self._board.opened + len(self._board.failed) >= nodes, "the nodes to join"
            )
            if self._board.failed:
                raise RuntimeError(f"a node could not join: {self._board.failed[0]}")
            while await self._ready(api) < nodes + others:
                await asyncio.sleep(LOOK_S * 20)
        self.figures.rate(f"{nodes} nodes join", nodes, took(), self._spent())

    # --- b, c: services

    async def create(self, api: Api, name: str, replicas: int, label: str) -> str:
        async with self._phase() as took:
            service_id = await api.create(a_spec(name, replicas=replicas))
            await self._running(Version(service_id, 0), replicas)
            await api.until_running(service_id, replicas)
        self.figures.rate(
            f"{label}{replicas:,} tasks until RUNNING", replicas, took(), self._spent()
        )
        return service_id

    async def scale(self, api: Api, service_id: str, before: int, after: int) -> None:
        forgotten = self._board.forgotten
        async with self._phase() as took:
            await api.change(service_id, lambda spec: _set_replicas(spec, after))
            if after > before:
                await self._running(Version(service_id, 0), after)
                await api.until_running(service_id, after)
            else:
                await self._until(
                    lambda: self._board.forgotten - forgotten >= before - after, "tasks to go"
                )
                await api.until_tasks(service_id, after)
        until = "RUNNING" if after > before else "removed"
        name = f"scale {before:,} to {after:,} tasks until {until}"
        self.figures.rate(name, abs(after - before), took(), self._spent())

    async def update(self, api: Api, service_id: str, replicas: int) -> None:
        async with self._phase() as took:
            await api.change(service_id, _renew)
            await self._running(Version(service_id, 1), replicas)
            await api.until_current(service_id, replicas)
        name = f"update {replicas:,} tasks at once until RUNNING"
        self.figures.rate(name, replicas, took(), self._spent())

    async def remove(self, api: Api, service_id: str) -> None:
        known = len(await api.tasks(service_id))
        forgotten = self._board.forgotten
        async with self._phase() as took:
            await api.remove(service_id)
            await self._until(lambda: self._board.forgotten - forgotten >= known, "tasks to go")
            await api.until_tasks(service_id, 0)
        self.figures.rate(f"remove {known:,} tasks until gone", known, took(), self._spent())

    # --- d: idle

    async def idle(self, seconds: float) -> None:
        beats = self._board.beats
        pids = dict(self._managers.pids)
        before = {name: cpu_s(pid) for name, pid in pids.items()}
        begun = time.monotonic()
        await asyncio.sleep(seconds)
        took = time.monotonic() - begun
        shares = sorted(
            ((cpu_s(pid) - before[name]) / took * 100 for name, pid in pids.items()), reverse=True
        )
        rate = (self._board.beats - beats) / took
        note = f"each: {', '.join(f'{share:.1f}' for share in shares)}; {rate:.0f} heartbeats/s"
        self.figures.cost("idle, busiest manager", shares[0], "% of a core", note)
        sizes = sorted((rss_mb(pid) for pid in pids.values()), reverse=True)
        note = f"each: {', '.join(f'{size:.0f}' for size in sizes)}"
        self.figures.cost("memory of the largest manager", sizes[0], "MiB", note)

    def mistaken(self) -> None:
        """How often a node was taken for dead, while all of them were alive."""
        times = self._managers.given_up()
        if times is not None:
            self.figures.cost("nodes taken for dead on the way", times, "")

    # --- e: the leader dies

    async def leader_killed(self, api: Api, nodes: int) -> None:
        """Kill the leader; time is counted from the signal on. `api` may lose its manager."""
        leader = await self._leader(api)
        survivors = [name for name in self._managers.pids if name != leader]
        channels = [self._managers.control(name) for name in survivors]
        kind = "tls" if isinstance(channels[0], TlsSocketChannel) else "plain"
        probe = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.bench.swarm.probe", f"after-{leader}", kind),
            *(channel.address for channel in channels),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        try:
            await self._fail_over(leader, survivors, probe, nodes)
        finally:
            if probe.returncode is None:
                probe.kill()
            await probe.wait()

    async def _fail_over(
        self, leader: str, survivors: list[str], probe: asyncio.subprocess.Process, nodes: int
    ) -> None:
        assert probe.stdin is not None
        assert probe.stdout is not None
        await probe.stdout.readline()
        begun = time.monotonic()
        self._managers.kill(leader)
        probe.stdin.write(b"\n")
        async with self._phase(), asyncio.TaskGroup() as watches:
            watches.create_task(self._sessions_after(begun, nodes))
            accepted_at, winner, service_id = (await probe.stdout.readline()).decode().split()
            self.figures.cost("leader killed: first write", float(accepted_at) - begun, "s", leader)
            survivor = Api(self._managers.control(survivors[int(winner)]))
            await survivor.until_running(service_id, nodes)
            seconds = time.monotonic() - begun
        name = "leader killed: new service on all nodes"
        self.figures.cost(name, seconds, "s", self._spent())
        await survivor.close()

    async def _sessions_after(self, begun: float, nodes: int) -> None:
        agents = self._fleet.agents
        await self._until(
            lambda: sum(agent.session_since > begun for agent in agents) >= nodes,
            "the nodes to find the new leader",
        )
        took = time.monotonic() - begun
        self.figures.cost(f"leader killed: {nodes} nodes in session", took, "s")

    async def _leader(self, api: Api) -> str:
        leaders = [
            node.manager_status.addr for node in await api.nodes() if node.manager_status.leader
        ]
        return next(n for n in self._managers.pids if self._managers.address(n) in leaders)

    # --- common

    async def _ready(self, api: Api) -> int:
        return sum(node.status.state == types.NodeStatus.READY for node in await api.nodes())

    async def _running(self, version: Version, count: int) -> None:
        await self._until(lambda: self._board.running[version] >= count, "tasks to run")

    async def _until(self, condition: Callable[[], bool], what: str) -> None:
        try:
            async with asyncio.timeout(PATIENCE_S):
                while not condition():
                    await asyncio.sleep(LOOK_S)
        except TimeoutError:
            lost = self._board.lost.most_common(3)
            raise RuntimeError(
                f"waited {PATIENCE_S:g} s for {what}; {self._board.in_session} nodes are in "
                f"session, sessions were lost because of {lost}"
            ) from None

    @asynccontextmanager
    async def _phase(self) -> AsyncIterator[Callable[[], float]]:
        """Measure a block: its duration, and the processor time of managers and nodes."""
        pids = {**self._managers.pids, "nodes": os.getpid()}
        before = {name: cpu_s(pid) for name, pid in pids.items()}
        reports, given_up = self._board.reports, self._managers.given_up()
        begun = time.monotonic()
        took = 0.0
        yield lambda: took
        took = time.monotonic() - begun
        self._cpu = {name: cpu_s(pid) - before[name] for name, pid in pids.items()}
        self._cpu["seconds"] = took
        self._reports = self._board.reports - reports
        self._given_up = (self._managers.given_up() or 0) - (given_up or 0)

    def _spent(self) -> str:
        """Where the last phase's processor time went."""
        spent = dict(self._cpu)
        took = spent.pop("seconds")
        parts = ", ".join(f"{name} {seconds:.1f}" for name, seconds in spent.items())
        dead = f"; {self._given_up} nodes taken for dead" if self._given_up else ""
        return f"{took:.2f} s; CPU s: {parts}; {self._reports:,} reports{dead}"


def _set_replicas(spec: specs.ServiceSpec, replicas: int) -> None:
    spec.replicated.replicas = replicas


def _renew(spec: specs.ServiceSpec) -> None:
    spec.task.force_update += 1
