"""Whatever happens: no address is held twice, none is held by what the store doesn't hold.

The fake swarm checks the store's invariants, addresses included, after every entry.
"""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from swarmd.model.states import NodeState, TaskState
from tests.support.cluster import Swarm, a_node
from tests.support.networks import (
    PUBLISHED,
    add_network,
    an_ipam,
    assert_books_agree,
    networks_of,
    on,
)

NODES = ("n1", "n2", "n3")
SERVICES = ("a", "b")
NETWORKS = ("tiny", "wide", "dual")

events = st.one_of(
    st.tuples(
        st.just("spec"),
        st.sampled_from(SERVICES),
        st.lists(st.sampled_from(NETWORKS), max_size=2, unique=True),
        st.integers(0, 5),
        st.booleans(),
    ),
    st.tuples(st.just("remove"), st.sampled_from(SERVICES)),
    st.tuples(st.just("node"), st.sampled_from(NODES), st.sampled_from(list(NodeState))),
    st.tuples(st.just("forget"), st.sampled_from(NODES)),
    st.tuples(st.just("end"), st.integers(0, 20), st.sampled_from([TaskState.FAILED])),
    st.tuples(st.just("lost plan")),
    st.tuples(st.just("elect")),
    st.tuples(st.just("step"), st.integers(1, 4)),
)


def happen(swarm: Swarm, event: tuple[object, ...]) -> None:
    match event:
        case "spec", str(name), list(networks), int(replicas), bool(published):
            fields = {"endpoint_spec": PUBLISHED} if published else {}
            spec = on(*networks, name=name, replicas=replicas, **fields)
            present = swarm.store.find_service_by_name(name)
            if present is None:
                swarm.create(spec)
            else:
                swarm.update(present.id, spec)
        case "remove", str(name):
            present = swarm.store.find_service_by_name(name)
            if present is not None:
                swarm.remove(present.id)
        case "node", str(name), NodeState() as state:
            if swarm.store.find_node(name) is None:
                swarm.put_node(a_node(name))
            swarm.set_node(name, state=state)
        case "forget", str(name):
            if swarm.store.find_node(name) is not None:
                swarm.remove_node(name)
        case "end", int(which), TaskState() as state:
            live = [task for task in swarm.store.tasks() if not task.status.state.terminal]
            if live:
                swarm.report(live[which % len(live)], state, "boom")
        case ("lost plan",):
            assert swarm.planner is not None
            swarm.planner.plan(swarm.env)
        case ("elect",):
            swarm.elect()
        case "step", int(times):
            for _ in range(times):
                swarm.step()
        case _:
            raise AssertionError(event)


@settings(max_examples=60, deadline=None)
@given(st.lists(events, max_size=25))
def test_no_address_is_held_twice_and_none_leaks(history: list[tuple[object, ...]]) -> None:
    swarm = Swarm(nodes=3)
    add_network(swarm, "ingress", ingress=True)
    add_network(swarm, "tiny", **an_ipam("10.7.0.0/29"))
    add_network(swarm, "wide")
    add_network(swarm, "dual", ipv6_enabled=True)
    for event in history:
        happen(swarm, event)
        swarm.settle()
        assert_books_agree(swarm)
    book = networks_of(swarm).book
    for service in swarm.store.services():
        swarm.remove(service.id)
    for name in NODES:
        if swarm.store.find_node(name) is None:
            swarm.put_node(a_node(name))
        swarm.set_node(name, state=NodeState.READY)
    swarm.converge()
    assert_books_agree(swarm)
    assert {kind for kind, _ in book.holders()} <= {"node"}
    assert book.free(swarm.store.get_network("tiny").id) == 5
