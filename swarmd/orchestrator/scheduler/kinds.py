"""The kinds of tasks that are on a fleet, found by service and by what affinities ask for.

An affinity is compared with every kind once; after that its selection is kept, and only kinds that
come or go are looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping

from swarmd.orchestrator.scheduler.load import Kind, Version

SELECTIONS_MAX = 256  # kept; the least recently asked for makes room

Predicate = Callable[[Kind], bool]


class Kinds:
    """The kinds of which tasks are counted."""

    def __init__(self) -> None:
        self._kinds: dict[Version, Kind] = {}
        self._by_service: dict[str, dict[Kind, None]] = {}  # by name, and by id
        self._selections: dict[Hashable, tuple[Predicate, dict[Kind, None]]] = {}

    def __iter__(self) -> Iterator[Kind]:
        return iter(self._kinds.values())

    def find(self, version: Version) -> Kind | None:
        return self._kinds.get(version)

    def add(self, kind: Kind) -> None:
        """Take in a kind; of two of one version, the later one is found from now on."""
        before = self._kinds.get(kind.version)
        if before is not None:
            self.remove(before)
        self._kinds[kind.version] = kind
        for word in (kind.service_name, kind.service_id):
            self._by_service.setdefault(word, {})[kind] = None
        for predicate, selected in self._selections.values():
            if predicate(kind):
                selected[kind] = None

    def remove(self, kind: Kind) -> None:
        """Forget a kind; nothing happens if another has taken its place."""
        if self._kinds.get(kind.version) is not kind:
            return
        del self._kinds[kind.version]
        for word in (kind.service_name, kind.service_id):
            of_service = self._by_service.get(word, {})
            of_service.pop(kind, None)
            if not of_service:
                self._by_service.pop(word, None)
        for _, selected in self._selections.values():
            selected.pop(kind, None)

    def of_service(self, word: str) -> Mapping[Kind, None]:
        """The kinds of the service with this name or id."""
        return self._by_service.get(word, {})

    def select(self, question: Hashable, predicate: Predicate) -> Mapping[Kind, None]:
        """The kinds for which `predicate` holds.

        Args:
            question: what is asked; equal questions have equal predicates.
        """
        known = self._selections.pop(question, None)
        if known is None:
            known = (predicate, {kind: None for kind in self if predicate(kind)})
        self._selections[question] = known
        if len(self._selections) > SELECTIONS_MAX:
            del self._selections[next(iter(self._selections))]
        return known[1]
