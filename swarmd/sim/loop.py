"""The event loop of one simulated process: asyncio's contract over the timeline's queue.

Everything the product does with asyncio works here unchanged: tasks, time-outs, connections,
blocking calls in threads. A process can be paused, slowed down and killed. What a killed one leaves
is kept until the end of the run, so that nothing depends on when memory is reclaimed.
"""

from __future__ import annotations

import asyncio
import sys
from asyncio import events
from collections.abc import Awaitable, Callable, Coroutine, Generator
from contextvars import Context
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

from swarmd.sim.disk import Cut
from swarmd.sim.timeline import Handle, Timeline

if TYPE_CHECKING:
    from swarmd.sim.network import Endpoint

T = TypeVar("T")
Factory = Callable[[], asyncio.BaseProtocol]


class SimFuture(asyncio.Future[Any]):
    """A future whose place in a set does not depend on its address in memory."""

    def __init__(self, *, loop: ProcessLoop) -> None:
        super().__init__(loop=loop)
        self._serial = loop.next_serial()

    def __hash__(self) -> int:
        return self._serial


class SimTask(asyncio.Task[Any]):
    """A task with the same property; asyncio itself keeps tasks in sets."""

    def __init__(self, coro: Any, *, loop: ProcessLoop, name: str | None, context: Any) -> None:
        self._serial = loop.next_serial()
        super().__init__(coro, loop=loop, name=name, context=context)

    def __hash__(self) -> int:
        return self._serial


class ProcessLoop(asyncio.BaseEventLoop):
    """Runs one process. `alive` until `kill`.

    Args:
        block_s: how long a blocking call that is made now will take.
        endpoint: the process's access to the network.
    """

    def __init__(
        self, timeline: Timeline, name: str, *, block_s: Callable[[], float], endpoint: Endpoint
    ) -> None:
        self.name = name
        self.alive = False
        super().__init__()
        self.alive = True
        self.lag_s: Callable[[], float] = lambda: 0.0
        self.after: Callable[[], None] = lambda: None  # called after every callback
        self.timeline = timeline
        self._block_s = block_s
        self._endpoint = endpoint
        self._serial = 0
        self._soon_at = 0.0
        self._paused: list[Handle] | None = None
        self.undisturbed_since = timeline.now  # it has neither been stopped nor begun since
        self._tasks: dict[int, SimTask] = {}
        endpoint.loop = self

    def next_serial(self) -> int:
        self._serial += 1
        return self._serial

    # --- life and death

    def perform(self, handle: Handle) -> None:
        """Run a callback as this process, now or when it is resumed."""
        if not self.alive:
            return
        if self._paused is not None:
            self._paused.append(handle)
            return
        assert isinstance(handle, asyncio.Handle)
        with self._running():
            handle._run()
        self.after()

    def enter(self, start: Callable[[], Awaitable[Any]], *, name: str) -> SimTask:
        """Begin a coroutine of this process from outside."""
        with self._running():
            return self.create_task(_await(start()), name=name)

    def run_within(self, callback: Callable[[], T]) -> T:
        """Call `callback` as this process, from outside."""
        with self._running():
            return callback()

    def pause(self) -> None:
        """Do nothing any more, as if stopped by a signal; what arrives waits."""
        if self._paused is None:
            self._paused = []

    def resume(self) -> None:
        waiting, self._paused = self._paused or [], None
        self.undisturbed_since = self.timeline.now
        for handle in waiting:
            self.timeline.schedule(self.timeline.now, self, handle)

    @property
    def paused(self) -> bool:
        return self._paused is not None

    def kill(self) -> None:
        """End the process between two callbacks. Nothing of it runs any more, clean-up included."""
        self.alive = False
        self._endpoint.cut()

    def bury(self) -> None:
        """Let go of what a dead process left, once nobody looks at the world any more.

        Until then its coroutines stay as they were: closing them would run their clean-up.
        """
        with self._running():
            for task in list(self._tasks.values()):
                # The default complains about tasks that are destroyed while pending.
                task._log_destroy_pending = False  # type: ignore[attr-defined]
                _close(task.get_coro().close)
            self._tasks.clear()

    @property
    def tasks(self) -> list[str]:
        """Names of the tasks that have not ended."""
        return [task.get_name() for task in self._tasks.values()]

    @property
    def connections(self) -> int:
        """How many connections the process has open."""
        return self._endpoint.open_connections

    def _running(self) -> _Running:
        return _Running(self)

    # --- what asyncio asks for

    def time(self) -> float:
        return self.timeline.now

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return True

    def is_closed(self) -> bool:
        return not self.alive

    def call_soon(  # type: ignore[override]
        self, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.Handle:
        handle = asyncio.Handle(callback, args, self, context)
        if self.alive:
            # Slow or not, callbacks run in the order in which they were asked for.
            self._soon_at = max(self._soon_at, self.timeline.now + self.lag_s())
            self.timeline.schedule(self._soon_at, self, handle)
        return handle

    call_soon_threadsafe = call_soon  # type: ignore[assignment]

    def call_later(  # type: ignore[override]
        self,
        delay: float,
        callback: Callable[..., object],
        *args: Any,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        return self.call_at(self.time() + delay, callback, *args, context=context)

    def call_at(  # type: ignore[override]
        self,
        when: float,
        callback: Callable[..., object],
        *args: Any,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        handle = asyncio.TimerHandle(when, callback, args, self, context)
        if self.alive:
            self.timeline.schedule(when + self.lag_s(), self, handle)
        return handle

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """The timeline skips cancelled handles."""

    def create_future(self) -> SimFuture:
        return SimFuture(loop=self)

    def create_task(  # type: ignore[override]
        self,
        coro: Generator[Any, None, T] | Coroutine[Any, Any, T],
        *,
        name: str | None = None,
        context: Context | None = None,
    ) -> SimTask:
        task = SimTask(coro, loop=self, name=name, context=context)
        serial = hash(task)
        if name is None:
            task.set_name(f"task-{serial}")
        self._tasks[serial] = task
        task.add_done_callback(self._task_done)
        return task

    def _task_done(self, task: asyncio.Future[Any]) -> None:
        self._tasks.pop(hash(task), None)

    def run_in_executor(  # type: ignore[override]
        self, executor: Any, func: Callable[..., T], *args: Any
    ) -> SimFuture:
        """A blocking call: it takes its time, then all of it happens at once."""
        future = self.create_future()

        def finish() -> None:
            try:
                result = func(*args)
            except Exception as error:
                if not future.done():
                    future.set_exception(error)
                return
            if not future.done():
                future.set_result(result)

        self.call_later(self._block_s(), finish)
        return future

    async def create_connection(  # type: ignore[override]
        self, protocol_factory: Factory, host: str, port: int, **options: Any
    ) -> tuple[asyncio.Transport, asyncio.BaseProtocol]:
        return await self._endpoint.connect(protocol_factory, host, port, options.get("ssl"))

    async def create_server(  # type: ignore[override]
        self, protocol_factory: Factory, host: str, port: int, **options: Any
    ) -> Any:
        return self._endpoint.listen(protocol_factory, host, port)

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        if self.alive:
            error = context.get("exception")
            reason = f"{context.get('message')}: {error!r}"
            self.timeline.accuse(f"{self.name}: {reason}")
            if error is not None:
                self.timeline.violations[-1].__cause__ = error

    default_exception_handler = call_exception_handler


class _Running:
    """The block in which one process is the running one, for asyncio and for its generators."""

    def __init__(self, loop: ProcessLoop) -> None:
        self._loop = loop

    def __enter__(self) -> None:
        self._before = events._get_running_loop()
        self._hooks = sys.get_asyncgen_hooks()
        events._set_running_loop(self._loop)
        sys.set_asyncgen_hooks(finalizer=self._dropped)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        events._set_running_loop(self._before)
        sys.set_asyncgen_hooks(*self._hooks)

    def _dropped(self, generator: Any) -> None:
        loop = self._loop
        if loop.alive:
            loop.create_task(generator.aclose(), name="generator.close")


async def _await(what: Awaitable[T]) -> T:
    return await what


def _close(close: Callable[[], object]) -> None:
    """Close a coroutine or generator of a dead process, whatever its clean-up makes of it."""
    try:
        close()
    except (Exception, BaseExceptionGroup, asyncio.CancelledError, GeneratorExit, Cut):
        return
