"""Deltas of a network's table: applied to one version alone, cut into pieces that fit messages."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmd.model.ids import NetworkId, NodeId, ServiceId, TaskId
from swarmd.network.core.deltas import NetworkDelta, OutOfStep, advance, complete, cut
from swarmd.network.core.tables import Endpoint, NetworkTable, Peer, ServiceRow

BACK = NetworkId("back")


def a_table(tasks: int, version: int = 5) -> NetworkTable:
    return NetworkTable(
        network_id=BACK,
        name="back",
        version=version,
        peers={NodeId("n1"): Peer(NodeId("n1"), "192.168.0.1")},
        services={ServiceId("web"): ServiceRow(ServiceId("web"), "web")},
        endpoints={TaskId(f"t{at}"): an_endpoint(at) for at in range(tasks)},
    )


def an_endpoint(at: int) -> Endpoint:
    return Endpoint(TaskId(f"t{at}"), ServiceId("web"), NodeId("n1"), (f"10.0.1.{at}",))


def a_delta(applies_to: int, **rows: object) -> NetworkDelta:
    return NetworkDelta(BACK, complete=False, applies_to=applies_to, results_in=6, **rows)  # type: ignore[arg-type]


def test_rows_that_are_not_named_stay_the_same_objects() -> None:
    table = a_table(2)
    after = advance(table, a_delta(5, endpoints=(an_endpoint(7),), removed_endpoints=("t0",)))
    assert sorted(after.endpoints) == ["t1", "t7"]
    assert after.peers is table.peers
    assert after.version == 6
    assert sorted(table.endpoints) == ["t0", "t1"]


def test_a_changed_head_keeps_the_rows() -> None:
    renamed = NetworkTable(BACK, "front", mtu=1400)
    after = advance(a_table(1), a_delta(5, head=renamed))
    assert (after.name, after.mtu, len(after.endpoints)) == ("front", 1400, 1)


@pytest.mark.parametrize("table", [None, a_table(1, version=4)], ids=["none", "another version"])
def test_changes_of_another_version_are_refused(table: NetworkTable | None) -> None:
    with pytest.raises(OutOfStep, match="build on version 5"):
        advance(table, a_delta(5))


@given(st.integers(0, 30), st.integers(1, 12))
def test_pieces_lead_to_the_same_table(tasks: int, rows_max: int) -> None:
    table = a_table(tasks)
    received = None
    for piece in cut(complete(table), rows_max):
        assert piece.rows <= rows_max
        received = advance(received, piece)
    assert received == table
