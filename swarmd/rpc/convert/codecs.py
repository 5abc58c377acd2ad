"""How values travel: scalars, enums, times, collections and submessages.

Proto3 leaves zero values off the wire, so writers skip them; where a peer tells absent from zero
(durations, submessages) the codec's name says which of the two it keeps.
"""

from __future__ import annotations

from collections.abc import Mapping as ReadMapping
from enum import Enum
from typing import Any, TypeVar

from swarmd.model.errors import invalid
from swarmd.model.instant import SECOND
from swarmd.rpc.convert.table import Codec, Mapping

E = TypeVar("E", bound=Enum)


def _put_scalar(message: Any, name: str, value: Any) -> None:
    if value:
        setattr(message, name, value)


SCALAR = Codec(_put_scalar, getattr)


def _put_scalar_unless_none(message: Any, name: str, value: Any) -> None:
    if value is not None:
        setattr(message, name, value)


def scalar_or(default: Any) -> Codec:
    """A scalar with presence; one that a peer leaves out has the default."""

    def get(message: Any, name: str) -> Any:
        return getattr(message, name) if message.HasField(name) else default

    return Codec(_put_scalar_unless_none, get)


SCALAR_OR_NONE = scalar_or(None)


def _put_wrapped(message: Any, name: str, value: Any) -> None:
    if value is not None:
        part = getattr(message, name)
        part.SetInParent()
        part.value = value


def _get_wrapped(message: Any, name: str) -> Any:
    return getattr(message, name).value if message.HasField(name) else None


WRAPPED_OR_NONE = Codec(_put_wrapped, _get_wrapped)  # of the well-known messages with one `value`


def _get_ratio(message: Any, name: str) -> float:
    """A 32-bit float as the decimal a person wrote: 0.1 comes back as 0.1."""
    return float(f"{getattr(message, name):.7g}")


RATIO = Codec(_put_scalar, _get_ratio)


def _put_items(message: Any, name: str, values: tuple[Any, ...]) -> None:
    if values:
        getattr(message, name).extend(values)


def _get_items(message: Any, name: str) -> tuple[Any, ...]:
    return tuple(getattr(message, name))


ITEMS = Codec(_put_items, _get_items)


def _put_labels(message: Any, name: str, values: ReadMapping[str, str]) -> None:
    if values:
        getattr(message, name).update(values)


def _get_labels(message: Any, name: str) -> dict[str, str]:
    """Sorted, since the wire has no order and equal maps should encode equally."""
    values = getattr(message, name)
    return dict(sorted(values.items())) if values else {}


LABELS = Codec(_put_labels, _get_labels)


def enumeration(numbers: dict[E, int], *, absent: E | None = None) -> Codec:
    """A closed set of words; `absent` is the word that None stands for when written."""
    words = {number: word for word, number in numbers.items()}

    def put(message: Any, name: str, value: E | None) -> None:
        word = absent if value is None else value
        if word is None:
            raise AssertionError(f"{message.DESCRIPTOR.name}.{name} can't be left open")
        number = numbers[word]
        if number:
            setattr(message, name, number)

    def get(message: Any, name: str) -> E:
        number = getattr(message, name)
        try:
            return words[number]
        except KeyError:
            choices = ", ".join(f"{known} ({word.name})" for known, word in words.items())
            raise invalid(
                f"{message.DESCRIPTOR.name}.{name} has the unknown value {number}; "
                f"this version knows {choices}"
            ) from None

    return Codec(put, get)


def _put_time(message: Any, name: str, value_ns: int) -> None:
    part = getattr(message, name)
    seconds, nanos = divmod(value_ns, SECOND)
    part.seconds = seconds
    part.nanos = nanos


def _get_time(message: Any, name: str) -> int:
    part = getattr(message, name)
    total: int = part.seconds * SECOND + part.nanos
    return total


def _put_time_unless_zero(message: Any, name: str, value_ns: int) -> None:
    if value_ns:
        _put_time(message, name, value_ns)


TIME = Codec(_put_time_unless_zero, _get_time)
TIME_ALWAYS = Codec(_put_time, _get_time)


def _put_duration(message: Any, name: str, value_ns: int) -> None:
    part = getattr(message, name)
    seconds, nanos = divmod(abs(value_ns), SECOND)
    part.seconds, part.nanos = (seconds, nanos) if value_ns >= 0 else (-seconds, -nanos)
    part.SetInParent()


def _put_duration_unless_zero(message: Any, name: str, value_ns: int) -> None:
    if value_ns:
        _put_duration(message, name, value_ns)


def _put_duration_unless_none(message: Any, name: str, value_ns: int | None) -> None:
    if value_ns is not None:
        _put_duration(message, name, value_ns)


def _get_duration_or_none(message: Any, name: str) -> int | None:
    return _get_time(message, name) if message.HasField(name) else None


DURATION = Codec(_put_duration_unless_zero, _get_time)
DURATION_ALWAYS = Codec(_put_duration, _get_time)
DURATION_OR_NONE = Codec(_put_duration_unless_none, _get_duration_or_none)


def duration_or(default_ns: int) -> Codec:
    """A duration that is always written and takes a default when a peer leaves it out."""

    def get(message: Any, name: str) -> int:
        return _get_time(message, name) if message.HasField(name) else default_ns

    return Codec(_put_duration, get)


def _put_version(message: Any, name: str, value: int) -> None:
    getattr(message, name).index = value


def _get_version(message: Any, name: str) -> int:
    index: int = getattr(message, name).index
    return index


VERSION = Codec(_put_version, _get_version)


def _put_version_unless_none(message: Any, name: str, value: int | None) -> None:
    if value is not None:
        getattr(message, name).SetInParent()
        _put_version(message, name, value)


def _get_version_or_none(message: Any, name: str) -> int | None:
    return _get_version(message, name) if message.HasField(name) else None


VERSION_OR_NONE = Codec(_put_version_unless_none, _get_version_or_none)


def optional(mapping: Mapping[Any, Any]) -> Codec:
    """A submessage that may be absent, as None."""

    def put(message: Any, name: str, value: Any) -> None:
        if value is not None:
            part = getattr(message, name)
            part.SetInParent()
            mapping.fill(value, part)

    def get(message: Any, name: str) -> Any:
        return mapping.from_pb(getattr(message, name)) if message.HasField(name) else None

    return Codec(put, get, mapping)


def always(mapping: Mapping[Any, Any]) -> Codec:
    """A submessage that is always written; when a peer leaves it out it has its defaults."""

    def put(message: Any, name: str, value: Any) -> None:
        part = getattr(message, name)
        part.SetInParent()
        mapping.fill(value, part)

    def get(message: Any, name: str) -> Any:
        if message.HasField(name):
            return mapping.from_pb(getattr(message, name))
        return mapping.record_type()

    return Codec(put, get, mapping)


def inline(mapping: Mapping[Any, Any]) -> Codec:
    """A record of its own whose fields lie directly in the message."""

    def put(message: Any, name: str, value: Any) -> None:
        mapping.fill(value, message)

    def get(message: Any, name: str) -> Any:
        return mapping.from_pb(message)

    return Codec(put, get, mapping, inline=True)


def each(mapping: Mapping[Any, Any]) -> Codec:
    """A list of submessages."""

    def put(message: Any, name: str, values: tuple[Any, ...]) -> None:
        if values:
            items = getattr(message, name)
            for value in values:
                mapping.fill(value, items.add())

    def get(message: Any, name: str) -> tuple[Any, ...]:
        return tuple(mapping.from_pb(item) for item in getattr(message, name))

    return Codec(put, get, mapping)
