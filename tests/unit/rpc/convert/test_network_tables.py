"""Deltas of the tables of networks come through the wire unchanged."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from swarmd.network.core.deltas import NetworkDelta, head
from swarmd.network.core.tables import NetworkTable
from swarmd.rpc.convert.network_tables import network_delta_from_pb, network_delta_to_pb
from swarmd.rpc.pb import endpoints as pb
from tests.support.records import records


@given(records(NetworkDelta, head=st.none()), st.none() | records(NetworkTable))
def test_a_delta_comes_back_as_it_was(delta: NetworkDelta, table: NetworkTable | None) -> None:
    if table is not None:
        delta = replace(delta, head=head(replace(table, network_id=delta.network_id)))
    data = network_delta_to_pb(delta).SerializeToString()
    assert network_delta_from_pb(pb.NetworkDelta.FromString(data)) == delta
