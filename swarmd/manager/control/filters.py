"""List filters: which records a client asked for. Pure.

Values within a group are alternatives, groups must all match, an empty group matches everything. A
label filter with an empty value asks for the key alone.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Generic, NamedTuple, TypeVar

R = TypeVar("R")


class NamedAs(NamedTuple):
    """What the common filters look at in one record."""

    id: str
    name: str
    labels: Mapping[str, str]


class Common(NamedTuple):
    """The groups that every kind of object can be filtered by."""

    names: Collection[str] = ()
    name_prefixes: Collection[str] = ()
    id_prefixes: Collection[str] = ()
    labels: Mapping[str, str] = {}

    def match(self, record: NamedAs) -> bool:
        return (
            one_of(record.name, self.names)
            and begins_with_one_of(record.name, self.name_prefixes)
            and begins_with_one_of(record.id, self.id_prefixes)
            and has_labels(record.labels, self.labels)
        )


class EitherName(NamedTuple):
    """The groups for secrets and configs: a name, a beginning of one or of an id is enough."""

    names: Collection[str] = ()
    name_prefixes: Collection[str] = ()
    id_prefixes: Collection[str] = ()
    labels: Mapping[str, str] = {}

    def match(self, record: NamedAs) -> bool:
        named = (
            record.name in self.names
            or any(record.name.startswith(prefix) for prefix in self.name_prefixes)
            or any(record.id.startswith(prefix) for prefix in self.id_prefixes)
        )
        asked = self.names or self.name_prefixes or self.id_prefixes
        return (named or not asked) and has_labels(record.labels, self.labels)


class Group(NamedTuple, Generic[R]):
    """A further group: the record's value must be among the wanted ones, if any are."""

    value: Callable[[R], object]
    wanted: Collection[object]

    def match(self, record: R) -> bool:
        return not self.wanted or self.value(record) in self.wanted


def one_of(value: str, wanted: Collection[str]) -> bool:
    return not wanted or value in wanted


def begins_with_one_of(value: str, prefixes: Collection[str]) -> bool:
    return not prefixes or any(value.startswith(prefix) for prefix in prefixes)


def has_labels(labels: Mapping[str, str], wanted: Mapping[str, str]) -> bool:
    return all(key in labels and value in ("", labels[key]) for key, value in wanted.items())
