"""Placement constraints as text: `node.labels.tier == web`, `node.role != manager`.

Parsing is shared by the API, which refuses what does not parse, and by the scheduler, which
evaluates the parts. A value may be a glob or a `/regular expression/`; a `~` before it makes the
constraint a wish: nodes that meet it are preferred, others are taken if need be.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from swarmd.model.pattern import is_regex, pattern_of

_KEY = re.compile(r"[a-z_][a-z0-9\-_.]+", re.IGNORECASE | re.ASCII)
_VALUE = re.compile(r"[a-z0-9:\-_\s.*()?+\[\]\\^$|/]+", re.IGNORECASE | re.ASCII)


class Constraint(NamedTuple):
    key: str
    equal: bool  # False: the value must differ
    value: str
    soft: bool = False

    @property
    def text(self) -> str:
        """The constraint as one writes it."""
        return f"{self.key}{'==' if self.equal else '!='}{'~' if self.soft else ''}{self.value}"


class Comparison(NamedTuple):
    """The parts of `key==value`, of whatever kind."""

    key: str
    equal: bool
    value: str
    soft: bool


def split_comparison(text: str) -> Comparison | None:
    """`key==value`, `key!=value`, or with `~` before the value; `==` is looked for before `!=`."""
    for operator, equal in (("==", True), ("!=", False)):
        key, found, value = text.partition(operator)
        if found:
            value = value.strip()
            soft = value.startswith("~")
            return Comparison(key.strip(), equal, value[soft:].strip(), soft)
    return None


def parse_constraint(text: str) -> Constraint:
    """The parts of one constraint.

    Raises:
        ValueError: the text is not a constraint; the message says what is wrong with it.
    """
    parts = split_comparison(text)
    if parts is None:
        raise ValueError(
            f"constraint {text!r} compares nothing; write key==value or key!=value, "
            "for example node.role==worker"
        )
    if not _KEY.fullmatch(parts.key):
        raise ValueError(
            f"constraint {text!r} has an invalid key {parts.key!r}; "
            "a key is for example node.hostname or node.labels.rack"
        )
    if is_regex(parts.value):
        try:
            pattern_of(parts.value, ignore_case=True)
        except ValueError as error:
            raise ValueError(f"constraint {text!r}: {error}") from None
    elif not _VALUE.fullmatch(parts.value):
        raise ValueError(f"constraint {text!r} has an invalid value {parts.value!r}")
    return Constraint(*parts)
