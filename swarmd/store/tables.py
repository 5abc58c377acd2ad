"""Tables in memory: rows by id, plus the indexes that decisions need.

An index maps a key to the ids having it, in insertion order, so that iteration is deterministic.
Rows are immutable records; only `put` and `drop` change a table.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

T = TypeVar("T")
Key = str | int | tuple[str, int]
KeyOf = Callable[[T], Key | None]
KeysOf = Callable[[T], tuple[Key, ...]]


class Index(Generic[T]):
    """Rows by a derived key; a row whose key is None is not listed."""

    def __init__(self, key_of: KeyOf[T]) -> None:
        self._key_of = key_of
        self._rows: dict[Key, dict[str, T]] = {}

    def put(self, row_id: str, old: T | None, new: T) -> None:
        key = self._key_of(new)
        if old is not None:
            old_key = self._key_of(old)
            if old_key != key:
                self._remove(old_key, row_id)
        if key is not None:
            self._rows.setdefault(key, {})[row_id] = new

    def drop(self, row_id: str, old: T) -> None:
        self._remove(self._key_of(old), row_id)

    def clear(self) -> None:
        self._rows.clear()

    def get(self, key: Key) -> tuple[T, ...]:
        return tuple(self._rows.get(key, {}).values())

    def count(self, key: Key) -> int:
        return len(self._rows.get(key, ()))

    def keys(self) -> tuple[Key, ...]:
        return tuple(self._rows)

    def _remove(self, key: Key | None, row_id: str) -> None:
        if key is None:
            return
        rows = self._rows[key]
        del rows[row_id]
        if not rows:
            del self._rows[key]


class ManyIndex(Generic[T]):
    """Rows by any number of keys each: what a row refers to, for those who may not remove it."""

    def __init__(self, keys_of: KeysOf[T]) -> None:
        self._keys_of = keys_of
        self._rows: dict[Key, dict[str, T]] = {}

    def put(self, row_id: str, old: T | None, new: T) -> None:
        keys = dict.fromkeys(self._keys_of(new))
        for key in self._keys_of(old) if old is not None else ():
            if key not in keys:
                self._remove(key, row_id)
        for key in keys:
            self._rows.setdefault(key, {})[row_id] = new

    def drop(self, row_id: str, old: T) -> None:
        for key in self._keys_of(old):
            self._remove(key, row_id)

    def clear(self) -> None:
        self._rows.clear()

    def get(self, key: Key) -> tuple[T, ...]:
        return tuple(self._rows.get(key, {}).values())

    def count(self, key: Key) -> int:
        return len(self._rows.get(key, ()))

    def keys(self) -> tuple[Key, ...]:
        return tuple(self._rows)

    def _remove(self, key: Key, row_id: str) -> None:
        rows = self._rows.get(key, {})
        rows.pop(row_id, None)  # a row may name one key twice
        if not rows:
            self._rows.pop(key, None)


class Table(Generic[T]):
    """Rows of one kind by id, in creation order.

    Args:
        indexes: by one key per row.
        references: by any number of keys per row.
    """

    def __init__(
        self,
        indexes: dict[str, KeyOf[T]] | None = None,
        references: dict[str, KeysOf[T]] | None = None,
    ) -> None:
        self._rows: dict[str, T] = {}
        self._indexes: dict[str, Index[T] | ManyIndex[T]] = {
            **{name: Index(key_of) for name, key_of in (indexes or {}).items()},
            **{name: ManyIndex(keys_of) for name, keys_of in (references or {}).items()},
        }

    def find(self, row_id: str) -> T | None:
        return self._rows.get(row_id)

    def all(self) -> tuple[T, ...]:
        return tuple(self._rows.values())

    def by(self, index: str, key: Key) -> tuple[T, ...]:
        return self._indexes[index].get(key)

    def count_by(self, index: str, key: Key) -> int:
        return self._indexes[index].count(key)

    def keys(self, index: str) -> tuple[Key, ...]:
        return self._indexes[index].keys()

    def put(self, row_id: str, row: T) -> None:
        old = self._rows.get(row_id)
        self._rows[row_id] = row
        for index in self._indexes.values():
            index.put(row_id, old, row)

    def drop(self, row_id: str) -> None:
        old = self._rows.pop(row_id)
        for index in self._indexes.values():
            index.drop(row_id, old)

    def order(self) -> tuple[str, ...]:
        """The ids of all rows, in creation order; `reorder` brings that order back."""
        return tuple(self._rows)

    def reorder(self, order: tuple[str, ...]) -> None:
        """Put the rows back into an earlier order; `order` must name exactly the rows there are."""
        rows = {row_id: self._rows[row_id] for row_id in order}
        if len(rows) != len(self._rows):
            raise AssertionError("a table was reordered by an order of other rows")
        self._rows = rows
        for index in self._indexes.values():
            index.clear()
            for row_id, row in rows.items():
                index.put(row_id, None, row)

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[T]:
        return iter(self._rows.values())
