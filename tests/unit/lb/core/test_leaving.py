"""What the kernel is to forget, and when."""

from __future__ import annotations

from msgspec.structs import replace

from swarmd.lb.core.leaving import UDP_REST_NS, Due, Leaving
from swarmd.model.ids import NetworkId, NodeId, ServiceId, TaskId
from swarmd.model.instant import Instant
from swarmd.network.core.tables import Endpoint, NetworkTable

NOW = Instant(1_000)
LATER = Instant(NOW + UDP_REST_NS)


def table(**tasks: bool) -> tuple[NetworkTable]:
    """A network of these tasks, which are ready or not."""
    endpoints = {
        TaskId(name): Endpoint(
            TaskId(name), ServiceId("s"), NodeId("n"), (f"address of {name}",), ready=ready
        )
        for name, ready in tasks.items()
    }
    return (replace(NetworkTable(NetworkId("net"), "net"), endpoints=endpoints),)


def test_who_is_gone_is_forgotten_at_once_and_once() -> None:
    leaving = Leaving()
    leaving.note(table(a=True, b=False), table(b=False), NOW)
    assert leaving.due(NOW) == Due(gone=frozenset({"address of a"}))
    assert not leaving.due(NOW)


def test_udp_clients_move_on_when_answers_under_way_have_arrived() -> None:
    leaving = Leaving()
    leaving.note(table(a=True), table(a=False), NOW)
    assert not leaving.due(Instant(LATER - 1))
    assert leaving
    assert leaving.due(LATER) == Due(moved=frozenset({"address of a"}))
    assert not leaving


def test_who_is_back_is_not_forgotten() -> None:
    leaving = Leaving()
    leaving.note(table(a=True, b=True), table(b=False), NOW)
    leaving.note(table(b=False), table(a=True, b=True), NOW)
    assert not leaving.due(LATER)


def test_what_could_not_be_forgotten_is_due_again() -> None:
    leaving = Leaving()
    due = Due(gone=frozenset({"x"}), moved=frozenset({"y"}))
    leaving.put_back(due, NOW)
    assert leaving.due(LATER) == due
