"""Waiting for a service: what is shown while it comes up, crashes and settles."""

from __future__ import annotations

from collections.abc import Iterator

from swarmd.cli.convergence import Phase, Progress
from swarmd.cli.progress import STABLE_NS, Awaited, Waiter
from swarmd.model.ids import ServiceId, TaskId
from swarmd.model.instant import MILLISECOND
from swarmd.model.service import Service
from swarmd.model.states import TaskState
from swarmd.model.task import Task, TaskStatus
from tests.support.hand_clock import HandClock
from tests.support.specs import a_spec

STEP_NS = 400 * MILLISECOND
UP, DOWN = TaskState.RUNNING, TaskState.FAILED
SERVICE = Service(id=ServiceId("s"), spec=a_spec(replicas=1))


class Looks:
    """A client that sees the next state of the one task at every look, 0.4 s after the last."""

    def __init__(self, clock: HandClock, states: list[TaskState]) -> None:
        self._clock = clock
        self._states: Iterator[TaskState] = iter(states)

    async def service(self, service_id: str) -> Service:
        self._clock.advance(STEP_NS)
        return SERVICE

    async def tasks(self, **_: object) -> list[Task]:
        status = TaskStatus(state=next(self._states), err="out of luck")
        wanted = TaskState.RUNNING
        spec = SERVICE.spec.task_template
        task = Task(id=TaskId("t"), slot=1, spec=spec, status=status, desired_state=wanted)
        return [task]


class Shown:
    def __init__(self) -> None:
        self.states: list[tuple[Progress, int]] = []

    def show(self, name: str, state: Progress, elapsed_ns: int) -> None:
        self.states.append((state, elapsed_ns))

    def finish(self) -> None:
        """Nothing to close."""


async def shown_while(*states: TaskState) -> list[tuple[Progress, int]]:
    clock, shown = HandClock(0), Shown()
    waiter = Waiter(Looks(clock, list(states)), shown, clock)  # type: ignore[arg-type]
    await waiter.wait([Awaited(SERVICE)])
    return shown.states


async def test_a_service_that_runs_is_looked_at_a_little_longer_and_told_when_it_first_ran() -> (
    None
):
    states = await shown_while(*[UP] * 10)
    assert [state.phase for state, _ in states[:-1]] == [Phase.WAITING] * (len(states) - 1)
    assert {state.note for state, _ in states[:-1]} == {"verifying"}
    last, elapsed_ns = states[-1]
    assert last.phase is Phase.DONE
    assert elapsed_ns == STEP_NS
    assert (len(states) - 1) * STEP_NS >= STABLE_NS


async def test_tasks_that_crash_at_once_are_not_taken_for_running_ones() -> None:
    states = await shown_while(UP, DOWN, UP, UP, UP, UP)
    assert states[1][0].problems == ("out of luck",)
    last, elapsed_ns = states[-1]
    assert last.phase is Phase.DONE
    assert elapsed_ns == 3 * STEP_NS
