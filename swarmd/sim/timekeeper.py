"""A client whose services run by a schedule that is followed to the end of all faults.

Operators' cron services are changed all the time and suspended in the end. These are not, so that
it can be demanded that each moment is settled, and that runs go on by themselves afterwards.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial

from msgspec.structs import replace

from swarmd.model.service import Service
from swarmd.model.spec import (
    ContainerSpec,
    Cron,
    ReplicatedJob,
    RestartPolicy,
    ServiceMode,
    ServiceSpec,
    TaskSpec,
)
from swarmd.model.states import Concurrency, MissedRuns
from swarmd.sim.client import REVISION, Client
from swarmd.sim.schedules import PUNCTUAL, SUCCESSES
from swarmd.sim.specs import BATCH
from swarmd.sim.workload import Patron


class Timekeeper(Patron):
    """Sees that there are two cron services, each of a kind of its own."""

    pause_s = (0.5, 5.0)

    def __init__(self, client: Client) -> None:
        super().__init__(client)
        self._names = [f"{client.name}-{number}" for number in range(2)]

    async def act(self) -> None:
        name = self.rng.choice(self._names)
        certain, service = await self.client.find(name)
        if certain and service is None:
            await self.client.create(self._spec(name))
        elif service is not None and self.rng.random() < 0.1:
            # Another label makes no run, and no other schedule.
            await self.client.update(service, self._revised(service))

    def last_steps(self) -> list[Callable[[], Awaitable[bool]]]:
        return [partial(self._suspend, name) for name in self._names]

    async def _suspend(self, name: str) -> bool:
        certain, service = await self.client.find(name)
        if service is None:
            return certain
        cron = service.spec.mode.cron
        assert cron is not None
        if cron.suspended:
            return True
        spec = replace(self._revised(service), mode=ServiceMode(cron=replace(cron, suspended=True)))
        return await self.client.update(service, spec) is not None

    def _revised(self, service: Service) -> ServiceSpec:
        labels = {**service.spec.labels, REVISION: self.client.revision()}
        return replace(service.spec, labels=labels)

    def _spec(self, name: str) -> ServiceSpec:
        cron = Cron(
            schedule=f"@every {self.rng.choice((3, 4))}s",
            concurrency=self.rng.choice(tuple(Concurrency)),
            missed_runs=self.rng.choice(tuple(MissedRuns)),
            job=ReplicatedJob(total_completions=1),
            successful_runs_kept=SUCCESSES + 1,
        )
        return ServiceSpec(
            name=name,
            labels={PUNCTUAL: "", REVISION: self.client.revision()},
            task_template=TaskSpec(
                container_spec=ContainerSpec(command=BATCH),
                restart_policy=RestartPolicy(delay_ns=0),
            ),
            mode=ServiceMode(cron=cron),
        )
