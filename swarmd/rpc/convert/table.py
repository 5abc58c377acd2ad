"""The machinery of the conversion tables: one row per field, read in both directions.

A `Mapping` pairs a record type with a message type and lists rows `field(attribute, path, codec)`.
The same rows fill messages, build records, and tell which fields of a message a record can hold,
so the three can't drift apart (docs/design/dispatcher.md, "Conversion").
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, NamedTuple, TypeVar

R = TypeVar("R")
M = TypeVar("M")


class Codec(NamedTuple):
    """How one value travels: `put` writes it to field `name` of a message, `get` reads it back.

    `covers` tells what of the field the codec understands: all of it, or what a mapping does.
    An `inline` codec has no field of its own and works on the fields of the whole message.
    """

    put: Callable[[Any, str, Any], None]
    get: Callable[[Any, str], Any]
    covers: Mapping[Any, Any] | None = None
    inline: bool = False


class Row(NamedTuple):
    attribute: str
    hops: tuple[str, ...]
    name: str
    codec: Codec


def field(attribute: str, path: str, codec: Codec) -> Row:
    """`attribute` of the record lives at the dotted `path` of the message."""
    *hops, name = path.split(".")
    return Row(attribute, tuple(hops), name, codec)


class Covered(NamedTuple):
    """What a mapping understands of one message: whole fields, and parts of submessages."""

    whole: frozenset[str]
    parts: dict[str, Covered]


class Mapping(Generic[R, M]):
    """Both directions between the record type `R` and the message type `M`.

    Args:
        present: submessages that are written even when they are empty, as peers expect them.
        after_put: finishes a message with what no single row can express.
        after_get: does the same to the keyword arguments of the record.
    """

    def __init__(
        self,
        record_type: type[R],
        message_type: type[M],
        *rows: Row,
        present: tuple[str, ...] = (),
        after_put: Callable[[R, M], None] | None = None,
        after_get: Callable[[M, dict[str, Any]], None] | None = None,
        also_covers: tuple[str, ...] = (),
    ) -> None:
        self.record_type = record_type
        self.message_type = message_type
        self.rows = rows
        self._present = present
        self._after_put = after_put
        self._after_get = after_get
        self._also_covers = also_covers

    def to_pb(self, record: R) -> M:
        message = self.message_type()
        self.fill(record, message)
        return message

    def fill(self, record: R, message: M) -> None:
        """Write `record` into an empty `message`."""
        for name in self._present:
            getattr(message, name).SetInParent()
        for attribute, hops, name, codec in self.rows:
            target: Any = message
            for hop in hops:
                target = getattr(target, hop)
            codec.put(target, name, getattr(record, attribute))
        if self._after_put is not None:
            self._after_put(record, message)

    def from_pb(self, message: M) -> R:
        """The record of a message; what a record can't hold is left out (see `unsupported`).

        Raises:
            Rejection: INVALID_ARGUMENT for an enum value that this version doesn't know.
        """
        values: dict[str, Any] = {}
        for attribute, hops, name, codec in self.rows:
            source: Any = message
            for hop in hops:
                source = getattr(source, hop)
            values[attribute] = codec.get(source, name)
        if self._after_get is not None:
            self._after_get(message, values)
        return self.record_type(**values)

    def covered(self) -> Covered:
        """Which fields of the message reach the record."""
        whole, parts = set(self._also_covers), dict[str, Covered]()
        for _, hops, name, codec in self.rows:
            inner = codec.covers.covered() if codec.covers is not None else None
            if codec.inline and inner is not None:
                whole |= inner.whole
                parts.update(inner.parts)
            elif hops:
                head = parts.setdefault(hops[0], Covered(frozenset(), {}))
                parts[hops[0]] = Covered(head.whole | {name}, head.parts)
                if len(hops) > 1:
                    raise AssertionError(f"{name} lies deeper than the one level allowed here")
            elif inner is not None:
                parts[name] = inner
            else:
                whole.add(name)
        return Covered(frozenset(whole), parts)
