"""Long looks in portions, so that who looks can let others have their turn in between.

A generator of portions yields how much it has looked at since it last did, in tasks and nodes, and
returns what it found. What it reads may change between two portions, so it works on what it has
taken in, and whoever acts on the answer asks the store again.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from typing import TypeAlias, TypeVar

T = TypeVar("T")

Portions: TypeAlias = Generator[int, None, T]

PORTION = 500


def portions_of(items: Sequence[T]) -> Iterator[Sequence[T]]:
    """The items a portion at a time."""
    for start in range(0, len(items), PORTION):
        yield items[start : start + PORTION]


def at_once(look: Portions[T]) -> T:
    """The answer of a look that is made at once."""
    while True:
        try:
            next(look)
        except StopIteration as done:
            answer: T = done.value
            return answer
