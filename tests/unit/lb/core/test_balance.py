"""Rounds by weight, and where they begin."""

from __future__ import annotations

from collections import Counter
from math import gcd

from hypothesis import given
from hypothesis import strategies as st

from swarmd.lb.core.balance import from_place, ring, start_of, unserved
from swarmd.model.states import Balance


def test_turns_are_spread_over_the_round() -> None:
    assert "".join(ring("ab", (3, 1))) == "aaba"
    assert "".join(ring("abc", (4, 2, 1))) == "abacaba"


def test_weights_count_beside_each_other() -> None:
    assert ring("ab", (100, 50)) == ring("ab", (2, 1))
    assert ring("ab", (7, 7)) == ("a", "b")


def test_who_has_no_weight_has_no_turn() -> None:
    assert ring("abc", (1, 0, 1)) == ("a", "c")
    assert ring("ab", (0, 0)) == ()


def test_nodes_begin_at_different_places_of_the_same_round() -> None:
    starts = [start_of(f"node-{n}", "10.0.0.2") for n in range(60)]
    firsts = Counter(from_place("abc", start)[0] for start in starts)
    assert min(firsts[name] for name in "abc") >= 10
    assert all(sorted(from_place("abc", start)) == ["a", "b", "c"] for start in starts)
    assert start_of("n1", "10.0.0.2") != start_of("n1", "10.0.0.3")
    assert from_place((), 7) == ()


def test_who_asks_for_what_there_is_not_is_told_by_name() -> None:
    rows = [("web", Balance.ROUND_ROBIN), ("db", Balance.LEAST_CONNECTION)]
    assert unserved(rows, by="nft", lacking=frozenset()) == ()
    [sentence] = unserved(rows, by="nft", lacking=frozenset({Balance.LEAST_CONNECTION}))
    assert "service db asks for balance least-connection, which nft can't do" in sentence


@given(st.lists(st.integers(1, 100), min_size=1, max_size=20))
def test_a_round_has_everybody_as_often_as_their_weight(weights: list[int]) -> None:
    shares = Counter(ring(range(len(weights)), weights))
    divisor = gcd(*weights)
    assert shares == {place: weight // divisor for place, weight in enumerate(weights)}
