"""The contact of a node: what renews leases, and how often it is sought."""

from __future__ import annotations

from swarmd.agent.leases import Leases
from swarmd.model.ids import TaskId
from swarmd.model.instant import SECOND

T1, T2 = TaskId("t1"), TaskId("t2")


def test_a_lease_counts_from_when_the_answered_heartbeat_was_sent() -> None:
    leases = Leases(now=lambda: 20 * SECOND)
    assert not leases.is_valid(100 * SECOND)  # nobody has answered yet
    leases.answered(11 * SECOND)
    assert leases.is_valid(10 * SECOND)
    assert not leases.is_valid(9 * SECOND)


def test_an_answer_that_comes_late_takes_nothing_back() -> None:
    leases = Leases(now=lambda: 20 * SECOND)
    leases.answered(15 * SECOND)
    leases.answered(12 * SECOND)
    assert leases.contact == 15 * SECOND


def test_the_keeper_is_told_of_answers_while_a_task_has_a_lease() -> None:
    told: list[int] = []
    leases = Leases(now=lambda: 0)
    leases.on_answer = told.append
    leases.answered(1)
    leases.hold(T1, 10 * SECOND)
    leases.hold(T2, 0)
    leases.answered(2)
    leases.drop(T1)
    leases.answered(3)
    assert told == [2]


def test_heartbeats_come_often_enough_for_the_shortest_lease() -> None:
    leases = Leases(now=lambda: 0)
    assert leases.beat_within_ns(30 * SECOND) == 30 * SECOND
    leases.hold(T1, 15 * SECOND)
    leases.hold(T2, 60 * SECOND)
    assert leases.beat_within_ns(30 * SECOND) == 5 * SECOND
    assert leases.beat_within_ns(1 * SECOND) == 1 * SECOND
