"""What an executor is to the agent: it makes controllers, one per task, and knows what it runs.

Controllers are told what to do step by step and may be told the same again after a restart: every
call is idempotent, and cancelling one leaves nothing that the next call could not pick up.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from swarmd.agent.core.task_machine import Surroundings
from swarmd.agent.executors.session import Access
from swarmd.model.ids import TaskId
from swarmd.model.record import Record
from swarmd.model.spec import Platform
from swarmd.model.task import Task


class NodeContext(Record, frozen=True):
    """What tasks may know of the node they run on."""

    node_id: str
    hostname: str
    platform: Platform


class TaskFailure(Exception):
    """The task cannot run, or has ended badly; the message says why and what to do."""


class TemporaryFailure(Exception):
    """The step may succeed when tried again in a moment."""


class Controller(Protocol):
    """One task in the hands of its executor.

    Every method may raise `TaskFailure` or `TemporaryFailure`.
    """

    @property
    def surroundings(self) -> Surroundings: ...

    @property
    def note(self) -> str:
        """What the user should know about a running task, such as a limit not enforced."""
        ...

    @property
    def doing(self) -> str:
        """What goes on while the task is prepared, if that takes long; else empty."""
        ...

    @property
    def access(self) -> Access | None:
        """The way into the task while it runs; None where the executor knows none."""
        ...

    async def prepare(self) -> None:
        """Check and fetch what the task needs; nothing runs yet."""
        ...

    async def start(self) -> None:
        """Bring the task up; a task already up counts as a success."""
        ...

    async def wait(self) -> None:
        """Return when the task has ended well; `TaskFailure` when it has ended badly."""
        ...

    async def shutdown(self) -> None:
        """End the task, with grace if its spec asks for some; return when it is gone."""
        ...

    async def remove(self) -> None:
        """Delete what the task has left behind, including its logs; it must be gone by then."""
        ...


class Executor(Protocol):
    """A way to run tasks on this node."""

    def describe(self) -> str:
        """Name of the executor, and why it was chosen or what it cannot do here."""
        ...

    def controller(self, task: Task) -> Controller:
        """The controller of `task`; raises TaskFailure for a spec that can never run here.

        That includes a task on a lease where nothing outlives this process to end it in time
        (docs/design/agent.md, "Leases").
        """
        ...

    def log_directory(self, task_id: TaskId) -> Path: ...

    async def start(self) -> frozenset[TaskId]:
        """Get ready; returns the tasks of which something is left here, running or not."""
        ...

    async def destroy(self, task_id: TaskId) -> None:
        """End a task nobody has a record of, at once, and delete what it leaves behind."""
        ...

    async def close(self) -> None:
        """Let go without touching any task."""
        ...
