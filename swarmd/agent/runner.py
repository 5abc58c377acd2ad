"""The runner of one task: carries out the steps of its machine, one at a time, to the end.

An order to end the task interrupts whatever is going on; any other change waits for the step to
finish. The runner owns the task's status: every change goes out through `changed` before the next
step begins.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from msgspec.structs import replace

from swarmd.agent.core import task_machine
from swarmd.agent.core.serving import has_tcp_ports
from swarmd.agent.core.task_machine import DONE, Delayed, Failed, Outcome, Step
from swarmd.agent.executors.base import Controller, Executor, TaskFailure, TemporaryFailure
from swarmd.agent.executors.session import Access
from swarmd.agent.serving import Serving
from swarmd.agent.watched import WatchedController, while_running
from swarmd.model.instant import Instant
from swarmd.model.spec import PortConfig
from swarmd.model.states import TaskState
from swarmd.model.task import Task, TaskStatus
from swarmd.runtime.clock import Clock
from swarmd.runtime.timeouts import Timeout, timeout

log = logging.getLogger(__name__)

RETRY_S = 1.0
TELL_S = 1.0  # between two words on what takes long


class Runner:
    """Brings one task from where it is to where it should be, as often as that changes.

    Args:
        changed: called with the task whenever its status has changed.
        serving: knows when others can come to the task, and when they do no more; None where
            nobody is sent to tasks.
    """

    def __init__(
        self,
        task: Task,
        executor: Executor,
        *,
        clock: Clock,
        changed: Callable[[Task], None],
        serving: Serving | None = None,
    ) -> None:
        self.task = task
        self._serving = serving
        self._draining: Timeout | None = None
        self._listening = ""
        self._ipv6_ports: tuple[PortConfig, ...] = ()
        self._executor = executor
        self._clock = clock
        self._changed = changed
        self._controller: Controller | None = None
        self._removing = False
        self._ending = False
        self._news = asyncio.Event()
        self._scope: Timeout | None = None
        self._telling: asyncio.TimerHandle | None = None

    @property
    def access(self) -> Access | None:
        """The way into the task, once it has been begun to start."""
        if self._controller is None or self.task.status.state < TaskState.STARTING:
            return None
        return self._controller.access

    def update(self, task: Task) -> None:
        """Go on with `task`, a newer version of the same task with the status known here."""
        self.task = replace(task, status=self.task.status)
        self._tell()

    def remove(self) -> None:
        """End the task with its grace period and delete what it leaves; `run` then returns."""
        self._removing = True
        if self._draining is not None:
            self._draining.reschedule(asyncio.get_running_loop().time())
        self._tell()

    async def run(self) -> None:
        """Work until the task is removed; cancelling leaves the task running as it is."""
        while True:
            step = task_machine.next_step(desired=self._desired(), state=self.task.status.state)
            if step is not Step.NOTHING:
                await self._perform(step)
            elif self._removing:
                break
            else:
                self._news.clear()
                await self._news.wait()
        await self._remove()

    def _desired(self) -> TaskState:
        return TaskState.REMOVE if self._removing else self.task.desired_state

    def _tell(self) -> None:
        self._news.set()
        if self._scope is not None and not self._ending and self._desired() >= TaskState.SHUTDOWN:
            self._scope.reschedule(asyncio.get_running_loop().time())
            self._scope = None

    async def _perform(self, step: Step) -> None:
        self._ending = step is Step.SHUTDOWN
        outcome: Outcome | None = None
        scope = timeout(None)
        try:
            async with scope:
                self._scope = scope
                outcome = await self._attempt(step)
                self._scope = None
        except TimeoutError:
            if not scope.expired():
                raise
        finally:
            self._scope = None
        if outcome is None:
            return  # interrupted: the new order decides what comes next
        self._record(step, outcome)
        if isinstance(outcome, Delayed):
            await self._pause()

    async def _attempt(self, step: Step) -> Outcome:
        try:
            if self._controller is None:
                self._controller = self._make_controller()
            controller = self._controller
            match step:
                case Step.PREPARE:
                    await self._prepare(controller)
                case Step.START:
                    await controller.start()
                    await self._listen(controller)
                case Step.WAIT:
                    await controller.wait()
                case Step.SHUTDOWN:
                    await self._drain(controller)
                    await controller.shutdown()
                case _:
                    pass
        except TaskFailure as error:
            if step is Step.SHUTDOWN:
                # What can never run here does not run here.
                return DONE
            return Failed(str(error))
        except TemporaryFailure as error:
            return Delayed(str(error))
        return DONE

    async def _listen(self, controller: Controller) -> None:
        """Wait a moment for the task to listen on its TCP ports, if it has any."""
        if self._serving is None or not self.task.ports:
            return
        if has_tcp_ports(self.task):
            work = self._serving.listening(self.task, controller.surroundings)
            self._listening = await while_running(controller, work) or ""
        self._ipv6_ports = await self._serving.ipv6_ports(self.task, controller.surroundings)

    async def _drain(self, controller: Controller) -> None:
        """Wait until others need the task no more, unless it is to be removed at once."""
        if self._serving is None or self._removing or self.task.status.state != TaskState.RUNNING:
            return
        if not self._serving.is_served(self.task):
            return
        work = self._serving.drained(self.task, controller.surroundings, tell=self._tell_draining)
        self._draining = scope = timeout(None)
        try:
            async with scope:
                await while_running(controller, work)
        except TimeoutError:
            if not scope.expired():
                raise
        finally:
            self._draining = None

    def _tell_draining(self, message: str) -> None:
        now = Instant(self._clock.now())
        self._set_status(task_machine.meanwhile(self.task.status, message, now=now))

    async def _prepare(self, controller: Controller) -> None:
        """Prepare, and say meanwhile what goes on if it takes long."""
        self._tell_later(controller)
        try:
            await controller.prepare()
        finally:
            if self._telling is not None:
                self._telling.cancel()

    def _tell_later(self, controller: Controller) -> None:
        self._telling = asyncio.get_running_loop().call_later(TELL_S, self._tell_doing, controller)

    def _tell_doing(self, controller: Controller) -> None:
        self._tell_later(controller)
        if controller.doing:
            now = Instant(self._clock.now())
            self._set_status(task_machine.meanwhile(self.task.status, controller.doing, now=now))

    def _make_controller(self) -> Controller:
        controller = self._executor.controller(self.task)
        spec = self.task.spec.container_spec
        if spec is None or not (spec.healthcheck or spec.image):
            return controller
        return WatchedController(
            controller, self.task, clock=self._clock, unready=self._record_unready
        )

    def _record_unready(self, reason: str) -> None:
        """The task has begun, or ceased, to get no connections; it runs all the while."""
        self.task = replace(self.task, status=replace(self.task.status, unready=reason))
        log.info("task.readiness task.id=%s unready=%s", self.task.id, reason or "no")
        self._changed(self.task)

    def _record(self, step: Step, outcome: Outcome) -> None:
        controller = self._controller
        notes = (controller.note, self._listening) if controller is not None else ()
        status = task_machine.after(
            self.task.status,
            step,
            outcome,
            now=Instant(self._clock.now()),
            surroundings=controller.surroundings if controller else task_machine.NO_SURROUNDINGS,
            note="; ".join(filter(None, notes)) if step is Step.START and outcome is DONE else "",
        )
        if step is Step.START and outcome is DONE:
            status = replace(status, ipv6_ports=self._ipv6_ports)
        self._set_status(status)

    def _set_status(self, status: TaskStatus) -> None:
        if status == self.task.status:
            return
        self.task = replace(self.task, status=status)
        log.debug(
            "task.status task.id=%s state=%s err=%s", self.task.id, status.state.word, status.err
        )
        self._changed(self.task)

    async def _pause(self) -> None:
        """Wait before another attempt, or until there is something new to go by."""
        self._news.clear()
        try:
            async with timeout(RETRY_S):
                await self._news.wait()
        except TimeoutError:
            return  # time to try again

    async def _remove(self) -> None:
        while True:
            try:
                if self._controller is None:
                    await self._executor.destroy(self.task.id)
                else:
                    await self._controller.remove()
            except TemporaryFailure as error:
                log.warning("task.remove.delayed task.id=%s reason=%s", self.task.id, error)
                await asyncio.sleep(RETRY_S)
            else:
                return
