"""Affinities as text, in the words of classic Swarm: what else runs on a node.

`service==web` asks for a node with a task of that service, `image!=mysql*` for one without such an
image, `container==web.1` (or `task==`) for the node of a certain task, and any other key is a label
of a service or its containers: `com.example.type!=batch`. A value may be a glob or a `/regular
expression/`; a `~` before it makes a wish of it.
"""

from __future__ import annotations

import re
from enum import Enum
from typing import NamedTuple

from swarmd.model.constraint import split_comparison
from swarmd.model.pattern import pattern_of

VALUE_LENGTH_MAX = 256
_KEY = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9\-_./]*")


class Subject(Enum):
    """What of the tasks on a node is compared."""

    IMAGE = "image"
    SERVICE = "service"
    TASK = "task"
    LABEL = "label"


_SUBJECTS = {
    "image": Subject.IMAGE,
    "service": Subject.SERVICE,
    "task": Subject.TASK,
    "container": Subject.TASK,
}


class Affinity(NamedTuple):
    key: str
    equal: bool  # False: no such task may be there
    value: str
    soft: bool = False

    @property
    def subject(self) -> Subject:
        return _SUBJECTS.get(self.key, Subject.LABEL)

    @property
    def text(self) -> str:
        """The affinity as one writes it."""
        return f"{self.key}{'==' if self.equal else '!='}{'~' if self.soft else ''}{self.value}"


def parse_affinity(text: str) -> Affinity:
    """The parts of one affinity.

    Raises:
        ValueError: the text is not an affinity; the message says what is wrong with it.
    """
    parts = split_comparison(text)
    if parts is None:
        raise ValueError(
            f"affinity {text!r} compares nothing; write for example service==web, image!=mysql* "
            "or, as a wish, service==~web"
        )
    if not _KEY.fullmatch(parts.key):
        raise ValueError(
            f"affinity {text!r} has an invalid key {parts.key!r}; "
            "it is image, service, task, container or the name of a label"
        )
    if not parts.value or not parts.value.isprintable():
        raise ValueError(f"affinity {text!r} has no value to compare with")
    if len(parts.value) > VALUE_LENGTH_MAX:
        raise ValueError(
            f"affinity {text[:80]!r} has a value of {len(parts.value)} characters, "
            f"the limit is {VALUE_LENGTH_MAX}"
        )
    try:
        pattern_of(parts.value)
    except ValueError as error:
        raise ValueError(f"affinity {text!r}: {error}") from None
    return Affinity(*parts)
