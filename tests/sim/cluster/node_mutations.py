"""Mistakes between managers and nodes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from swarmd.agent import files as node_files
from swarmd.agent import reporter, worker
from swarmd.agent.core import health, task_files
from swarmd.dispatcher import dispatcher
from swarmd.dispatcher.core import assignments, files, sessions
from swarmd.manager.control import files as file_calls
from tests.sim.cluster.mutation import Patch


def secret_kept(patch: Patch) -> None:
    """A node is not told to forget a secret."""
    step = files.FileUse.step

    def keeping(self: Any) -> Any:
        given, _ = step(self)
        return given, ()

    patch.setattr(files.FileUse, "step", keeping)


def heartbeats_ignored(patch: Patch) -> None:
    """A heartbeat is answered but not noted."""
    beat = sessions.Sessions.beat

    def deaf(self: Any, node_id: Any, session_id: str, now: Any) -> int:
        entry = self._entries.get(node_id)
        deadline = entry.deadline if entry is not None else 0
        period = beat(self, node_id, session_id, now)
        entry.deadline = deadline
        return period

    patch.setattr(sessions.Sessions, "beat", deaf)


def session_not_fenced(patch: Patch) -> None:
    """A node that was given up goes on in its old session, unnoticed."""

    def lenient(self: Any, node_id: Any, session_id: str) -> None:
        return None

    def beat(self: Any, node_id: Any, session_id: str, now: Any) -> int:
        return int(self.period_ns)

    patch.setattr(sessions.Sessions, "check", lenient)
    patch.setattr(sessions.Sessions, "beat", beat)
    patch.setattr(dispatcher.Dispatcher, "_end", lambda self, node_id, reason: None)


def removal_not_propagated(patch: Patch) -> None:
    """Nodes are not told that a task is gone."""
    advance = assignments.AssignmentChain.advance

    def forgetful(self: Any, changed: Any, find: Any) -> Any:
        step = advance(self, changed, find)
        return step if step is None else step._replace(removed=())

    patch.setattr(assignments.AssignmentChain, "advance", forgetful)


def reports_lost(patch: Patch) -> None:
    """What could not be reported is not reported in the next session either."""
    run = reporter.Reporter.run

    async def forgetful(self: Any, known: Any, send: Any) -> None:
        self._waiting.clear()
        await run(self, (), send)

    patch.setattr(reporter.Reporter, "run", forgetful)


def unclaimed_kept(patch: Patch) -> None:
    """A worker leaves running what nobody assigns to it any more."""

    async def idle(self: Any) -> None:
        return None

    patch.setattr(worker.Worker, "_sweep", idle)
    patch.setattr(
        worker.assignment,
        "changes",
        _without_removals(worker.assignment.changes),
    )


def _without_removals(changes: Callable[..., Any]) -> Callable[..., Any]:
    def kept(*args: Any, **kwargs: Any) -> Any:
        result = changes(*args, **kwargs)
        return replace(result, removed=()) if kwargs.get("complete") else result

    return kept


def secret_withheld(patch: Patch) -> None:
    """A node is given a task without the secrets and configs it needs."""
    step = files.FileUse.step

    def mean(self: Any) -> Any:
        _, removed = step(self)
        return (), removed

    patch.setattr(files.FileUse, "step", mean)


def secret_removed_in_use(patch: Patch) -> None:
    """A secret can be removed though services refer to it."""
    careless = file_calls.SECRETS._replace(users=lambda view, secret_id: ())
    patch.setattr(file_calls, "SECRETS", careless)


def illness_ignored(patch: Patch) -> None:
    """A task that is not well goes on."""
    patch.setattr(
        health,
        "after",
        lambda policy, known, result, now: health.Health(
            health.Phase.WELL, now + policy.interval_ns
        ),
    )


def wrong_content(patch: Patch) -> None:
    """A task gets any secret that its node has."""

    def any_file(files: Any, file_id: str, phrase: str) -> Any:
        return next(iter(files.values()))

    patch.setattr(task_files, "_get", any_file)


def files_kept(patch: Patch) -> None:
    """A node does not forget a secret when it is told to."""
    assign = node_files.NodeFiles.assign

    def keeping(self: Any, *, removed: Any = (), **rest: Any) -> None:
        assign(self, **rest)

    patch.setattr(node_files.NodeFiles, "assign", keeping)


def leave_unnoticed(patch: Patch) -> None:
    """A node that leaves is told that all is well, and nothing is done about it."""

    async def polite(self: Any, node_id: Any) -> None:
        self.check_running()

    patch.setattr(dispatcher.Dispatcher, "leave", polite)


def tasks_left_behind(patch: Patch) -> None:
    """A node leaves and its tasks run on."""

    async def at_once(self: Any) -> None:
        return None

    patch.setattr(worker.Worker, "drain", at_once)
