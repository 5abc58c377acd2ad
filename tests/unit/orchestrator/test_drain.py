"""Draining nodes: in which order tasks leave, what they wait for, and that none waits for ever."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from swarmd.model.ids import ServiceId
from swarmd.model.instant import SECOND
from swarmd.model.spec import (
    GlobalMode,
    NetworkAttachmentConfig,
    Placement,
    Replicated,
    RestartPolicy,
    ServiceMode,
    Stateful,
    UpdateConfig,
)
from swarmd.model.states import (
    Availability,
    RestartCondition,
    TaskState,
    UpdateOrder,
    UpdateState,
)
from swarmd.model.task import Task
from swarmd.store.changes import SetTaskStatus
from tests.support.cluster import Swarm, a_node, a_service_spec, a_task_spec
from tests.support.networks import add_network, an_ipam, assert_books_agree

START, STOP = UpdateOrder.START_FIRST, UpdateOrder.STOP_FIRST


def drain(swarm: Swarm, name: str, order: UpdateOrder = STOP) -> None:
    node = swarm.store.get_node(name)
    spec = replace(node.spec, availability=Availability.DRAIN, drain_order=order)
    swarm.put_node(replace(node, spec=spec))


def a_swarm(*, nodes: int = 3, **fields: object) -> tuple[Swarm, ServiceId]:
    swarm = Swarm(nodes=nodes)
    service_id = swarm.create(a_service_spec(**fields))  # type: ignore[arg-type]
    swarm.converge()
    return swarm, service_id


def lowest(swarm: Swarm, service_id: ServiceId) -> int:
    """How few slots ran at any time on the way to rest."""
    low = len({task.slot for task in swarm.running(service_id)})
    while swarm.step():
        low = min(low, len({task.slot for task in swarm.running(service_id)}))
    swarm.converge()
    return low


def test_start_first_no_task_is_stopped_before_its_successor_runs() -> None:
    swarm, service_id = a_swarm(replicas=6)
    drain(swarm, "n1", START)
    assert lowest(swarm, service_id) == 6
    assert swarm.nodes_of(service_id) == {"n2": 3, "n3": 3}
    assert swarm.status(service_id) is None, "a drain is no update"
    assert not [t for t in swarm.store.tasks_of_node("n1") if t.desired_state <= TaskState.RUNNING]


def test_stop_first_all_tasks_leave_at_once_without_a_restart_delay() -> None:
    swarm, service_id = a_swarm(replicas=6)
    drain(swarm, "n1")
    began = swarm.now
    assert lowest(swarm, service_id) == 4
    assert swarm.now - began < 1 * SECOND
    assert swarm.nodes_of(service_id) == {"n2": 3, "n3": 3}


@pytest.mark.parametrize("mode", ["replicated", "stateful"])
def test_as_many_leave_at_a_time_as_the_service_can_spare_and_the_others_say_why(mode: str) -> None:
    modes = {
        "replicated": ServiceMode(replicated=Replicated(replicas=6)),
        "stateful": ServiceMode(stateful=Stateful(replicas=6)),
    }
    swarm, service_id = a_swarm(nodes=2, mode=modes[mode], min_available=5)
    drain(swarm, "n1")
    swarm.settle()
    said = [task.status.message for task in swarm.running(service_id) if task.node_id == "n1"]
    waits = "waits to leave its node: 5 tasks of web have to go on running (min-available)"
    assert said == [waits] * 2
    assert lowest(swarm, service_id) == 5
    assert swarm.nodes_of(service_id) == {"n2": 6}


def test_tasks_that_are_unwell_can_be_spared_and_spare_nobody() -> None:
    swarm, service_id = a_swarm(nodes=2, replicas=6, min_available=5)
    swarm.set_node("n2", availability=Availability.PAUSE)

    def tell(task: Task, unready: str) -> None:
        swarm.accept(SetTaskStatus(task.id, replace(task.status, unready=unready)))

    unwell = next(task for task in swarm.running(service_id) if task.node_id == "n2")
    tell(unwell, "probe failed")
    drain(swarm, "n1")
    swarm.settle()
    assert len(swarm.running(service_id)) == 6, "five are well, none of which may leave"
    tell(swarm.store.get_task(unwell.id), "")
    swarm.settle()
    (left,) = [task for task in swarm.tasks(service_id) if task.desired_state > TaskState.RUNNING]
    assert left.node_id == "n1"


def test_a_service_that_can_spare_none_starts_first_whatever_the_node_asks_for() -> None:
    swarm, service_id = a_swarm(replicas=3, min_available=3)
    drain(swarm, "n1")
    assert lowest(swarm, service_id) == 3
    assert swarm.nodes_of(service_id)["n1"] == 0


def test_start_first_a_task_stays_until_there_is_room_for_its_successor() -> None:
    template = a_task_spec(placement=Placement(max_replicas=1))
    swarm, service_id = a_swarm(nodes=2, replicas=2, task=template)
    drain(swarm, "n1", START)
    swarm.advance(600 * SECOND)
    assert len(swarm.running(service_id)) == 2
    (old,) = [task for task in swarm.running(service_id) if task.node_id == "n1"]
    assert old.status.message == "waits to leave its node: runs until its successor does"
    (new,) = [task for task in swarm.wanted(service_id) if not task.node_id]
    assert new.status.err.startswith("no suitable node")


def on_a_full_network(*, min_available: int = 0) -> tuple[Swarm, ServiceId]:
    """Six addresses: the gateway, the service, a node, and three tasks, all on that node."""
    swarm = Swarm(nodes=1)
    add_network(swarm, "tiny", **an_ipam("10.7.0.0/29"))
    template = replace(a_task_spec(), networks=(NetworkAttachmentConfig(target="tiny"),))
    spec = a_service_spec(replicas=3, task=template, min_available=min_available)
    service_id = swarm.create(spec)
    swarm.converge()
    swarm.put_node(a_node("n2"))
    drain(swarm, "n1", START)
    return swarm, service_id


@pytest.mark.parametrize("elects", [False, True])
def test_start_first_where_a_network_is_full_one_task_at_a_time_stops_first(elects: bool) -> None:
    swarm, service_id = on_a_full_network()
    low = 3
    while swarm.step():
        if elects:
            swarm.elect()
        low = min(low, len(swarm.running(service_id)))
        assert_books_agree(swarm)
    swarm.converge()
    assert low == 2
    assert swarm.nodes_of(service_id) == {"n2": 3}


def test_a_task_that_its_service_may_not_spare_stays_where_the_network_is_full() -> None:
    swarm, service_id = on_a_full_network(min_available=3)
    swarm.advance(600 * SECOND)
    assert len(swarm.running(service_id)) == 3
    assert {task.node_id for task in swarm.running(service_id)} == {"n1"}
    waiting = [task for task in swarm.wanted(service_id) if not task.node_id]
    assert {task.status.err.partition(" has")[0] for task in waiting} == {"network tiny"}


def test_a_node_that_is_wanted_back_keeps_the_tasks_that_have_not_left() -> None:
    template = a_task_spec(placement=Placement(max_replicas=1))
    swarm, service_id = a_swarm(nodes=2, replicas=2, task=template)
    before = {task.id for task in swarm.running(service_id)}
    drain(swarm, "n1", START)
    swarm.rest()
    swarm.set_node("n1", availability=Availability.ACTIVE)
    swarm.converge()
    assert {task.id for task in swarm.wanted(service_id)} == before
    assert not [t for t in swarm.running(service_id) if "leave" in t.status.message]


def test_a_task_that_is_not_to_be_restarted_ends_with_its_node() -> None:
    policy = RestartPolicy(condition=RestartCondition.NONE)
    swarm, service_id = a_swarm(replicas=3, task=a_task_spec(restart_policy=policy))
    drain(swarm, "n1", START)
    swarm.converge()
    assert len(swarm.running(service_id)) == 2


def test_a_global_service_just_ends_on_the_node() -> None:
    swarm, service_id = a_swarm(mode=ServiceMode(global_=GlobalMode()), min_available=3)
    drain(swarm, "n1", START)
    swarm.converge()
    assert swarm.nodes_of(service_id) == {"n2": 1, "n3": 1}


def test_an_election_during_a_drain_changes_nothing() -> None:
    swarm, service_id = a_swarm(nodes=2, replicas=4, min_available=3)
    drain(swarm, "n1")
    low = 4
    while swarm.step():
        swarm.elect()
        low = min(low, len(swarm.running(service_id)))
    swarm.converge()
    assert low == 3
    assert swarm.nodes_of(service_id) == {"n2": 4}


def test_a_drain_in_the_middle_of_an_update_lets_both_come_to_an_end() -> None:
    config = UpdateConfig(parallelism=1, delay_ns=5 * SECOND)
    swarm, service_id = a_swarm(replicas=6, update_config=config)
    task = a_task_spec(image="web:2")
    swarm.update(service_id, a_service_spec(replicas=6, task=task, update_config=config))
    swarm.advance(8 * SECOND)
    drain(swarm, "n1", START)
    swarm.converge()
    assert swarm.status(service_id) is UpdateState.COMPLETED
    assert swarm.nodes_of(service_id) == {"n2": 3, "n3": 3}
    assert {t.spec.container_spec.image for t in swarm.running(service_id)} == {"web:2"}


@settings(max_examples=60, deadline=None)
@given(
    replicas=st.integers(1, 6),
    spared=st.integers(0, 6),
    order=st.sampled_from(UpdateOrder),
    drained=st.integers(1, 2),
    elect_every=st.integers(0, 3),
)
def test_a_drain_ends_and_never_takes_a_service_below_what_it_needs(
    replicas: int, spared: int, order: UpdateOrder, drained: int, elect_every: int
) -> None:
    needed = max(0, replicas - spared)
    swarm, service_id = a_swarm(nodes=4, replicas=replicas, min_available=needed)
    for number in range(1, drained + 1):
        drain(swarm, f"n{number}", order)
    steps = 0
    while swarm.step():
        steps += 1
        if elect_every and steps % elect_every == 0:
            swarm.elect()
        up = len({task.slot for task in swarm.running(service_id)})
        assert up >= (replicas if order is START else needed)
    swarm.converge()
    assert len(swarm.running(service_id)) == replicas
    for number in range(1, drained + 1):
        assert swarm.nodes_of(service_id)[f"n{number}"] == 0
