"""Taints keep tasks off a node unless they say that they tolerate it.

A taint is `key[=value]:effect`, a toleration `key[=value][:effect]`, or `*` for every taint. What a
toleration leaves out, it does not ask about.
"""

from __future__ import annotations

import re
from enum import Enum
from typing import NamedTuple

TEXT_LENGTH_MAX = 256
_WORD = re.compile(r"[a-zA-Z0-9](?:[a-zA-Z0-9\-_./]*[a-zA-Z0-9])?")
_EFFECTS = "no-schedule, prefer-no-schedule or no-execute"


class Effect(Enum):
    NO_SCHEDULE = "no-schedule"  # no new tasks
    PREFER_NO_SCHEDULE = "prefer-no-schedule"  # new tasks only if no other node can take them
    NO_EXECUTE = "no-execute"  # no tasks at all: what runs there is moved away


class Taint(NamedTuple):
    key: str
    value: str
    effect: Effect

    @property
    def text(self) -> str:
        value = f"={self.value}" if self.value else ""
        return f"{self.key}{value}:{self.effect.value}"


class Toleration(NamedTuple):
    key: str  # empty: every key
    value: str | None  # None: every value
    effect: Effect | None  # None: every effect

    def covers(self, taint: Taint) -> bool:
        return (
            self.key in ("", taint.key)
            and self.value in (None, taint.value)
            and self.effect in (None, taint.effect)
        )


def parse_taint(text: str) -> Taint:
    """The parts of a taint.

    Raises:
        ValueError: the text is no taint; the message says what is wrong with it.
    """
    key, value, effect = _parts("taint", text)
    if effect is None:
        raise ValueError(f"taint {text!r} has no effect; write key:effect with {_EFFECTS}")
    return Taint(key, value or "", effect)


def parse_toleration(text: str) -> Toleration:
    """The parts of a toleration.

    Raises:
        ValueError: the text is no toleration; the message says what is wrong with it.
    """
    if text == "*":
        return Toleration("", None, None)
    return Toleration(*_parts("toleration", text))


def _parts(kind: str, text: str) -> tuple[str, str | None, Effect | None]:
    if len(text) > TEXT_LENGTH_MAX:
        raise ValueError(
            f"{kind} {text[:80]!r} is {len(text)} characters long, the limit is {TEXT_LENGTH_MAX}"
        )
    rest, colon, effect = text.partition(":")
    key, equals, value = rest.partition("=")
    if not _WORD.fullmatch(key):
        raise ValueError(f"{kind} {text!r} has no valid key; write for example gpu=yes:no-schedule")
    if value and not _WORD.fullmatch(value):
        raise ValueError(f"{kind} {text!r} has an invalid value {value!r}")
    try:
        named = Effect(effect) if colon else None
    except ValueError:
        raise ValueError(f"{kind} {text!r} has the effect {effect!r}; use {_EFFECTS}") from None
    return key, value if equals else None, named
