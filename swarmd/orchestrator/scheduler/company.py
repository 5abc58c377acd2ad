"""Affinities: whether the tasks on a node are company that a task wants, or wants to avoid.

A node's active tasks count; one that was told to stop attracts and repels nobody. Tasks of one
service version share image, service and labels, so each version is compared once, and only
affinities to single tasks look at tasks.

An affinity to something that runs nowhere is met by no node, except that a task which fits the
affinity itself may be the first: a service can ask to be kept on one node.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache

from swarmd.model.affinity import Affinity, Subject
from swarmd.model.ids import NodeId, TaskId
from swarmd.model.pattern import Pattern, pattern_of
from swarmd.orchestrator.scheduler.fleet import Fleet
from swarmd.orchestrator.scheduler.load import Kind, Load
from swarmd.orchestrator.scheduler.node_info import NodeInfo


class Company:
    """The affinities of a group of tasks, prepared for a fleet.

    Holds while only tasks of kind `own` are added to the fleet, which it takes into account.
    """

    def __init__(self, affinities: Iterable[Affinity], own: Kind, fleet: Fleet) -> None:
        # Where others are stays as it is meanwhile, so rules about them come down to two sets.
        self._shunned: Mapping[NodeId, object] = {}
        self._only: Mapping[NodeId, object] | None = None
        self._hard: list[_Rule] = []
        self._soft: list[_Rule] = []
        for affinity in affinities:
            rule = _Rule(affinity, own, fleet)
            if affinity.soft:
                if not rule.same_for_all:  # else it is no preference
                    self._soft.append(rule)
            elif rule.about_own:
                self._hard.append(rule)
            elif rule.equal:
                self._only = _both(self._only, rule.elsewhere)
            else:
                self._shunned = (
                    {**self._shunned, **rule.elsewhere} if self._shunned else rule.elsewhere
                )

    @property
    def matters(self) -> bool:
        """Whether nodes differ in the company they offer, or none offers any."""
        return bool(self._shunned or self._hard or self._soft or self._only is not None)

    @property
    def wished_for(self) -> bool:
        """Whether some nodes are preferred to others."""
        return bool(self._soft)

    @property
    def usual_misses(self) -> int:
        """How many soft affinities a node misses that is not among `exceptions`."""
        return sum(rule.equal for rule in self._soft)

    def exceptions(self) -> dict[NodeId, None]:
        """Nodes that may miss more or fewer soft affinities than others do."""
        return {node_id: None for rule in self._soft for node_id in rule.nodes()}

    @property
    def only(self) -> Mapping[NodeId, object] | None:
        """The only nodes that may suit, where affinities name such; else None."""
        return self._only

    def suits(self, info: NodeInfo) -> bool:
        """Whether the node meets every affinity that is not soft."""
        if info.id in self._shunned or (self._only is not None and info.id not in self._only):
            return False
        for rule in self._hard:  # noqa: SIM110 (a generator would cost more than the rules)
            if not rule.met(info):
                return False
        return True

    def misses(self, info: NodeInfo) -> int:
        """How many soft affinities the node does not meet."""
        return sum(not rule.met(info) for rule in self._soft)


def concerns(affinity: Affinity, kind: Kind) -> bool:
    """Whether tasks of `kind` may be what the affinity names; single tasks always may."""
    return affinity.subject is Subject.TASK or _fits(affinity, pattern_of(affinity.value), kind)


class _Rule:
    """One affinity.

    `elsewhere` are the nodes where others than the group's own tasks are such company; `about_own`
    says whether these may be such company as well.
    """

    __slots__ = ("_by_task", "_may_be_first", "_own", "_pattern", "about_own", "elsewhere", "equal")

    def __init__(self, affinity: Affinity, own: Kind, fleet: Fleet) -> None:
        self.equal = affinity.equal
        self._own = own
        self._pattern = pattern = pattern_of(affinity.value)
        subject = affinity.subject
        self._by_task = subject is Subject.TASK
        self.elsewhere: Mapping[NodeId, object]
        if self._by_task:
            fits_itself = False
            self.elsewhere = _nodes_of_tasks(pattern, fleet)
        else:
            fits_itself = _fits(affinity, pattern, own)
            self.elsewhere = _nodes_of(_company(affinity, pattern, fleet), own)
        self.about_own = fits_itself or self._by_task
        # A wish refuses nothing, so a first task needs no leave: all nodes are equally good for it.
        first = fits_itself and not self.elsewhere
        self._may_be_first = first and affinity.equal and not affinity.soft

    @property
    def same_for_all(self) -> bool:
        """Whether nodes don't differ, now and when there are more of the own tasks."""
        return not (self.elsewhere or self.about_own)

    def met(self, info: NodeInfo) -> bool:
        if self._may_be_first and not self._own.nodes:
            return True
        return self._present(info) == self.equal

    def nodes(self) -> Iterator[NodeId]:
        """Where such company may be found."""
        yield from self.elsewhere
        yield from self._own.nodes

    def _present(self, info: NodeInfo) -> bool:
        if info.id in self.elsewhere:
            return True
        if not self.about_own or info.id not in self._own.nodes:
            return False
        return not self._by_task or _has_task(self._pattern, info)


def _both(
    one: Mapping[NodeId, object] | None, other: Mapping[NodeId, object]
) -> Mapping[NodeId, object]:
    """The nodes that are in both; all are in the one if there is none."""
    if one is None:
        return other
    return {node_id: None for node_id in one if node_id in other}


def _nodes_of(kinds: Mapping[Kind, None], own: Kind) -> Mapping[NodeId, object]:
    """Where tasks of the kinds are, apart from the own one; live where that is one kind's."""
    others = [kind.nodes for kind in kinds if kind is not own]
    if len(others) == 1:
        return others[0]
    return {node_id: None for nodes in others for node_id in nodes}


def _company(affinity: Affinity, pattern: Pattern, fleet: Fleet) -> Mapping[Kind, None]:
    """The kinds that the affinity names."""
    if affinity.subject is Subject.SERVICE and pattern.literal:
        return fleet.kinds.of_service(pattern.text)
    return fleet.kinds.select(
        (affinity.key, affinity.value), lambda kind: _fits(affinity, pattern, kind)
    )


def _fits(affinity: Affinity, pattern: Pattern, kind: Kind) -> bool:
    """Whether tasks of `kind` are what the affinity names."""
    match affinity.subject:
        case Subject.IMAGE:
            image = kind.image
            return bool(image) and (pattern.matches(image) or pattern.matches(_untagged(image)))
        case Subject.SERVICE:
            return pattern.matches(kind.service_name) or pattern.matches(kind.service_id)
        case _:
            values = (labels.get(affinity.key) for labels in kind.labels)
            return any(value is not None and pattern.matches(value) for value in values)


@lru_cache(maxsize=1024)
def _untagged(image: str) -> str:
    """An image's name without digest and tag; a colon before a slash belongs to the registry."""
    name = image.partition("@")[0]
    head, colon, tag = name.rpartition(":")
    return head if colon and "/" not in tag else name


def _nodes_of_tasks(pattern: Pattern, fleet: Fleet) -> dict[NodeId, None]:
    if pattern.literal:
        prefixed = (kind for kind in fleet.kinds if _begins(pattern.text, kind))
        candidates = {node_id: None for kind in prefixed for node_id in kind.nodes}
        exact = fleet.find_node_of(TaskId(pattern.text))
        if exact is not None:
            candidates[exact.id] = None
    else:
        candidates = {node_id: None for kind in fleet.kinds for node_id in kind.nodes}
    infos = (fleet.find(node_id) for node_id in candidates)
    return {info.id: None for info in infos if info is not None and _has_task(pattern, info)}


def _begins(text: str, kind: Kind) -> bool:
    return text.startswith(f"{kind.service_name}.")


def _has_task(pattern: Pattern, info: NodeInfo) -> bool:
    return any(
        load.active and any(pattern.matches(name) for name in _names(task_id, load, info))
        for task_id, load in info.loads.items()
        if not pattern.literal or task_id == pattern.text or _begins(pattern.text, load.kind)
    )


def _names(task_id: TaskId, load: Load, info: NodeInfo) -> tuple[str, str, str]:
    """A task by its id, by its place in its service, and in full."""
    place = f"{load.kind.service_name}.{load.slot or info.id}"
    return (task_id, place, f"{place}.{task_id}")
