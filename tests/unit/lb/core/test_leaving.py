"""What the kernel is to forget, and when."""

from __future__ import annotations

from msgspec.structs import replace

from swarmd.lb.core.leaving import LED_ON_NS, UDP_REST_NS, Due, Leaving
from swarmd.model.ids import NetworkId, NodeId, ServiceId, TaskId
from swarmd.model.instant import Instant
from swarmd.network.core.tables import Endpoint, NetworkTable

NOW = Instant(1_000)
LATER = Instant(NOW + UDP_REST_NS)


def table(version: int = 0, **tasks: bool) -> tuple[NetworkTable]:
    """A network of these tasks, which are ready or not."""
    endpoints = {
        TaskId(name): Endpoint(
            TaskId(name), ServiceId("s"), NodeId("n"), (f"address of {name}",), ready=ready
        )
        for name, ready in tasks.items()
    }
    return (NetworkTable(NetworkId("net"), "net", version, endpoints=endpoints),)


def test_who_is_gone_is_forgotten_at_once_and_once() -> None:
    leaving = Leaving()
    leaving.note(table(a=True, b=False), table(b=False), NOW)
    due = leaving.gone(NOW)
    assert due == Due(gone=frozenset({"address of a"}), at=NOW)
    leaving.done(due)
    assert not leaving.gone(NOW)


def test_what_the_task_s_own_node_leads_on_gets_time_to_come_to_its_end() -> None:
    leaving = Leaving()
    own = frozenset({"address of a"})
    leaving.note(table(a=True, b=True), table(), NOW, own=own)
    due = leaving.gone(NOW)
    assert due == Due(gone=own, at=NOW)
    leaving.done(due)
    led_on = Instant(NOW + LED_ON_NS)
    assert leaving
    assert not leaving.gone(Instant(led_on - 1))
    assert leaving.gone(led_on) == Due(gone=frozenset({"address of b"}), at=led_on)


def test_udp_clients_move_on_when_answers_under_way_have_arrived() -> None:
    leaving = Leaving()
    leaving.note(table(a=True), table(a=False), NOW)
    assert not leaving.moved(Instant(LATER - 1))
    assert leaving
    due = leaving.moved(LATER)
    assert due == Due(moved=frozenset({"address of a"}), at=LATER)
    leaving.done(due)
    assert not leaving


def test_it_is_told_since_which_version_clients_are_still_to_be_moved() -> None:
    leaving = Leaving()
    leaving.note(table(a=True, b=True), table(a=False, b=True, version=8), NOW)
    leaving.note(table(b=True, version=8), table(b=False, version=9), LATER)
    assert leaving.moving == {NetworkId("net"): 1}
    leaving.done(leaving.moved(LATER))
    assert leaving.moving == {NetworkId("net"): 9}
    leaving.done(leaving.moved(Instant(LATER + UDP_REST_NS)))
    assert leaving.moving == {}


def test_clients_are_not_moved_by_a_walk_that_began_before_their_task_left_again() -> None:
    leaving = Leaving()
    leaving.note(table(a=True), table(a=False), NOW)
    under_way = leaving.moved(LATER)
    leaving.note(table(a=False), table(a=True), LATER)
    leaving.note(table(a=True, version=5), table(a=False, version=6), LATER)
    leaving.done(under_way)
    assert leaving.moving == {NetworkId("net"): 6}


def test_tasks_that_get_no_datagrams_have_nobody_to_move() -> None:
    leaving = Leaving()
    leaving.note(table(a=True), table(a=False), NOW, moves=frozenset())
    assert not leaving


def test_who_is_back_is_not_forgotten() -> None:
    leaving = Leaving()
    leaving.note(table(a=True, b=True), table(b=False), NOW)
    leaving.note(table(b=False), table(a=True, b=True), NOW)
    assert not leaving.moved(LATER)
    assert not leaving.gone(LATER)
    assert not leaving


def test_what_could_not_be_forgotten_is_due_again() -> None:
    leaving = Leaving()
    leaving.note(table(a=True, b=True), table(b=False), NOW)
    moved, gone = leaving.moved(LATER), leaving.gone(LATER)
    assert moved == Due(moved=frozenset({"address of b"}), at=LATER)
    assert gone == Due(gone=frozenset({"address of a"}), at=LATER)
    leaving.failed(moved, LATER)
    assert leaving.gone(LATER) == gone, "one is not held up by the other"
    leaving.failed(gone, LATER)
    assert leaving.ending
    assert not leaving.moved(LATER)
    assert not leaving.gone(LATER)
    again = Instant(LATER + UDP_REST_NS)
    assert leaving.moved(again) == replace(moved, at=again)
    assert leaving.gone(again) == replace(gone, at=again)
