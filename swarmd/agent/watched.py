"""A controller whose task has a health check: it has started when it is well, else it ends.

Stands between the runner and the executor's controller. Probes are made one at a time and only
while the runner waits for the task, so nothing goes on that an order to end it would not interrupt.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import TypeVar

from swarmd.agent.core import health as rules
from swarmd.agent.core.health import Health, HealthPolicy, Phase
from swarmd.agent.core.task_machine import Surroundings
from swarmd.agent.executors.base import Controller, TaskFailure, TemporaryFailure
from swarmd.agent.executors.session import Access
from swarmd.agent.probes import probe
from swarmd.model.instant import SECOND, Instant
from swarmd.model.states import Protocol, TaskState
from swarmd.model.task import Task
from swarmd.runtime.clock import Clock

T = TypeVar("T")

QUIET_ATTEMPTS = 5  # so many failures are nothing special for a task that is just starting


class WatchedController:
    """Implements `base.Controller` over another one.

    Args:
        unready: told why the task gets no connections, and the empty string when it does again.
    """

    def __init__(
        self, inner: Controller, task: Task, *, clock: Clock, unready: Callable[[str], None]
    ) -> None:
        self._inner = inner
        self._task = task
        self._clock = clock
        self._unready = unready
        self._health: Health | None = None
        self._is_unready = bool(task.status.unready)  # as was told

    @property
    def surroundings(self) -> Surroundings:
        return self._inner.surroundings

    @property
    def note(self) -> str:
        return self._inner.note

    @property
    def doing(self) -> str:
        return self._inner.doing

    @property
    def access(self) -> Access | None:
        return self._inner.access

    async def prepare(self) -> None:
        await self._inner.prepare()

    async def start(self) -> None:
        """Return when the task is well for the first time, or has ended by itself."""
        await self._inner.start()
        await self._watch(until_well=True)

    async def wait(self) -> None:
        await self._watch(until_well=False)

    async def shutdown(self) -> None:
        await self._inner.shutdown()

    async def remove(self) -> None:
        await self._inner.remove()

    # --- inside

    async def _watch(self, *, until_well: bool) -> None:
        access = self._inner.access
        policy = None if access is None else self._policy(access)
        if access is None or policy is None:
            if not until_well:
                await self._inner.wait()
            return
        async with asyncio.TaskGroup() as tasks:
            ended = tasks.create_task(_failure_of(self._inner.wait()))
            verdict = tasks.create_task(self._probe(policy, access, until_well=until_well))
            await asyncio.wait({ended, verdict}, return_when=asyncio.FIRST_COMPLETED)
            for task in (ended, verdict):
                task.cancel()
        if not ended.cancelled():
            failure = ended.result()
            if failure is not None:
                raise failure
            return
        health = verdict.result()
        if health.phase is Phase.GIVEN_UP:
            await self._inner.shutdown()
            raise TaskFailure(f"unhealthy: {health.output or 'the health check failed'}")

    async def _probe(self, policy: HealthPolicy, access: Access, *, until_well: bool) -> Health:
        """Probe until the task is well, if that is what is waited for, or given up."""
        while True:
            health = self._known(policy)
            if health.phase is Phase.GIVEN_UP or (until_well and health.phase is Phase.WELL):
                return health
            pause_ns = health.probe_at - self._clock.now()
            if pause_ns > 0:
                await asyncio.sleep(pause_ns / SECOND)
            result = await probe(policy, access, first_port=self._first_port())
            self._health = rules.after(policy, health, result, Instant(self._clock.now()))
            self._tell(self._health)

    def _known(self, policy: HealthPolicy) -> Health:
        if self._health is None:
            now = Instant(self._clock.now())
            status = self._task.status
            self._health = rules.begun(
                policy,
                started_at=status.timestamp if status.state is TaskState.STARTING else now,
                now=now,
                was_well=status.state is TaskState.RUNNING,
            )
        return self._health

    def _tell(self, health: Health) -> None:
        """Say once that the task is not well, with the first reason, and once that it is again."""
        reason = ""
        if health.phase is Phase.UNREADY:
            reason = f"unready: {health.output}"
        elif health.phase is Phase.STARTING and health.attempts >= QUIET_ATTEMPTS:
            reason = f"not well yet: {health.output}"
        if health.phase is not Phase.GIVEN_UP and bool(reason) != self._is_unready:
            self._is_unready = bool(reason)
            self._unready(reason)

    def _policy(self, access: Access) -> HealthPolicy | None:
        spec = self._task.spec.container_spec
        return rules.policy(spec.healthcheck if spec else None, access.image_health)

    def _first_port(self) -> int:
        tcp = (port.target_port for port in self._task.ports if port.protocol is Protocol.TCP)
        return next(tcp, 0)


async def while_running(controller: Controller, work: Coroutine[None, None, T]) -> T | None:
    """The result of `work`; None if the task ended first, which is left for others to find."""
    async with asyncio.TaskGroup() as group:
        ended = group.create_task(_failure_of(controller.wait()))
        working = group.create_task(work)
        await asyncio.wait({ended, working}, return_when=asyncio.FIRST_COMPLETED)
        if ended.done() and isinstance(ended.result(), TemporaryFailure):
            await asyncio.wait({working})  # nobody can tell whether the task has ended
        for task in (ended, working):
            task.cancel()
    return None if working.cancelled() else working.result()


async def _failure_of(work: Awaitable[None]) -> TaskFailure | TemporaryFailure | None:
    try:
        await work
    except (TaskFailure, TemporaryFailure) as failure:
        return failure
    return None
