"""Placement constraints as text: `node.labels.tier == web`, `node.role != manager`.

Parsing is shared by the API, which refuses what does not parse, and by the scheduler, which
evaluates the parts.
"""

from __future__ import annotations

import re
from typing import NamedTuple

_KEY = re.compile(r"[a-z_][a-z0-9\-_.]+", re.IGNORECASE | re.ASCII)
_VALUE = re.compile(r"[a-z0-9:\-_\s.*()?+\[\]\\^$|/]+", re.IGNORECASE | re.ASCII)


class Constraint(NamedTuple):
    key: str
    equal: bool  # False: the value must differ
    value: str


def parse_constraint(text: str) -> Constraint:
    """The parts of one constraint; `==` is looked for before `!=`.

    Raises:
        ValueError: the text is not a constraint; the message says what is wrong with it.
    """
    for operator, equal in (("==", True), ("!=", False)):
        key, found, value = text.partition(operator)
        if found:
            return _checked(Constraint(key.strip(), equal, value.strip()), text)
    raise ValueError(
        f"constraint {text!r} compares nothing; write key==value or key!=value, "
        "for example node.role==worker"
    )


def _checked(constraint: Constraint, text: str) -> Constraint:
    if not _KEY.fullmatch(constraint.key):
        raise ValueError(
            f"constraint {text!r} has an invalid key {constraint.key!r}; "
            "a key is for example node.hostname or node.labels.rack"
        )
    if not _VALUE.fullmatch(constraint.value):
        raise ValueError(f"constraint {text!r} has an invalid value {constraint.value!r}")
    return constraint
