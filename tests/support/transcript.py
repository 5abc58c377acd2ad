"""What happened in a swarm, a line for each decision, with names in place of ids.

Tasks are called after their place and a number, in the order in which they were made. What agents
do on the way to running is left out.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

from swarmd.model.instant import MILLISECOND
from swarmd.model.network import Network
from swarmd.model.node import Node
from swarmd.model.service import Service
from swarmd.model.states import TaskState
from swarmd.model.task import Task
from swarmd.store.changes import Change, Committed

_ON_THE_WAY = (TaskState.ACCEPTED, TaskState.PREPARING, TaskState.READY, TaskState.STARTING)
_ID = re.compile(r"[0-9a-z]{25}")


def transcript_of(log: Iterable[Committed]) -> list[str]:
    """The story of a swarm from its first entry."""
    return list(_Teller().tell(log))


class _Teller:
    def __init__(self) -> None:
        self._names: dict[str, str] = {}
        self._made: Counter[str] = Counter()

    def tell(self, log: Iterable[Committed]) -> Iterable[str]:
        start = None
        for committed in log:
            start = committed.now if start is None else start
            lines = [line for change in committed.changes if (line := self._line(change))]
            if lines:
                yield f"at {(committed.now - start) // MILLISECOND} ms"
                yield from (f"  {self._named(line)}" for line in lines)

    def _line(self, change: Change) -> str:
        record = change.new if change.new is not None else change.old
        match record:
            case Task():
                return self._task(change, record)
            case Service():
                state = record.update_status.state.value if record.update_status else "no update"
                text = f"service {record.spec.name} [{state}]"
            case Node():
                node = f"{record.status.state.value}, {record.spec.availability.value}"
                text = f"node {record.id} [{node}]"
            case Network():
                text = f"network {record.spec.name}"
            case _:
                text = change.kind.value
        return f"{text}{_verb(change)}: {change.reason}".rstrip(": ")

    def _task(self, change: Change, task: Task) -> str:
        self._name(task)
        old = change.old
        going = isinstance(old, Task) and old.desired_state == task.desired_state
        if going and change.new is not None and task.status.state in _ON_THE_WAY:
            return ""
        place = f" on {task.node_id}" if task.node_id else ""
        state = f"{task.status.state.word}, shall be {task.desired_state.word}{place}"
        why = task.status.err if task.status.err not in change.reason else ""
        return f"{task.id} [{state}]{_verb(change)}: {change.reason}" + (f" ({why})" if why else "")

    def _name(self, task: Task) -> None:
        if task.id not in self._names:
            place = f"{task.service_name}.{task.slot or task.node_id}"
            self._made[place] += 1
            self._names[task.id] = f"{place}#{self._made[place]}"

    def _named(self, line: str) -> str:
        return _ID.sub(lambda found: self._names.get(found[0], found[0]), line)


def _verb(change: Change) -> str:
    if change.old is None:
        return " is made"
    return " is no more" if change.new is None else ""
