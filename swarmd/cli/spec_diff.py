"""What differs between two specs of a service, in the names that `inspect` shows. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

from swarmd.model.spec import ServiceSpec

MISSING = object()
SUMMARY_MAX = 3


class Difference(NamedTuple):
    """One place in the spec; `before` or `after` is None where the place is only in one of them."""

    path: str
    before: str | None
    after: str | None


def differences(before: ServiceSpec, after: ServiceSpec) -> list[Difference]:
    """Every place in which two specs differ, in the order of their fields."""
    found: list[Difference] = []
    _compare("", msgspec.to_builtins(before), msgspec.to_builtins(after), found)
    return found


def lines(found: list[Difference]) -> list[str]:
    """The differences as people read them: what goes with `-`, what comes with `+`."""
    shown: list[str] = []
    for path, before, after in found:
        if before is not None:
            shown.append(f"- {path}: {before}")
        if after is not None:
            shown.append(f"+ {path}: {after}")
    return shown


def summary(found: list[Difference]) -> str:
    """The differences in one line, for tables."""
    if not found:
        return "nothing"
    short = [
        f"{path.rpartition('.')[2]} {'none' if before is None else before}"
        f" -> {'none' if after is None else after}"
        for path, before, after in found[:SUMMARY_MAX]
    ]
    more = len(found) - len(short)
    return ", ".join([*short, f"{more} more"] if more else short)


def _compare(path: str, before: Any, after: Any, found: list[Difference]) -> None:
    if before == after:
        return
    if isinstance(before, Mapping) or isinstance(after, Mapping):
        left = before if isinstance(before, Mapping) else {}
        right = after if isinstance(after, Mapping) else {}
        for key in dict.fromkeys((*left, *right)):
            inner = f"{path}.{key}" if path else str(key)
            _compare(inner, left.get(key, MISSING), right.get(key, MISSING), found)
    elif isinstance(before, tuple) or isinstance(after, tuple):
        gone = [item for item in _items(before) if item not in _items(after)]
        come = [item for item in _items(after) if item not in _items(before)]
        if gone or come:
            found.extend(Difference(path, _text(item), None) for item in gone)
            found.extend(Difference(path, None, _text(item)) for item in come)
        else:  # the same items in another order, or another number of times
            found.append(Difference(path, _shown(before), _shown(after)))
    else:
        found.append(Difference(path, _shown(before), _shown(after)))


def _items(value: Any) -> tuple[Any, ...]:
    return value if isinstance(value, tuple) else ()


def _shown(value: Any) -> str | None:
    return None if value is MISSING else _text(value)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
