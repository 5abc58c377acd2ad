"""Which changes a watch asked for: its entries, made into one question per change. Pure.

Entries are alternatives; the filters of one entry must all hold. A filter that a kind of object
doesn't have is passed over, as in swarm mode.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, TypeAlias

from swarmd.model.custom import Extension, Resource
from swarmd.model.errors import Rejection, invalid
from swarmd.model.node import Node
from swarmd.model.secret import Secret
from swarmd.model.states import Membership, Role
from swarmd.model.task import Task
from swarmd.rpc.pb import specs, types, watch
from swarmd.store.changes import Change, Kind, Object

CREATE, UPDATE, REMOVE = (
    watch.WATCH_ACTION_CREATE,
    watch.WATCH_ACTION_UPDATE,
    watch.WATCH_ACTION_REMOVE,
)
FILTERS_MAX = 100

Filter: TypeAlias = Callable[[Object], bool]
# Filters on one property can't both be meant, as one of them would make the other useless.
_PROPERTY = {"id_prefix": "id", "name_prefix": "name", "custom_prefix": "custom"}
_ROLES = {types.WORKER: Role.WORKER, types.MANAGER: Role.MANAGER}
_MEMBERSHIPS = {
    specs.NodeSpec.PENDING: Membership.PENDING,
    specs.NodeSpec.ACCEPTED: Membership.ACCEPTED,
}


class Entry(NamedTuple):
    """One alternative. `kind` is None for resources, and `resource_kind` empty for all of them."""

    kind: Kind | None
    resource_kind: str
    actions: int
    filters: tuple[Filter, ...]

    def wants(self, change: Change, action: int) -> bool:
        record = change.new or change.old
        assert record is not None
        if not self.actions & action or change.kind is not (self.kind or Kind.RESOURCE):
            return False
        if self.resource_kind and (
            not isinstance(record, Resource) or record.kind.lower() != self.resource_kind.lower()
        ):
            return False
        return all(holds(record) for holds in self.filters)


class Selection:
    """All entries of one watch.

    Raises:
        Rejection: INVALID_ARGUMENT for an entry without kind or actions, or with two filters on
            one property.
    """

    def __init__(self, entries: Iterable[watch.WatchRequest.WatchEntry]) -> None:
        self._entries = tuple(_entry(entry) for entry in entries)

    @property
    def empty(self) -> bool:
        """Whether nothing was asked for, so that nothing will ever come."""
        return not self._entries

    def wants(self, change: Change) -> bool:
        if isinstance(change.new or change.old, Secret) and _internal(change):
            return False
        action = action_of(change)
        return any(entry.wants(change, action) for entry in self._entries)


def action_of(change: Change) -> int:
    """The bit that stands for what happened."""
    if change.old is None:
        return CREATE
    return REMOVE if change.new is None else UPDATE


def _internal(change: Change) -> bool:
    secret = change.new or change.old
    return isinstance(secret, Secret) and secret.internal


def _entry(entry: watch.WatchRequest.WatchEntry) -> Entry:
    if not entry.kind:
        raise invalid("a watch entry names no kind of object")
    actions = int(entry.action) & (CREATE | UPDATE | REMOVE)
    if not actions:
        raise invalid(f"the watch entry for {entry.kind} names no action to watch")
    if len(entry.filters) > FILTERS_MAX:
        raise invalid(f"the watch entry for {entry.kind} has more than {FILTERS_MAX} filters")
    kind, resource_kind = _kind(entry.kind)
    return Entry(kind, resource_kind, actions, tuple(_filters(entry)))


def _kind(name: str) -> tuple[Kind | None, str]:
    """The kind of object; any name that isn't built in is that of a client's own resources."""
    known = {kind.value: kind for kind in Kind if kind is not Kind.RESOURCE}
    if name in known:
        return known[name], ""
    return None, "" if name == Kind.RESOURCE.value else name


def _filters(entry: watch.WatchRequest.WatchEntry) -> Iterable[Filter]:
    seen: set[str] = set()
    for selector in entry.filters:
        by = selector.WhichOneof("By")
        if by is None:
            raise invalid(f"the watch entry for {entry.kind} has an empty filter")
        name = _PROPERTY.get(by, by)
        if name in seen:
            raise _conflicting(entry.kind, name)
        seen.add(name)
        made = _filter(entry.kind, by, getattr(selector, by))
        if made is not None:
            yield made


def _conflicting(kind: str, name: str) -> Rejection:
    return invalid(f"conflicting filters specified: the watch entry for {kind} names two on {name}")


def _filter(kind: str, by: str, value: Any) -> Filter | None:
    """A filter as a function; None when the kind doesn't have it."""
    match by:
        case "id":
            return lambda record: record.id == value
        case "id_prefix":
            return lambda record: record.id.startswith(value)
        case "name":
            return lambda record: name_of(record).lower() == value.lower()
        case "name_prefix":
            return lambda record: name_of(record).lower().startswith(value.lower())
        case "custom" | "custom_prefix":
            return lambda record: False  # no record has indexes of clients' own making
        case _:
            return _own_filter(kind, by, value)


def _own_filter(kind: str, by: str, value: Any) -> Filter | None:
    """Filters that one kind of object has."""
    match kind, by:
        case "task", "service_id":
            return lambda record: isinstance(record, Task) and record.service_id == value
        case "task", "node_id":
            return lambda record: isinstance(record, Task) and record.node_id == value
        case "task", "slot":
            return lambda record: (
                isinstance(record, Task)
                and record.service_id == value.service_id
                and record.slot == value.slot
            )
        case "task", "desired_state":
            return lambda record: isinstance(record, Task) and record.desired_state.value == value
        case "node", "role":
            role = _ROLES.get(value)
            return lambda record: isinstance(record, Node) and record.role is role
        case "node", "membership":
            membership = _MEMBERSHIPS.get(value)
            return lambda record: isinstance(record, Node) and record.spec.membership is membership
        case _, "kind":
            return lambda record: not isinstance(record, Resource) or record.kind == value
        case _:
            return None


def name_of(record: Object) -> str:
    """What people call an object."""
    match record:
        case Task():
            return record.name
        case Node():
            return record.hostname
        case Extension() | Resource():
            return record.name
        case _:
            return record.spec.name
