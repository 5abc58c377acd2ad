"""Evening out: moves of one service's tasks from fuller places to emptier ones.

A place is worth, in order of weight: the tasks of the service in each branch of its spread
preferences, the wishes that the node misses, the tasks of the service on the node, all tasks on
the node (but for those that are packed on purpose); the less the better. A task moves when its
place is worse, without it, than another. The first number that differs then gets strictly more
even and those before it stay as even as they were, so there is an end to it. The fullest place
gives to the emptiest, which takes the fewest moves. Soft affinities change with every move, so they
are no reason to move, only one not to.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable, Collection, Iterable, Iterator
from operator import itemgetter
from typing import NamedTuple

from msgspec.structs import replace

from swarmd.model.ids import NodeId, ServiceId, TaskId
from swarmd.model.task import Task
from swarmd.orchestrator.constraints import label_value
from swarmd.orchestrator.rebalance.movable import Guests, Mover
from swarmd.orchestrator.rebalance.portions import portions_of
from swarmd.orchestrator.scheduler.filters import Filters
from swarmd.orchestrator.scheduler.fleet import Fleet
from swarmd.orchestrator.scheduler.node_info import NodeInfo
from swarmd.orchestrator.scheduler.statics import judge

Path = tuple[str, ...]
Worth = tuple[int, ...]
_Entry = tuple[int, int, int, NodeId, NodeInfo]  # wishes missed, the loads, the node

GLANCES = 8  # so many nodes are glanced at in the time that one is looked at
JUDGED = 2  # to find what a node is worth takes as long as to look at so many


class Step(NamedTuple):
    """One task from one node to another, and what gets better by it."""

    task: Task
    source: NodeInfo
    target: NodeInfo
    reason: str


class Leveler:
    """Evens out one service on a fleet on which only it is changed meanwhile.

    Args:
        homes: where tasks are, as far as they have been moved; kept up to date.
        packed: services placed by binpack. Their tasks don't count among all tasks of a node, as
            the more of them it has the better, and evening out and freeing would never end.
    """

    def __init__(
        self,
        mover: Mover,
        fleet: Fleet,
        guests: Guests,
        homes: dict[TaskId, NodeId],
        packed: Collection[ServiceId],
    ) -> None:
        self._mover = mover
        self._fleet = fleet
        self._guests = guests
        self._homes = homes
        self._packed = packed
        self._levels = mover.requirement.preferences
        self._misses: dict[NodeId, int] = {}
        self._by_node: dict[NodeId, list[Task]] = {}  # where only this leveler puts them
        self._able: list[tuple[NodeInfo, int, tuple[Path, ...]]] | None = None

    def steps(self, *, whole: bool) -> Iterator[Step | int]:
        """Moves, each counted on the fleet before it is handed out; and how much was looked at.

        Args:
            whole: also for the sake of all tasks on a node, not only of those of the service.
        """
        yield len(self._fleet) // GLANCES
        if not self._promising(whole):
            return
        if not self._by_node:
            for tasks in portions_of(self._mover.tasks):
                for task in tasks:
                    self._by_node.setdefault(task.node_id, []).append(task)
                yield len(tasks)
        places = _Places(self._nodes(), self._load)
        counts = self._counts()
        yield JUDGED * len(self._fleet)
        while (step := self._next(places, counts, whole)) is not None:
            self._settle(step)
            for info, change in ((step.source, -1), (step.target, 1)):
                places.refresh(info)
                for path in self._paths(info):
                    counts[path] = counts.get(path, 0) + change
            yield step
            yield len(self._by_node)

    def _settle(self, step: Step) -> None:
        """Have a task where it is moved to."""
        task, target = step.task, step.target.id
        self._fleet.track(replace(task, node_id=target))
        self._homes[task.id] = target
        left = self._by_node[step.source.id]
        left.remove(task)
        if not left:
            del self._by_node[step.source.id]
        self._by_node.setdefault(target, []).append(task)

    def _promising(self, whole: bool) -> bool:
        """Whether the fullest place is worse than the best that could be; cheap, and never wrong.

        Without it, every service would look at every node, though most are level.
        """
        if self._levels or self._mover.requirement.statics.constraints or self._packed:
            return True
        own = self._mover.service.id
        serving = self._fleet.serving(own)
        ready = [info for info in self._fleet if info.ready]
        if not ready or not serving:
            return False
        emptiest = min(info.active_of.get(own, 0) for info in ready)
        fullest = max(info.active_of[own] for info in serving.values())
        if fullest - 1 > emptiest:
            return True
        if fullest - 1 < emptiest or not whole:
            return any(info.node.spec.taints for info in serving.values())
        least = min(info.active for info in ready)
        return any(
            info.node.spec.taints or (info.active - 1 > least and info.active_of[own] == fullest)
            for info in serving.values()
        )

    def _next(self, places: _Places, counts: dict[Path, int], whole: bool) -> Step | None:
        filters = Filters(self._fleet, self._mover.requirement)
        for source, tasks in self._sources(counts):
            found = self._better(source, places, filters, counts, whole)
            if found is not None:
                task = max(tasks, key=lambda one: (one.ran_at, one.id))
                return Step(task, source, found[0], found[1])
        return None

    def _sources(self, counts: dict[Path, int]) -> list[tuple[NodeInfo, list[Task]]]:
        """Nodes with tasks that can be moved, the worst place first."""
        ranked = []
        for node_id, tasks in self._by_node.items():
            info = self._fleet.find(node_id)
            if info is not None:
                ranked.append((self._worth(info, counts), node_id, info, tasks))
        ranked.sort(key=itemgetter(0, 1), reverse=True)
        return [(info, tasks) for _, _, info, tasks in ranked]

    def _better(
        self,
        source: NodeInfo,
        places: _Places,
        filters: Filters,
        counts: dict[Path, int],
        whole: bool,
    ) -> tuple[NodeInfo, str] | None:
        """The best place that is better than the source without one of its tasks."""
        here = self._paths(source)
        found: tuple[Worth, NodeId, NodeInfo, str] | None = None
        for paths, entries in places.branches.items():
            for *_, info in entries:
                if info.id == source.id:
                    continue
                now, then = self._compared(source, here, info, paths, counts)
                reason = self._gain(now, then, source, info, whole)
                if not reason:
                    break  # those behind it are no better
                if found is not None and (then, info.id) >= found[:2]:
                    break
                if self._takes(filters, source, info):
                    found = (then, info.id, info, reason)
                    break
        return (found[2], found[3]) if found is not None else None

    def _compared(
        self,
        source: NodeInfo,
        here: tuple[Path, ...],
        target: NodeInfo,
        there: tuple[Path, ...],
        counts: dict[Path, int],
    ) -> tuple[Worth, Worth]:
        """What either place is worth to a task that is taken from the source."""
        own, active = self._load(source)
        now = (*(counts[path] - 1 for path in here), self._missed(source), own - 1, active - 1)
        then = (
            *(counts.get(path, 0) - (path == at) for path, at in zip(there, here, strict=True)),
            self._missed(target),
            *self._load(target),
        )
        return now, then

    def _gain(
        self, now: Worth, then: Worth, source: NodeInfo, target: NodeInfo, whole: bool
    ) -> str:
        """What gets better, as a clause; empty if nothing does."""
        if then >= now:
            return ""
        at = next(position for position in range(len(now)) if then[position] != now[position])
        name = self._mover.service.spec.name
        here, there = _host(source), _host(target)
        if at < len(self._levels):
            level = self._levels[at]
            return f"{now[at] + 1} of {name} share {level} with {here}, {then[at]} with {there}"
        at -= len(self._levels)
        if at == 0:
            return f"{there} meets more wishes of {name} than {here}"
        if at == 1:
            return f"{here} has {now[-2] + 1} tasks of {name}, {there} has {then[-2]}"
        if not whole:
            return ""
        return f"{here} has {now[-1] + 1} tasks, {there} has {then[-1]}"

    def _takes(self, filters: Filters, source: NodeInfo, target: NodeInfo) -> bool:
        company = filters.company
        return (
            filters.takes(target)
            and (company is None or company.misses(target) <= company.misses(source))
            and self._guests.allow(filters.kind, source.id, target.id)
        )

    def _worth(self, info: NodeInfo, counts: dict[Path, int]) -> Worth:
        branch = self._branch(self._paths(info), counts)
        return (*branch, self._missed(info), *self._load(info))

    def _load(self, info: NodeInfo) -> tuple[int, int]:
        total = info.active
        if self._packed:
            counts = info.active_of.items()
            total -= sum(count for service_id, count in counts if service_id in self._packed)
        return info.active_of.get(self._mover.service.id, 0), total

    def _missed(self, info: NodeInfo) -> int:
        missed = self._misses.get(info.id)
        if missed is None:
            missed = self._misses[info.id] = judge(info, self._mover.requirement.statics).misses
        return missed

    def _paths(self, info: NodeInfo) -> tuple[Path, ...]:
        """The branches the node is in, one per level of the preferences."""
        path: Path = ()
        paths = []
        for level in self._levels:
            path = (*path, label_value(info.node, level) or "")
            paths.append(path)
        return tuple(paths)

    def _branch(self, paths: tuple[Path, ...], counts: dict[Path, int]) -> Worth:
        return tuple(counts.get(path, 0) for path in paths)

    def _counts(self) -> dict[Path, int]:
        counts: dict[Path, int] = {}
        if self._levels:
            own = self._mover.service.id
            for info in self._fleet.serving(own).values():
                for path in self._paths(info):
                    counts[path] = counts.get(path, 0) + info.active_of[own]
        return counts

    def _nodes(self) -> list[tuple[NodeInfo, int, tuple[Path, ...]]]:
        """The nodes whose own nature refuses nothing, found once."""
        if self._able is None:
            statics = self._mover.requirement.statics
            judged = ((info, judge(info, statics)) for info in self._fleet)
            self._able = [
                (info, verdict.misses, self._paths(info))
                for info, verdict in judged
                if verdict.fit and info.id not in self._mover.shunned
            ]
        return self._able


class _Places:
    """Nodes that may get tasks by their nature, in branches, the best place of each first."""

    def __init__(
        self,
        able: Iterable[tuple[NodeInfo, int, tuple[Path, ...]]],
        load: Callable[[NodeInfo], tuple[int, int]],
    ) -> None:
        self.branches: dict[tuple[Path, ...], list[_Entry]] = {}
        self._load = load
        self._entries: dict[NodeId, tuple[tuple[Path, ...], _Entry]] = {}
        for info, missed, paths in able:
            entry = (missed, *load(info), info.id, info)
            self.branches.setdefault(paths, []).append(entry)
            self._entries[info.id] = (paths, entry)
        for entries in self.branches.values():
            entries.sort()

    def refresh(self, info: NodeInfo) -> None:
        """Put a node where it belongs now."""
        place = self._entries.get(info.id)
        if place is None:
            return
        paths, entry = place
        entries = self.branches[paths]
        del entries[bisect_left(entries, entry)]
        entry = (entry[0], *self._load(info), info.id, info)
        insort(entries, entry)
        self._entries[info.id] = (paths, entry)


def _host(info: NodeInfo) -> str:
    return info.node.hostname or info.id
