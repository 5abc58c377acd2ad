"""A manager's time goes on from what is written in the log, whoever wrote it."""

from swarmd.manager.swarm_clock import SwarmClock
from swarmd.model.ids import NodeId
from swarmd.model.instant import Instant
from swarmd.model.node import Node
from swarmd.store.changes import Change, Committed, Kind
from tests.support.hand_clock import HandClock


def _entry(now: int, *changes: Change) -> Committed:
    return Committed(index=1, now=Instant(now), changes=changes)


def test_entries_of_the_past_leave_the_manager_with_its_own_clock() -> None:
    own = HandClock(Instant(1_000))
    clock = SwarmClock(own)
    clock.observe(_entry(900))
    assert clock.now() == 1_000


def test_time_goes_on_from_an_entry_of_a_leader_whose_clock_was_ahead() -> None:
    own = HandClock(Instant(1_000))
    clock = SwarmClock(own)
    clock.observe(_entry(5_000))
    assert clock.now() == 5_000
    own.advance(100)
    assert clock.now() == 5_090
    own.advance(100_000)
    assert clock.now() == own.now()


def test_an_installed_snapshot_tells_the_time_by_its_records() -> None:
    clock = SwarmClock(HandClock(Instant(1_000)))
    node = Node(id=NodeId("n1"), updated_at=Instant(7_000))
    clock.observe(_entry(0, Change(Kind.NODE, node.id, None, node)))
    assert clock.now() == 7_000
