"""Streams of lines that break off and continue."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from swarmd.model.log_progress import OVERLAP_NS, Progress

Line = tuple[int, str, int]  # time, task, number
BASE = 10 * OVERLAP_NS


def numbers_in(lines: bytes) -> list[int]:
    return [int(line[22:]) for line in lines.splitlines()]


def told(progress: Progress, lines: list[Line]) -> list[int]:
    """The numbers of those lines that are new, when they come one task's after the other's."""
    seen: list[int] = []
    for task, of_task in itertools.groupby(lines, key=lambda line: line[1]):
        portion = b"".join(b"%019d o %d\n" % (time, number) for time, _, number in of_task)
        seen += numbers_in(progress.fresh(task, portion))
    return seen


@given(
    st.lists(st.tuples(st.integers(0, 6), st.sampled_from("ab")), max_size=20),
    st.lists(st.integers(0, 20), max_size=4),
    st.integers(1, 5),
    st.booleans(),
)
def test_nothing_is_lost_or_repeated_wherever_it_breaks_off(
    said: list[tuple[int, str]], breaks: list[int], size: int, by_another: bool
) -> None:
    lines = [(BASE + time, task, number) for number, (time, task) in enumerate(sorted(said))]
    progress = Progress()
    seen: list[int] = []
    start = 0
    for stop in [*breaks, len(lines)]:
        for begin in range(start, max(stop, start), size):
            seen += told(progress, lines[begin : min(begin + size, stop)])
        if by_another:
            progress = Progress(progress.reached())
        since = progress.resume()
        start = next((n for n, line in enumerate(lines) if line[0] >= (since or 0)), len(lines))
    assert seen == list(range(len(lines)))


def test_only_what_is_recent_is_asked_for_again() -> None:
    progress = Progress()
    assert progress.resume() is None
    told(progress, [(BASE, "a", 1), (BASE + 5, "b", 2)])
    assert progress.resume() == BASE + 5 - OVERLAP_NS


def test_another_reader_needs_to_know_of_recent_tasks_only() -> None:
    progress = Progress()
    told(progress, [(BASE, "a", 1), (BASE + OVERLAP_NS + 1, "b", 2)])
    assert progress.reached() == {"b": (BASE + OVERLAP_NS + 1, 1)}
