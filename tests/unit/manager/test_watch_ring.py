"""The latest changes: bounded, found by version and by time."""

from __future__ import annotations

import pytest

from swarmd.manager.watch_ring import ChangeRing
from swarmd.model.instant import Instant
from swarmd.store.changes import Change, Committed, Kind


def committed(index: int, changes: int = 1) -> Committed:
    """A commit at a time of ten times its index."""
    change = Change(Kind.TASK, "t", None, None)
    return Committed(index=index, now=Instant(10 * index), changes=(change,) * changes)


def a_ring(*indexes: int, changes_max: int = 100) -> ChangeRing:
    ring = ChangeRing(changes_max=changes_max)
    for index in indexes:
        ring.append(committed(index))
    return ring


def rest(ring: ChangeRing, position: int) -> list[int]:
    return [ring.at(at).index for at in range(position, ring.end)]  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("version", "found"), [(0, [2, 5, 6]), (2, [5, 6]), (4, [5, 6]), (6, []), (9, [])]
)
def test_what_follows_a_version_is_found(version: int, found: list[int]) -> None:
    ring = a_ring(2, 5, 6)
    assert rest(ring, ring.after_version(version)) == found


@pytest.mark.parametrize(("now", "found"), [(0, [2, 5, 6]), (20, [5, 6]), (55, [6]), (99, [])])
def test_what_follows_a_time_is_found(now: int, found: list[int]) -> None:
    ring = a_ring(2, 5, 6)
    assert rest(ring, ring.after_time(Instant(now))) == found


def test_the_oldest_are_forgotten_and_the_floor_says_so() -> None:
    ring = a_ring(1, 2, 3, 4, changes_max=2)
    assert rest(ring, ring.first) == [3, 4]
    assert ring.floor == 2
    assert ring.at(0) is None


def test_changes_count_and_not_commits() -> None:
    ring = a_ring(1, 2, changes_max=5)
    ring.append(committed(3, changes=4))
    assert rest(ring, ring.first) == [2, 3]
    assert ring.lag(ring.first) == 5


def test_commits_without_changes_take_no_place() -> None:
    ring = a_ring(1)
    ring.append(Committed(index=2, now=Instant(20), changes=()))
    assert rest(ring, ring.first) == [1]


def test_a_restored_snapshot_is_the_new_floor() -> None:
    ring = a_ring(1, 2)
    ring.restart(committed(9, changes=3))
    assert ring.floor == 9
    assert rest(ring, ring.first) == [9]
    assert rest(ring, ring.after_version(9)) == []


def test_a_commit_larger_than_the_ring_is_not_kept() -> None:
    ring = a_ring(1, changes_max=2)
    ring.append(committed(2, changes=3))
    assert ring.first == ring.end
    assert ring.floor == 2
