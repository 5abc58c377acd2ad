"""Round robin: exact, stable under change, kind to targets that failed."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from swarmd.lb.core.rotation import REST_FIRST_NS, REST_LONGEST_NS, Rotation, Target
from swarmd.model.ids import TaskId
from swarmd.model.states import Balance


def target(name: str) -> Target:
    return Target(task_id=TaskId(name), address="10.0.0.1", port=80)


A, B, C, D = (target(name) for name in "abcd")


def served(rotation: Rotation, count: int, now_ns: int = 0) -> str:
    return "".join(str(picked.task_id) for picked in picks(rotation, count, now_ns))


def picks(rotation: Rotation, count: int, now_ns: int = 0) -> list[Target]:
    chosen = [rotation.next(now_ns) for _ in range(count)]
    return [picked for picked in chosen if picked is not None]


def test_targets_take_turns_in_order() -> None:
    assert served(Rotation((C, A, B)), 7) == "abcabca"


def test_nodes_may_begin_at_different_places() -> None:
    assert served(Rotation((A, B, C), start=4), 4) == "bcab"


def test_an_empty_circle_has_nobody() -> None:
    assert Rotation().next(0) is None


def test_a_newcomer_neither_skips_nor_repeats_anyone() -> None:
    rotation = Rotation((A, B, D))
    assert served(rotation, 2) == "ab"
    rotation.replace((A, B, C, D))
    # d was next, so it stays next; c has its turn in the following round.
    assert served(rotation, 4) == "dabc"


def test_when_the_next_one_leaves_its_successor_follows() -> None:
    rotation = Rotation((A, B, C))
    assert served(rotation, 1) == "a"
    rotation.replace((A, C))
    assert served(rotation, 3) == "cac"


def test_a_circle_that_was_empty_begins_anew() -> None:
    rotation = Rotation((A,))
    rotation.replace(())
    rotation.replace((B, C))
    assert served(rotation, 2) == "bc"


def test_a_failed_target_is_passed_by_while_it_rests() -> None:
    rotation = Rotation((A, B, C))
    rotation.failed(B, now_ns=0)
    assert served(rotation, 4, now_ns=REST_FIRST_NS - 1) == "acac"
    assert "b" in served(rotation, 3, now_ns=REST_FIRST_NS)


def test_rest_doubles_with_each_failure_in_a_row_up_to_a_limit() -> None:
    rotation, now = Rotation((A, B)), 0
    lengths = []
    for _ in range(6):
        rotation.failed(B, now)
        start = now
        while "b" not in served(rotation, 2, now):
            now += REST_FIRST_NS
        lengths.append((now - start) // REST_FIRST_NS)
    longest = REST_LONGEST_NS // REST_FIRST_NS
    assert lengths == [1, 2, 4, longest, longest, longest]


def test_failures_noticed_by_several_connections_at_once_count_as_one() -> None:
    rotation = Rotation((A, B))
    rotation.failed(B, 0)
    rotation.failed(B, 1)
    assert "b" in served(rotation, 2, REST_FIRST_NS)


def test_a_target_that_answered_is_awake() -> None:
    rotation = Rotation((A, B))
    rotation.failed(B, 0)
    rotation.answered(B)
    assert served(rotation, 2) == "ab"


def test_when_all_rest_they_are_tried_all_the_same() -> None:
    rotation = Rotation((A, B))
    rotation.failed(A, 0)
    rotation.failed(B, 0)
    assert served(rotation, 4) == "abab"


def test_nobody_is_tried_twice_for_one_connection() -> None:
    rotation = Rotation((A, B))
    assert rotation.next(0, tried=(A,)) == B
    assert rotation.next(0, tried=(A, B)) is None


def test_a_target_at_another_port_has_no_past() -> None:
    rotation = Rotation((A, B))
    rotation.failed(B, 0)
    moved = Target(task_id=B.task_id, address=B.address, port=81)
    rotation.replace((A, moved))
    assert picks(rotation, 2) == [A, moved]


def test_a_failure_of_a_target_that_has_left_is_ignored() -> None:
    rotation = Rotation((A,))
    rotation.failed(B, 0)
    rotation.replace((A, B))
    assert served(rotation, 2) == "ab"


def test_each_round_has_every_target_as_often_as_its_weight_says_spread_over_the_round() -> None:
    rotation = Rotation((A, B), weights=(3, 1))
    assert served(rotation, 8) == "abaaabaa"


def test_weights_count_from_the_next_turn_after_a_change() -> None:
    rotation = Rotation((A, B, C), weights=(1, 1, 2))
    served(rotation, 3)
    rotation.replace((A, B, C), weights=(2, 1, 1))
    assert Counter(served(rotation, 40)) == {"a": 20, "b": 10, "c": 10}
    rotation.replace((A, B, C))
    assert Counter(served(rotation, 3)) == {"a": 1, "b": 1, "c": 1}


def test_by_source_hash_a_client_has_one_target_wherever_it_comes_in() -> None:
    nodes = [
        Rotation((A, B, C, D), start=n, balance=Balance.SOURCE_HASH, weights=(1, 2, 3, 4))
        for n in range(3)
    ]
    clients = [f"10.0.{n // 250}.{n % 250}" for n in range(2000)]
    found = [[node.next(0, client=client) for client in clients] for node in nodes]
    assert found[0] == found[1] == found[2]
    shares = Counter(str(one.task_id) for one in found[0] if one is not None)
    for name, weight in zip("abcd", (1, 2, 3, 4), strict=True):
        assert abs(shares[name] - 200 * weight) < 60


def test_a_client_by_hash_has_another_target_only_while_its_own_rests() -> None:
    rotation = Rotation((A, B, C), balance=Balance.SOURCE_HASH)
    own = rotation.next(0, client="10.0.0.1")
    assert own is not None
    rotation.failed(own, 0)
    assert rotation.next(0, client="10.0.0.1") not in (own, None)
    assert rotation.next(0, tried=(A, B, C), client="10.0.0.1") is None
    assert rotation.next(REST_FIRST_NS, client="10.0.0.1") == own


def test_by_least_connection_who_has_fewest_for_its_weight_gets_the_next() -> None:
    rotation = Rotation((A, B), balance=Balance.LEAST_CONNECTION, weights=(2, 1))
    names = ""
    for _ in range(6):
        [chosen] = picks(rotation, 1)
        rotation.began(chosen)
        names += chosen.task_id
    assert Counter(names) == {"a": 4, "b": 2}
    rotation.ended(B)
    rotation.ended(B)
    assert served(rotation, 2) == "bb"


def test_of_those_with_equally_few_connections_the_next_in_turn_gets_it() -> None:
    assert served(Rotation((A, B, C), start=1, balance=Balance.LEAST_CONNECTION), 4) == "bcab"


NAMES = st.sets(st.sampled_from("abcdefgh"), min_size=1)


@given(NAMES, st.integers(0, 20), st.integers(0, 40))
def test_between_changes_shares_differ_by_at_most_one(
    names: set[str], start: int, count: int
) -> None:
    rotation = Rotation([target(name) for name in names], start=start)
    shares = Counter(dict.fromkeys(names, 0))
    shares.update(served(rotation, count))
    assert max(shares.values()) - min(shares.values()) <= 1


@given(st.lists(NAMES, min_size=1, max_size=8), st.integers(0, 5))
def test_whoever_stays_through_changes_is_never_starved(
    changes: list[set[str]], between: int
) -> None:
    """Between two turns of a target that stays, nobody else has more than two."""
    rotation = Rotation([target("m")])
    since: Counter[str] = Counter()
    for names in changes:
        rotation.replace([target("m"), *(target(name) for name in names)])
        for name in served(rotation, between):
            since = Counter() if name == "m" else since + Counter({name: 1})
            assert all(turns <= 2 for turns in since.values())


@given(st.dictionaries(st.sampled_from("abcdefgh"), st.integers(1, 9), min_size=1))
def test_in_as_many_turns_as_there_is_weight_everybody_has_their_share(
    weights: dict[str, int],
) -> None:
    rotation = Rotation([target(name) for name in weights], weights=tuple(weights.values()))
    for _ in range(3):
        assert Counter(served(rotation, sum(weights.values()))) == weights
