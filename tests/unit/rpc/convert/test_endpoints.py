"""Deltas of the endpoint table come through the wire unchanged."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmd.lb.core.tables import Delta, PublishedPort, ServiceEndpoints
from swarmd.model.errors import Rejection
from swarmd.rpc.convert.endpoints import delta_from_pb, delta_to_pb
from swarmd.rpc.pb import endpoints as pb
from tests.support.records import records

# What an address comes to is found out by each node and stays there.
PORTS = st.lists(records(PublishedPort, addresses=st.none()), max_size=1).map(tuple)
SERVICES = st.lists(records(ServiceEndpoints, ports=PORTS), max_size=1).map(tuple)


@given(records(Delta, services=SERVICES))
def test_a_delta_comes_back_as_it_was(delta: Delta) -> None:
    data = delta_to_pb(delta).SerializeToString()
    assert delta_from_pb(pb.PublishedDelta.FromString(data)) == delta


def test_an_unknown_protocol_is_refused_with_a_sentence() -> None:
    message = pb.PublishedDelta(services=[pb.ServiceEndpoints(ports=[pb.Port(protocol=9)])])
    with pytest.raises(Rejection, match="transport protocol 9"):
        delta_from_pb(message)
