from hypothesis import given
from hypothesis import strategies as st

from swarmd.raft.journal import Journal
from swarmd.raft.messages import Append
from swarmd.raft.rules import Accept, Ask, Contradiction, Known, agreed, judge_append, up_to_date


def journal(*terms: int, first: int = 1) -> Journal:
    return Journal([(b"c%d" % (first + i), first + i, term) for i, term in enumerate(terms)])


def append(prev_index: int, prev_term: int, *terms: int, commit: int = 0) -> Append:
    return Append(9, commit, prev_index, prev_term, 1, tuple((t, b"n") for t in terms))


def test_new_entries_after_a_matching_one_are_accepted() -> None:
    assert judge_append(journal(1, 1), 1, append(2, 1, 2, 2)) == Accept(
        2, 1, ((2, b"n"), (2, b"n"))
    )


def test_entries_that_are_here_already_are_not_appended_again() -> None:
    assert judge_append(journal(1, 1, 2, 2), 1, append(1, 1, 1, 2, 2)) == Known(4)


def test_a_repeated_older_append_does_not_cut_acknowledged_entries() -> None:
    assert judge_append(journal(1, 1, 2, 2, 2), 2, append(2, 1, 2)) == Known(3)


def test_only_the_new_part_of_an_overlapping_append_is_accepted() -> None:
    assert judge_append(journal(1, 1, 2), 1, append(1, 1, 1, 2, 3)) == Accept(3, 2, ((3, b"n"),))


def test_a_conflicting_tail_is_replaced_from_the_first_conflict_on() -> None:
    assert judge_append(journal(1, 1, 2, 2), 2, append(2, 1, 3)) == Accept(2, 1, ((3, b"n"),))


def test_a_conflict_below_the_commit_index_is_a_contradiction() -> None:
    assert isinstance(judge_append(journal(1, 1, 2, 2), 3, append(2, 1, 3)), Contradiction)
    assert isinstance(judge_append(journal(1, 1, 2, 2), 3, append(3, 9)), Contradiction)


def test_a_wrong_previous_term_asks_for_everything_after_the_commit_index() -> None:
    assert judge_append(journal(1, 1, 2, 2, 2, 2), 2, append(6, 3)) == Ask(3)


def test_a_gap_asks_for_what_follows_the_last_entry() -> None:
    assert judge_append(journal(1, 1), 1, append(7, 2, 2)) == Ask(3)


def test_entries_older_than_the_journal_ask_for_what_follows_the_last_entry() -> None:
    assert judge_append(journal(3, 3, first=50), 51, append(20, 1, 1)) == Ask(52)


@given(st.integers(0, 20), st.lists(st.integers(0, 20), max_size=6))
def test_agreed_is_what_a_majority_has_reached(own: int, others: list[int]) -> None:
    value, everybody = agreed(own, others), [own, *others]
    majority = len(everybody) // 2 + 1
    assert sum(v >= value for v in everybody) >= majority
    assert sum(v > value for v in everybody) < majority


@given(st.data())
def test_accepting_always_ends_in_the_leaders_log(data: st.DataObject) -> None:
    """Whatever matches is kept, and after the cut both logs are equal to the message's end."""
    common = data.draw(st.lists(st.just(1), min_size=1, max_size=5))
    mine = common + data.draw(st.lists(st.integers(2, 3), max_size=4).map(sorted))
    leader = common + data.draw(st.lists(st.integers(2, 4), max_size=4).map(sorted))
    start = data.draw(st.integers(1, len(common)))
    message = append(start, 1, *leader[start:])
    verdict = judge_append(journal(*mine), len(common), message)
    if isinstance(verdict, Accept):
        result = mine[: verdict.prev_index] + [term for term, _ in verdict.entries]
        assert result == leader
        assert verdict.prev_index >= len(common)
    else:
        assert isinstance(verdict, Known)
        assert mine[: verdict.match_index] == leader[: verdict.match_index]
        assert verdict.match_index == len(leader)


def test_a_candidate_must_have_the_later_term_or_the_longer_log() -> None:
    log = journal(1, 2, 2)
    assert up_to_date(log, 3, 2)
    assert up_to_date(log, 1, 3)
    assert not up_to_date(log, 2, 2)
    assert not up_to_date(log, 9, 1)
