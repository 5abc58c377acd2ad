"""What runs on a simulated machine, and the executor through which the agent runs it.

Containers belong to the machine, not to the daemon: they go on while it is dead and are found
again by the next one. What a task does is said by its command:

    steady            runs until it is stopped
    batch SECONDS     ends well after about so long
    flaky SECONDS     fails after about so long
    ill SECONDS       runs on, but is not well any more after about so long
    broken            can never be started
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from random import Random

from swarmd.agent.core.task_files import TaskFile
from swarmd.agent.core.task_machine import Surroundings
from swarmd.agent.executors.base import TaskFailure, TemporaryFailure
from swarmd.agent.executors.session import Access
from swarmd.agent.files import NodeFiles
from swarmd.agent.leases import Leases
from swarmd.model.ids import TaskId
from swarmd.model.task import ContainerStatus, Task
from swarmd.model.template import TemplateContext
from swarmd.sim.access import SimAccess
from swarmd.sim.timeline import Timeline


class Container:
    """One container. `code` is None while it runs."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self.code: int | None = None
        self.well = True
        self.contact = 0
        self.waiters: list[asyncio.Future[None]] = []


class Containers:
    """All containers of one machine.

    `changed` hears of every container that has started or ended, `fell_ill` of one that is not
    well any more, `furnished` of the files of a task that starts, None if it was refused them.
    `failing` is the share of steps that go wrong, half of them for good.
    """

    def __init__(self, timeline: Timeline, machine: str, *, changed: Callable[[], None]) -> None:
        self.fell_ill: Callable[[Container], None] = lambda _: None
        self.furnished: Callable[[Task, tuple[TaskFile, ...] | None], None] = lambda _t, _f: None
        self.failing = 0.0
        self.slow_s = 0.0
        self.rng: Random = timeline.rng(f"containers:{machine}")
        self._timeline = timeline
        self._machine = machine
        self._changed = changed
        self._contact = 0  # the node's last word from a manager that it has told
        self._all: dict[TaskId, Container] = {}

    def find(self, task_id: TaskId) -> Container | None:
        return self._all.get(task_id)

    def all(self) -> tuple[Container, ...]:
        return tuple(self._all.values())

    def running(self) -> tuple[Container, ...]:
        return tuple(c for c in self._all.values() if c.code is None)

    def renew(self, contact: int) -> None:
        """The node has had an answer from a manager to what it sent at `contact`."""
        self._contact = max(self._contact, contact)

    def start(self, task: Task, contact: int = 0) -> Container:
        """Start the task's container; one that exists counts as a success.

        Args:
            contact: when its lease began, if it has one. Whatever becomes of the daemon, the
                container is ended when the lease has run out.
        """
        existing = self._all.get(task.id)
        if existing is not None:
            return existing
        container = self._all[task.id] = Container(task)
        self._timeline.tell(self._machine, f"container of {task.service_name}.{task.slot} started")
        behaviour, _, seconds = " ".join(command_of(task)).partition(" ")
        if behaviour in ("batch", "flaky"):
            lasts = float(seconds) * self.rng.uniform(0.5, 1.5)
            code = 0 if behaviour == "batch" else 1
            at = self._timeline.now + lasts
            self._timeline.call_at(at, lambda: self.end(container, code))
        elif behaviour == "ill":
            at = self._timeline.now + float(seconds) * self.rng.uniform(0.5, 1.5)
            self._timeline.call_at(at, lambda: self._fall_ill(container))
        if task.lease_ns:
            container.contact = contact
            self._watch_lease(container)
        self._changed()
        return container

    def _watch_lease(self, container: Container) -> None:
        if container.code is not None:
            return
        runs_out_ns = max(container.contact, self._contact) + container.task.lease_ns
        if runs_out_ns <= self._timeline.now * 1e9:
            self.end(container, 137)
        else:
            self._timeline.call_at(runs_out_ns / 1e9, lambda: self._watch_lease(container))

    def _fall_ill(self, container: Container) -> None:
        if container.code is None:
            container.well = False
            self.fell_ill(container)

    def end(self, container: Container, code: int) -> None:
        if container.code is not None:
            return
        container.code = code
        self._timeline.tell(
            self._machine,
            f"container of {container.task.service_name}.{container.task.slot} ended with {code}",
        )
        for waiter in container.waiters:
            waiter.get_loop().call_soon(_set, waiter)
        container.waiters.clear()
        self._changed()

    def remove(self, task_id: TaskId) -> None:
        container = self._all.pop(task_id, None)
        if container is not None:
            self.end(container, 137)

    def lose_power(self) -> None:
        """All are gone; nobody is told."""
        for container in self._all.values():
            container.code = 137
            container.waiters.clear()
        self._all.clear()
        self._changed()


class SimExecutor:
    """Implements `agent.executors.base.Executor` over the machine's containers."""

    def __init__(self, containers: Containers, leases: Leases, files: NodeFiles) -> None:
        self.containers = containers
        self.leases = leases
        self.files = files
        leases.on_answer = containers.renew

    def describe(self) -> str:
        return "simulated"

    def controller(self, task: Task) -> SimController:
        self.leases.hold(task.id, task.lease_ns)
        return SimController(task, self)

    def log_directory(self, task_id: TaskId) -> Path:
        return Path("/nonexistent") / task_id

    async def start(self) -> frozenset[TaskId]:
        return frozenset(c.task.id for c in self.containers.all())

    async def destroy(self, task_id: TaskId) -> None:
        self.leases.drop(task_id)
        self.containers.remove(task_id)

    async def close(self) -> None:
        """There is nothing to let go of."""


class SimController:
    """Implements `agent.executors.base.Controller`."""

    def __init__(self, task: Task, executor: SimExecutor) -> None:
        self._task = task
        self._containers = containers = executor.containers
        self._leases = executor.leases
        self._files = executor.files
        self.note = ""
        self.doing = ""
        self.access: Access | None = SimAccess(
            self._is_well, lambda: containers.rng.uniform(0.0, 0.1)
        )

    @property
    def surroundings(self) -> Surroundings:
        if self._containers.find(self._task.id) is None:
            return Surroundings()
        return Surroundings(container=ContainerStatus(container_id=self._task.id))

    async def prepare(self) -> None:
        await self._take("prepared")

    async def start(self) -> None:
        await self._take("started")
        if command_of(self._task)[:1] == ("broken",):
            raise TaskFailure("its command cannot be run")
        self._fetch_files()
        if self._task.lease_ns and not self._leases.is_valid(self._task.lease_ns):
            raise TemporaryFailure("waits for word from a manager")
        self._containers.start(self._task, self._leases.contact)

    async def wait(self) -> None:
        container = self._containers.find(self._task.id)
        if container is None:
            raise TaskFailure("ended unseen, for the machine lost its power")
        while container.code is None:
            waiter = asyncio.get_running_loop().create_future()
            container.waiters.append(waiter)
            await waiter
        if container.code != 0:
            raise TaskFailure(f"ended with {container.code}")

    async def shutdown(self) -> None:
        await asyncio.sleep(self._containers.rng.uniform(0.01, 0.2))
        self._leases.drop(self._task.id)
        container = self._containers.find(self._task.id)
        if container is not None:
            self._containers.end(container, 143)

    async def remove(self) -> None:
        await asyncio.sleep(self._containers.rng.uniform(0.001, 0.02))
        self._leases.drop(self._task.id)
        self._containers.remove(self._task.id)

    def _fetch_files(self) -> None:
        spec = self._task.spec.container_spec
        if spec is None or self._containers.find(self._task.id) is not None:
            return
        try:
            files = self._files.files_of(spec, TemplateContext())
        except TaskFailure:
            self._containers.furnished(self._task, None)
            raise
        self._containers.furnished(self._task, files)

    def _is_well(self) -> bool | None:
        container = self._containers.find(self._task.id)
        return container.well if container is not None and container.code is None else None

    async def _take(self, what: str) -> None:
        containers = self._containers
        await asyncio.sleep(containers.rng.uniform(0.005, 0.1) + containers.slow_s)
        if containers.failing and containers.rng.random() < containers.failing:
            if containers.rng.random() < 0.5:
                raise TaskFailure(f"could not be {what}: simulated failure")
            raise TemporaryFailure(f"could not be {what} now: simulated failure")


def command_of(task: Task) -> tuple[str, ...]:
    spec = task.spec.container_spec
    return tuple(spec.command) if spec is not None else ()


def _set(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)
