"""What managers hand to one node, as it arrives there: no secret without a task that needs it."""

from __future__ import annotations

from typing import Any

from swarmd.sim.timeline import Timeline

REMOVE = 1  # AssignmentChange.AssignmentAction


class Custody:
    """Follows one stream of assignments."""

    def __init__(self, timeline: Timeline, node: str) -> None:
        self._timeline = timeline
        self._node = node
        self._needs: dict[str, frozenset[str]] = {}  # by task
        self._files: set[str] = set()

    def take(self, message: Any) -> None:
        """A message of `Dispatcher.Assignments` has arrived."""
        if message.type == type(message).COMPLETE:
            self._needs.clear()
            self._files.clear()
        for change in message.changes:
            self._change(change.assignment, gone=change.action == REMOVE)
        needed = {file for files in self._needs.values() for file in files}
        for file in sorted(self._files - needed):
            self._timeline.accuse(
                f"{self._node} was left with {file}, which none of its tasks needs"
            )

    def _change(self, assignment: Any, *, gone: bool) -> None:
        kind = assignment.WhichOneof("item")
        if kind == "task":
            task = assignment.task
            self._needs.pop(task.id, None)
            if not gone:
                self._needs[task.id] = _files_of(task)
        elif kind in ("secret", "config"):
            file = f"{kind} {getattr(assignment, kind).id}"
            if gone:
                self._files.discard(file)
            else:
                self._files.add(file)


def _files_of(task: Any) -> frozenset[str]:
    container = task.spec.container
    secrets = (f"secret {reference.secret_id}" for reference in container.secrets)
    return frozenset((*secrets, *(f"config {r.config_id}" for r in container.configs)))
