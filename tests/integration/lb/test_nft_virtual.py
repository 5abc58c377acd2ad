"""Virtual addresses by nftables, in real namespaces."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from swarmd.lb.nft import virtual_text as text
from swarmd.lb.nft.virtual import nft_virtual
from swarmd.lb.spaces import VERIFY_EVERY_NS
from swarmd.lb.virtual import VirtualBalancer
from swarmd.model.ids import NetworkId, NodeId, ServiceId, TaskId
from swarmd.network.core.tables import Endpoint, NetworkTable, ServiceRow
from swarmd.network.kernel import netns, nft
from tests.support.hand_clock import HandClock
from tests.support.virtual_contract import VirtualContract
from tests.support.virtual_world import NETWORK, ask, table, world

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="namespaces need root"),
    pytest.mark.skipif(bool(nft.missing()), reason="libnftables is not installed"),
]


class TestNftVirtual(VirtualContract):
    def balancer(self) -> VirtualBalancer:
        return nft_virtual(clock=HandClock(0))


async def test_rules_that_somebody_took_away_are_put_back_and_counted() -> None:
    with world("a") as w:
        clock = HandClock(0)
        balancer = nft_virtual(clock=clock)
        await balancer.apply(table(w, ready="a"), w.members)
        clock.advance(VERIFY_EVERY_NS)
        assert (await balancer.tend()).repaired == 0
        netns.inside(w.client, lambda: nft.run("flush ruleset"))
        clock.advance(VERIFY_EVERY_NS)
        assert (await balancer.tend()).repaired == 1
        assert ask(w.client, "10.66.0.2") == "a"
        clock.advance(VERIFY_EVERY_NS)
        assert (await balancer.tend()).repaired == 0


async def test_rules_of_others_beside_ours_are_no_drift() -> None:
    with world("a") as w:
        clock = HandClock(0)
        balancer = nft_virtual(clock=clock)
        await balancer.apply(table(w, ready="a"), w.members)
        netns.inside(w.client, lambda: nft.run("add table ip others"))
        clock.advance(VERIFY_EVERY_NS)
        assert (await balancer.tend()).repaired == 0
        assert netns.inside(w.client, lambda: nft.listing("ip others"))


async def test_a_namespace_that_ends_meanwhile_is_passed_over() -> None:
    with world("a") as w:
        members = {Path("/run/nowhere/task1"): (NETWORK,), **w.members}
        assert await nft_virtual(clock=HandClock(0)).apply(table(w, ready="a"), members) == ()
        assert ask(w.client, "10.66.0.2") == "a"


_SERVICES = tuple(ServiceId(f"s{n}") for n in range(4))
_STATES = st.dictionaries(
    st.sampled_from(_SERVICES), st.frozensets(st.integers(1, 6), max_size=5), max_size=4
)


def _table(state: dict[ServiceId, frozenset[int]]) -> dict[NetworkId, NetworkTable]:
    rows = {
        service_id: ServiceRow(
            service_id,
            service_id,
            virtual_ips=(f"10.1.0.{service_id[1:]}", f"fd01::{service_id[1:]}"),
        )
        for service_id in state
    }
    endpoints = {
        TaskId(f"{service_id}.{n}"): Endpoint(
            TaskId(f"{service_id}.{n}"),
            service_id,
            NodeId("n"),
            (f"10.2.{service_id[1:]}.{n}", f"fd02::{service_id[1:]}:{n}"),
            ready=True,
        )
        for service_id, numbers in state.items()
        for n in numbers
    }
    return {NETWORK: NetworkTable(NETWORK, "net", services=rows, endpoints=endpoints)}


def _lines(path: Path) -> list[str]:
    """The rules in place, whatever the order in which chains and elements came to be."""
    listing = netns.inside(
        path, lambda: nft.listing(f"ip {text.TABLE}") + nft.listing(f"ip6 {text.TABLE}")
    )
    words = listing.replace("elements = {", " ").replace("}", " ").replace(",", "\n")
    return sorted(" ".join(line.split()) for line in words.splitlines() if line.strip())


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(states=st.lists(_STATES, min_size=1, max_size=6))
async def test_steps_lead_where_a_new_beginning_would(
    states: list[dict[ServiceId, frozenset[int]]],
) -> None:
    with world("") as w:
        members = {w.client: (NETWORK,)}
        balancer = nft_virtual(clock=HandClock(0))
        for state in states:
            assert await balancer.apply(_table(state), members) == ()
        by_steps = _lines(w.client)
        await nft_virtual(clock=HandClock(0)).apply(_table(states[-1]), members)
        assert by_steps == _lines(w.client)
