import pytest

from swarmd.raft.members import (
    Change,
    Configuration,
    ConfigurationLog,
    Member,
    Operation,
    encode_change,
    parse_change,
)
from swarmd.raft.membership import removal_problem


def member(name: str, generation: int = 0, port: int = 1) -> Member:
    return Member(f"{name}.{generation}", name, f"{name}:{port}")


A, B, C = member("a"), member("b"), member("c")
THREE = Configuration((A, B, C))


def test_a_change_survives_its_encoding() -> None:
    change = Change(Operation.ADD, A)
    assert parse_change(encode_change(change)) == change
    assert parse_change(b"\x20data") is None


def test_adding_and_removing_keeps_members_sorted_and_remembers_the_removed() -> None:
    configuration = Configuration((B,)).changed(Change(Operation.ADD, A))
    assert configuration.members == (A, B)
    configuration = configuration.changed(Change(Operation.REMOVE, B))
    assert configuration.members == (A,)
    assert configuration.was_removed("b.0")
    assert configuration.node_was_removed("b")


def test_a_node_that_joins_anew_is_no_longer_a_removed_node() -> None:
    configuration = THREE.changed(Change(Operation.REMOVE, B))
    configuration = configuration.changed(Change(Operation.ADD, member("b", 1)))
    assert not configuration.node_was_removed("b")
    assert configuration.was_removed("b.0")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        pytest.param(Change(Operation.ADD, A), "already part", id="same member"),
        pytest.param(Change(Operation.ADD, member("a", 1)), "remove that member", id="same node"),
        pytest.param(Change(Operation.REMOVE, member("x")), "not part", id="unknown"),
    ],
)
def test_a_senseless_change_is_refused_and_changes_nothing(change: Change, words: str) -> None:
    problem = THREE.problem(change)
    assert problem is not None
    assert words in problem
    assert THREE.changed(change) == THREE


def test_a_removed_raft_id_never_comes_back() -> None:
    configuration = THREE.changed(Change(Operation.REMOVE, C))
    assert configuration.changed(Change(Operation.ADD, C)) == configuration


def test_moving_changes_only_the_address() -> None:
    moved = THREE.changed(Change(Operation.MOVE, member("b", 0, 99)))
    assert moved.find("b.0") == member("b", 0, 99)
    assert len(moved.members) == 3


def test_founding_leaves_one_member_and_removes_the_others_for_ever() -> None:
    founded = THREE.changed(Change(Operation.FOUND, member("a", 1)))
    assert founded.members == (member("a", 1),)
    assert all(founded.was_removed(f"{name}.0") for name in "abc")


def test_the_configuration_in_force_follows_appends_and_cuts() -> None:
    log = ConfigurationLog(Configuration((A,)))
    assert not log.append(2, b"\x20data")
    assert log.append(3, encode_change(Change(Operation.ADD, B)))
    assert log.append(5, encode_change(Change(Operation.ADD, C)))
    assert log.latest == THREE
    assert log.at(4).members == (A, B)
    assert log.truncate(5)
    assert log.latest.members == (A, B)
    assert not log.truncate(4)
    log.compact(3)
    assert log.at(3).members == (A, B)
    with pytest.raises(AssertionError):
        log.at(2)


@pytest.mark.parametrize(
    ("reachable", "allowed"),
    [
        pytest.param({"a.0", "b.0", "c.0"}, True, id="all alive"),
        pytest.param({"a.0", "b.0"}, True, id="the removed one is down"),
        pytest.param({"a.0", "c.0"}, False, id="only one would be left alive"),
    ],
)
def test_removing_must_leave_a_live_quorum(reachable: set[str], allowed: bool) -> None:
    problem = removal_problem(THREE, "c.0", reachable)
    assert (problem is None) == allowed
    if problem is not None:
        assert "would lose the quorum" in problem


def test_the_last_member_cannot_be_removed() -> None:
    problem = removal_problem(Configuration((A,)), "a.0", {"a.0"})
    assert problem is not None
    assert "only manager" in problem
