"""Which manager an agent calls next."""

from __future__ import annotations

import random
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from swarmd.agent.remotes import FAILURE, SUCCESS, Remote, Remotes

A, B, C = Remote("a:1", "ma"), Remote("b:1", "mb"), Remote("c:1", "mc")


def known(*remotes: Remote) -> tuple[Remotes, list[tuple[Remote, ...]]]:
    kept: list[tuple[Remote, ...]] = []
    return Remotes(remotes, rng=random.Random(1), on_change=kept.append), kept


def choices(remotes: Remotes, count: int = 2000) -> Counter[str]:
    return Counter(remote.addr for _ in range(count) if (remote := remotes.select()))


def test_nobody_known_means_nobody_to_call() -> None:
    assert known()[0].select() is None


def test_equals_are_called_equally_often() -> None:
    remotes, _ = known(A, B)
    counts = choices(remotes)
    assert min(counts.values()) > 800


def test_a_manager_that_failed_is_called_only_when_nothing_better_is_left() -> None:
    remotes, _ = known(A, B)
    remotes.observe(A.addr, FAILURE)
    remotes.observe(B.addr, SUCCESS)
    assert choices(remotes)[A.addr] < 10
    only, _ = known(A)
    only.observe(A.addr, FAILURE)
    assert only.select() == A


def test_weights_move_halfway_and_round_up() -> None:
    remotes, _ = known(A)
    weights = []
    for observed in (SUCCESS, SUCCESS, FAILURE, FAILURE):
        remotes.observe(A.addr, observed)
        weights.append(remotes.weight(A.addr))
    assert weights == [5, 8, -1, -5]


def test_strangers_are_not_learnt_by_failing() -> None:
    remotes, _ = known(A)
    remotes.observe("x:1", FAILURE)
    assert remotes.all() == (A,)


def test_the_managers_listed_are_known_from_now_on_and_kept() -> None:
    remotes, kept = known(A, B)
    remotes.replace([(B, 10), (C, 10)])
    assert remotes.all() == (B, C)
    assert kept == [(B, C)]


def test_the_same_list_again_is_not_kept_again() -> None:
    remotes, kept = known(A)
    remotes.replace([(A, 10)])
    assert kept == []


def test_an_empty_list_does_not_leave_the_agent_alone() -> None:
    remotes, kept = known(A)
    remotes.replace([])
    assert remotes.all() == (A,)
    assert kept == []


@given(st.lists(st.integers(-1000, 1000), max_size=20))
def test_weights_stay_within_bounds_and_someone_is_always_called(observed: list[int]) -> None:
    remotes, _ = known(A)
    for weight in observed:
        remotes.observe(A.addr, weight)
    assert -256 <= remotes.weight(A.addr) <= 256
    assert remotes.select() == A
