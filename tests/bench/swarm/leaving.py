"""A real worker of swarmd among the simulated ones: its size, and how quickly it can leave."""

from __future__ import annotations

import asyncio
import time

from swarmd.rpc.pb import types
from tests.bench.swarm.api import Api, a_spec
from tests.bench.swarm.figures import Figures
from tests.bench.swarm.processes import rss_mb
from tests.bench.swarm.swarmd_managers import SwarmdManagers

LABEL = "bench-leaving"
STAND_INS = 2
TASKS_PER_NODE = 3
LOOK_S = 0.02
PATIENCE_S = 30.0


class Leaving:
    """The worker runs a share of a service; when it leaves, simulated nodes take over."""

    def __init__(self, managers: SwarmdManagers, api: Api, figures: Figures) -> None:
        self._managers = managers
        self._api = api
        self._figures = figures

    async def run(self, name: str, token: str) -> None:
        await self._managers.join(name, token)
        worker = await self._managers.node_id(name)
        stand_ins = [
            node.id for node in await self._api.nodes() if "sim-" in node.description.hostname
        ]
        for node_id in [worker, *stand_ins[:STAND_INS]]:
            await self._api.label(node_id, LABEL, "yes")
        count = TASKS_PER_NODE * (STAND_INS + 1)
        spec = a_spec("leaving", replicas=count)
        spec.task.container.image = ""  # the worker is real, and there is no registry
        spec.task.container.executor = "process"
        spec.task.placement.constraints.append(f"node.labels.{LABEL} == yes")
        service_id = await self._api.create(spec)
        await self._until_running(service_id, count, without="")
        tasks = await self._api.tasks(service_id, current=True)
        own = sum(task.node_id == worker for task in tasks)
        size = rss_mb(self._managers.pids[name])
        self._figures.cost("memory of a worker daemon", size, "MiB", f"{own} tasks")
        begun = time.monotonic()
        leaving = asyncio.ensure_future(self._managers.leave(name))
        await self._until_running(service_id, count, without=worker)
        took = time.monotonic() - begun
        self._figures.cost("worker leaves: its tasks run elsewhere", took, "s", f"{own} tasks")
        await leaving
        took = time.monotonic() - begun
        self._figures.cost("worker leaves: it is told so", took, "s")
        self._managers.pids.pop(name)
        await self._api.remove(service_id)

    async def _until_running(self, service_id: str, count: int, *, without: str) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while True:
                tasks = await self._api.tasks(service_id, current=True)
                running = [task for task in tasks if task.status.state == types.RUNNING]
                if sum(task.node_id != without for task in running) >= count:
                    return
                await asyncio.sleep(LOOK_S)
