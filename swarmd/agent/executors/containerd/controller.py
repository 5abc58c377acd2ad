"""One task as a container: made, brought up, watched to its end, taken down.

    made ──task created──► connected to the network ──started──► running ──exit──► over
      └── every step is found out again from containerd after a restart of the daemon

Bringing up is not interrupted halfway: an order to end the task waits for it and then ends what it
brought up. The exit is written to the container as a label before its task, and with it the shim,
is deleted.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
from typing import TYPE_CHECKING

from swarmd.agent.core import launch as launching
from swarmd.agent.core.task_machine import Surroundings
from swarmd.agent.executors.attached import LOST, AttachedProcess, Ending, attach
from swarmd.agent.executors.base import TaskFailure, TemporaryFailure
from swarmd.agent.executors.containerd import words
from swarmd.agent.executors.containerd.client import is_missing
from swarmd.agent.executors.containerd.engine import EngineDown
from swarmd.agent.executors.containerd.files import STDIN
from swarmd.agent.executors.containerd.making import Found
from swarmd.agent.executors.containerd.words import Exit
from swarmd.agent.executors.process_words import lease_ran_out
from swarmd.agent.executors.session import Access, Command, NoSession, Session
from swarmd.agent.images.problems import BadImage, NoSuchImage, Unreachable
from swarmd.model import defaults
from swarmd.model.spec import ContainerSpec, HealthConfig
from swarmd.model.task import ContainerStatus, Task
from swarmd.rpc.errors import RpcError
from swarmd.runtime.timeouts import timeout

if TYPE_CHECKING:
    from swarmd.agent.executors.containerd.executor import ContainerdExecutor

log = logging.getLogger(__name__)

RETRY_S = 0.2


class ContainerController:
    """One container task."""

    def __init__(
        self,
        executor: ContainerdExecutor,
        task: Task,
        spec: ContainerSpec,
        *,
        stop_signal: int | None,
        log_policy: launching.LogPolicy,
    ) -> None:
        self.task = task
        self.spec = spec
        self.log_policy = log_policy
        self.started = False
        self._executor = executor
        self._stop_signal = stop_signal  # None: the image's, or SIGTERM
        self._found: Found | None = None
        self._pid = 0
        self._exit: Exit | None = None
        self._over = asyncio.Event()
        self._ending = Ending()
        self._bringing: asyncio.Task[None] | None = None
        self._failure: Exception | None = None  # of bringing up

    @property
    def surroundings(self) -> Surroundings:
        found = self._found
        if found is None or not self.started:
            return Surroundings()
        code = self._exit.code if self._exit else 0
        container = ContainerStatus(container_id=self.task.id, pid=self._pid, exit_code=code)
        return Surroundings(container, found.ports)

    @property
    def note(self) -> str:
        return self._executor.note(self.task, self.spec)

    @property
    def doing(self) -> str:
        return self._executor.pulling(self.spec.image)

    # --- the way in

    @property
    def access(self) -> Access:
        return self

    @property
    def image_health(self) -> HealthConfig | None:
        return self._found.health if self._found else None

    @property
    def pid(self) -> int:
        return self._pid if self.is_running else 0

    async def attach(self, *, stdin: bool) -> Session:
        """The container's own streams from now on."""
        if stdin and not self.spec.open_stdin:
            raise NoSession("it has no open input; attach without, or make it with --interactive")
        process = AttachedProcess(self._ending.told(), send=self._kill_once, resize=self._resize)
        pipe = self._executor.files(self.task.id).pipe(STDIN) if stdin else ""
        return await attach(
            self._executor.keeper, self.task.id, process, stdin=pipe, tty=self.spec.tty
        )

    async def run(self, command: Command) -> Session:
        """Run a command beside the container's first process, with its rights."""
        if not self.is_running:
            raise NoSession("the task does not run")
        return await self._executor.sessions.run(self.task.id, command, self.spec.groups)

    def address_of(self, port: int) -> tuple[str, int]:
        if self._found is None:
            raise AssertionError("a container that runs was made, and has an address")
        if self._found.shares_network:
            # The ports of the node that are the task's own, where its programs look for them.
            own = {one.target_port: one.published_port for one in self._found.ports}
            port = own.get(port, port)
        return str(self._found.address), port

    # --- steps of the runner

    async def prepare(self) -> None:
        try:
            self._found = await self._executor.make(self)
        except (BadImage, NoSuchImage, launching.Unfit) as error:
            raise TaskFailure(str(error)) from None
        except (Unreachable, EngineDown) as error:
            raise TemporaryFailure(str(error)) from None
        except RpcError as error:
            raise words.failure(error, doing="the container cannot be made") from None

    async def start(self) -> None:
        if self.started:
            return
        if self._found is None:
            await self.prepare()
        if self._bringing is None or self._bringing.done():
            self._bringing = self._executor.spawn(self._bring_up(), name=f"up.{self.task.id}")
        await asyncio.shield(self._bringing)
        match self._failure:
            case EngineDown() as error:
                raise TemporaryFailure(str(error))
            case RpcError() as error:
                raise words.failure(error, doing="the container cannot be started")
            case TaskFailure() | TemporaryFailure() as error:
                raise error
            case OSError() as error:
                raise TaskFailure(
                    f"the container cannot be started on node {self._executor.node.hostname}: "
                    f"{error}"
                )

    async def wait(self) -> None:
        await self._over.wait()
        if self._exit is not None and self._exit.lapsed:
            raise TaskFailure(lease_ran_out(self.task.lease_ns))
        reason = words.end_reason(self._exit, defaults.limits(self.task.spec))
        if reason:
            raise TaskFailure(reason)

    async def shutdown(self) -> None:
        if self._bringing is not None and not self._bringing.done():
            await asyncio.wait([self._bringing])
        if not self.started:
            await self._executor.belongings.ended(self.task.id)
            return
        first = self._stop_signal or (self._found.stop_signal if self._found else 0)
        await self._kill(first or signal.SIGTERM)
        try:
            async with timeout(defaults.stop_grace_period_ns(self.task.spec) / 1e9):
                await self._over.wait()
        except TimeoutError:
            while not self._over.is_set():
                await self._kill(signal.SIGKILL, everything=True)
                try:
                    async with timeout(1.0):
                        await self._over.wait()
                except TimeoutError:
                    log.warning("container.unkillable task.id=%s: trying again", self.task.id)

    async def remove(self) -> None:
        await self._executor.destroy(self.task.id)

    # --- for the executor

    def adopt(self, found: Found) -> None:
        """Take over what an earlier run of the daemon has made."""
        self._found = found
        if found.exit is not None:
            self.started = True
            self._exit = found.exit
            self._end()
        elif found.pid:
            self._up(found.pid)

    def lost(self) -> None:
        """The container has ended and nobody saw how."""
        self.started = True
        self._end()

    @property
    def is_running(self) -> bool:
        return self.started and not self._over.is_set()

    # --- inside

    async def _bring_up(self) -> None:
        """Bring the container up; what went wrong is left in `_failure` for whoever asked."""
        try:
            self._failure = None
            async with self._executor.bringing_up:
                await self._create_and_start()
        except (EngineDown, RpcError, OSError, TaskFailure, TemporaryFailure) as error:
            self._failure = error
            await self._executor.belongings.ended(self.task.id)

    async def _create_and_start(self) -> None:
        found = self._found
        if found is None:
            raise AssertionError("only what was made is brought up")
        executor, task_id = self._executor, self.task.id
        executor.leases.check(self.task)
        await executor.deliver(self, found)
        await executor.collect(self)
        home = await executor.connect(self)
        pid = await executor.tasks.create(
            task_id, tty=self.spec.tty, open_stdin=self.spec.open_stdin
        )
        try:
            await executor.forward(task_id, found, home)
            await executor.guard(self)
            await executor.tasks.start(task_id)
        except BaseException:
            await executor.forwarder.remove(task_id)
            await executor.tasks.end_at_once(task_id)
            await executor.leases.give_up(self.task)
            raise
        self._up(pid)

    def _up(self, pid: int) -> None:
        self.started, self._pid = True, pid
        self._executor.spawn(self._watch(), name=f"watch.{self.task.id}")

    async def _watch(self) -> None:
        """See the container to its end, whatever becomes of containerd meanwhile."""
        while True:
            try:
                code = await self._executor.tasks.wait(self.task.id)
                self._exit = await self._executor.finish(self.task, self.spec, code)
                break
            except RpcError as error:
                if is_missing(error):
                    # Its shim is gone, and containerd has cleaned up behind it.
                    await self._executor.released(self.task.id)
                    break
                log.warning("container.watch.broken task.id=%s reason=%s", self.task.id, error)
            except EngineDown as error:
                log.error("container.watch.broken task.id=%s reason=%s", self.task.id, error)
            await asyncio.sleep(RETRY_S)
        self._end()

    async def _kill_once(self, number: int) -> None:
        with contextlib.suppress(RpcError, EngineDown):  # it may be gone, or its containerd
            await self._executor.tasks.kill(self.task.id, number)

    async def _resize(self, rows: int, columns: int) -> None:
        if self.spec.tty:
            with contextlib.suppress(RpcError, EngineDown):
                await self._executor.tasks.resize(self.task.id, rows, columns)

    def _end(self) -> None:
        self._over.set()
        self._ending.tell(self._exit.code if self._exit else LOST)

    async def _kill(self, number: int, *, everything: bool = False) -> None:
        while not self._over.is_set():
            try:
                await self._executor.tasks.kill(self.task.id, number, everything=everything)
                return
            except (RpcError, EngineDown) as error:
                log.warning("container.kill.delayed task.id=%s reason=%s", self.task.id, error)
            await asyncio.sleep(RETRY_S)
