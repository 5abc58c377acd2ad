"""How far the lines of one node have been handed on, so that a stream that broke off continues.

Many lines may bear one time, and tasks are read in turn, so the time of the last line says too
little: a node is asked for a little more than is missing, and what was here before is left out by
what is known of each task.
"""

from __future__ import annotations

from typing import NamedTuple

from swarmd.model.instant import SECOND
from swarmd.model.log_lines import first_time, last_time, split_after
from swarmd.rpc.pb import logbroker as pb

OVERLAP_NS = SECOND
TASKS_MAX = 1000


class Reached(NamedTuple):
    """The time of a task's last line, and how many there were of that time."""

    time: int
    lines: int


class Progress:
    """What one node has sent."""

    def __init__(self) -> None:
        self._tasks: dict[str, Reached] = {}
        self._repeated: dict[str, Reached] = {}  # what is still to be left out

    def resume(self) -> int | None:
        """From which instant to ask again; None when nothing has been sent."""
        if not self._tasks:
            return None
        self._repeated = dict(self._tasks)
        return max(max(reached.time for reached in self._tasks.values()) - OVERLAP_NS, 0)

    def fresh(self, request: pb.PublishLogsMessage) -> pb.PublishLogsMessage:
        """The message without lines that came before, which count as sent from now on."""
        if not self._repeated and not request.messages:
            for bulk in request.bulk:
                self._note(bulk.task_id, bulk.lines)
            return request
        kept = pb.PublishLogsMessage()
        for bulk in request.bulk:
            said = bulk.lines  # each look at the field makes a copy
            lines = self._without_repeated(bulk.task_id, said)
            if lines:
                self._note(bulk.task_id, lines)
                if len(lines) < len(said):
                    bulk.lines = lines
                kept.bulk.append(bulk)
        for message in request.messages:
            time = message.timestamp.seconds * SECOND + message.timestamp.nanos
            line = b"%019d \n" % time
            if self._without_repeated(message.context.task_id, line):
                self._note(message.context.task_id, line)
                kept.messages.append(message)
        return kept

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
        if first_time(lines) == time:
            count = lines.count(b"\n")
        else:
            count = split_after(lines, time - 1)[1].count(b"\n")
        if before is not None and before.time == time:
            count += before.lines
        self._tasks[task_id] = Reached(time, count)
        if len(self._tasks) > TASKS_MAX:
            recent = time - OVERLAP_NS
            self._tasks = {name: one for name, one in self._tasks.items() if one.time >= recent}
