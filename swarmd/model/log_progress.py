"""How far the lines of one node have been handed on, so that a stream that broke off continues.

Many lines may bear one time, and tasks are read in turn, so the time of the last line says too
little: a node is asked for a little more than is missing, and what was here before is left out by
what is known of each task.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from swarmd.model.instant import SECOND
from swarmd.model.log_lines import last_time, position_after, split_after

OVERLAP_NS = SECOND
TASKS_MAX = 1000


class Reached(NamedTuple):
    """The time of a task's last line, and how many there were of that time."""

    time: int
    lines: int


class Progress:
    """What one node has sent.

    Args:
        tasks: what another reader has seen of them, to go on from there.
    """

    def __init__(self, tasks: Mapping[str, Reached] | None = None) -> None:
        self._tasks: dict[str, Reached] = dict(tasks or {})
        self._repeated: dict[str, Reached] = {}  # what is still to be left out

    def resume(self) -> int | None:
        """From which instant to ask again; None when nothing has been sent."""
        if not self._tasks:
            return None
        self._repeated = dict(self._tasks)
        return self._recent()

    def reached(self) -> Mapping[str, Reached]:
        """What another reader has to know of the tasks so that it can go on."""
        recent = self._recent()
        return {name: one for name, one in self._tasks.items() if one.time >= recent}

    def fresh(self, task_id: str, lines: bytes) -> bytes:
        """Lines of a task without those that came before, which count as sent from now on."""
        if self._repeated:
            lines = self._without_repeated(task_id, lines)
        self._note(task_id, lines)
        return lines

    def _recent(self) -> int:
        latest = max((reached.time for reached in self._tasks.values()), default=0)
        return max(latest - OVERLAP_NS, 0)

    def _without_repeated(self, task_id: str, lines: bytes) -> bytes:
        reached = self._repeated.get(task_id)
        if reached is None:
            return lines
        _, lines = split_after(lines, reached.time - 1)
        at_once, later = split_after(lines, reached.time)
        left = reached.lines
        while left and at_once:
            at_once = at_once[at_once.index(b"\n") + 1 :]
            left -= 1
        if at_once or later:
            del self._repeated[task_id]
        else:
            self._repeated[task_id] = Reached(reached.time, left)
        return at_once + later

    def _note(self, task_id: str, lines: bytes) -> None:
        time = last_time(lines)
        if not time:
            return  # none, or not to be read
        before = self._tasks.get(task_id)
        count = lines.count(b"\n", position_after(lines, time - 1))
        if before is not None and before.time == time:
            count += before.lines
        self._tasks[task_id] = Reached(time, count)
        if len(self._tasks) > TASKS_MAX:
            self._tasks = dict(self.reached())
