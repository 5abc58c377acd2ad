"""The tasks of one simulated node: what a real agent would report, without running anything. Pure.

    ASSIGNED -> ACCEPTED -> PREPARING -> READY -> STARTING -> RUNNING -> SHUTDOWN

Every step takes as long as the caller lets pass between two calls of `advance`; each one is a
status worth reporting. A task that is wanted READY waits there until it is wanted RUNNING.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from swarmd.rpc.pb import types

READY = types.READY
RUNNING = types.RUNNING
COMPLETE = types.COMPLETE
SHUTDOWN = types.SHUTDOWN

MESSAGES: dict[int, str] = {
    types.ACCEPTED: "accepted",
    types.PREPARING: "preparing",
    READY: "prepared",
    types.STARTING: "starting",
    RUNNING: "started",
    SHUTDOWN: "shutdown",
}
_NEXT: dict[int, int] = {
    types.ACCEPTED: types.PREPARING,
    types.PREPARING: READY,
    READY: types.STARTING,
    types.STARTING: RUNNING,
}


class FakeTask:
    """One task: where it is and where it is wanted."""

    __slots__ = ("desired", "generation", "service_id", "state")

    def __init__(self, message: Any) -> None:
        self.service_id: str = message.service_id
        self.generation: int = message.spec.force_update
        self.desired: int = message.desired_state
        # A node that lost its memory goes on from what the manager knows.
        self.state: int = message.status.state

    def step(self) -> bool:
        """Go one state further; whether there was anywhere to go."""
        if self.desired >= SHUTDOWN:
            if self.state >= COMPLETE:
                return False
            self.state = SHUTDOWN
            return True
        if self.state >= RUNNING or (self.state >= READY and self.desired <= READY):
            return False
        self.state = _NEXT.get(self.state, types.ACCEPTED)
        return True


class FakeTasks:
    """All tasks of a node by id; `moving` are those that have somewhere to go."""

    def __init__(self) -> None:
        self.tasks: dict[str, FakeTask] = {}
        self.moving: dict[str, FakeTask] = {}

    def assign(self, *, complete: bool, updates: Mapping[str, Any], removed: list[str]) -> int:
        """Take in one message of assignments; how many tasks were forgotten by it."""
        gone = [i for i in self.tasks if i not in updates] if complete else removed
        forgotten = 0
        for task_id in gone:
            forgotten += self.tasks.pop(task_id, None) is not None
            self.moving.pop(task_id, None)
        for task_id, message in updates.items():
            task = self.tasks.get(task_id)
            if task is None:
                task = self.tasks[task_id] = FakeTask(message)
            else:
                task.desired = max(task.desired, message.desired_state)
            self.moving[task_id] = task
        return forgotten

    def advance(self) -> dict[str, FakeTask]:
        """One step of every task that is moving; those that have a new status."""
        stepped = {task_id: task for task_id, task in self.moving.items() if task.step()}
        self.moving = stepped
        return stepped
