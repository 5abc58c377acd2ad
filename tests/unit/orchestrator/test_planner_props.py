"""Whatever happens to a swarm: what never occurs, and what must come about once faults stop.

After every entry the fake swarm checks the store's invariants, that states never go back, and that
no node carries more than it has.
"""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from swarmd.model.defaults import restart_condition
from swarmd.model.instant import SECOND
from swarmd.model.service import Service
from swarmd.model.spec import GlobalMode, RestartPolicy, ServiceMode, UpdateConfig
from swarmd.model.states import (
    Availability,
    FailureAction,
    NodeState,
    RestartCondition,
    TaskState,
    UpdateOrder,
)
from swarmd.store.changes import SetTaskStatus
from tests.support.cluster import Swarm, a_node, a_service_spec, a_task_spec

NODES = ("n1", "n2", "n3", "n4")
SERVICES = ("a", "b", "everywhere")
ENDS = (TaskState.FAILED, TaskState.COMPLETE, TaskState.REJECTED)

node_names = st.sampled_from(NODES)
replica_counts = st.integers(0, 6)

policies = st.builds(
    RestartPolicy,
    condition=st.sampled_from([RestartCondition.ANY, RestartCondition.ON_FAILURE]),
    delay_ns=st.sampled_from([None, 0, 1 * SECOND]),
)
configs = st.builds(
    UpdateConfig,
    parallelism=st.integers(0, 3),
    delay_ns=st.sampled_from([0, 1 * SECOND]),
    monitor_ns=st.sampled_from([None, 0, 2 * SECOND]),
    failure_action=st.sampled_from(list(FailureAction)),
    max_failure_ratio=st.sampled_from([0.0, 0.5, 1.0]),
    order=st.sampled_from(list(UpdateOrder)),
)

events = st.one_of(
    st.tuples(st.just("node"), node_names, st.sampled_from(list(NodeState))),
    st.tuples(st.just("availability"), node_names, st.sampled_from(list(Availability))),
    st.tuples(st.just("forget"), node_names),
    st.tuples(st.just("spec"), st.sampled_from(SERVICES), replica_counts, configs, policies,
              st.sampled_from(["web:1", "web:2"]), st.sampled_from([0, 0.5, 2])),
    st.tuples(st.just("scale"), st.sampled_from(SERVICES[:2]), replica_counts),
    st.tuples(st.just("roll back"), st.sampled_from(SERVICES)),
    st.tuples(st.just("remove"), st.sampled_from(SERVICES)),
    st.tuples(st.just("end"), st.integers(0, 50), st.sampled_from(ENDS)),
    st.tuples(st.just("step"), st.integers(1, 4)),
    st.tuples(st.just("time"), st.integers(0, 70)),
    st.tuples(st.just("elect")),
)  # fmt: skip


def happen(swarm: Swarm, event: tuple) -> None:  # type: ignore[type-arg]
    """One thing users, machines or time do to a swarm; impossible ones do nothing."""
    match event:
        case ("node", name, state) if swarm.store.find_node(name):
            swarm.set_node(name, state=state)
        case ("availability", name, availability) if swarm.store.find_node(name):
            swarm.set_node(name, availability=availability)
        case ("forget", name):
            if swarm.store.find_node(name):
                swarm.remove_node(name)
            else:
                swarm.put_node(a_node(name))
        case ("spec", name, replicas, config, policy, image, cpus):
            task = a_task_spec(image=image, cpus=cpus, restart_policy=policy)
            fields = {"replicas": replicas, "task": task, "update_config": config}
            if name == "everywhere":
                fields["mode"] = ServiceMode(global_=GlobalMode())
            put_service(swarm, a_service_spec(name, **fields))
        case ("scale", name, replicas) if find(swarm, name):
            swarm.scale(find(swarm, name).id, replicas)
        case ("roll back", name) if find(swarm, name) and find(swarm, name).previous_spec:
            swarm.roll_back(find(swarm, name).id)
        case ("remove", name) if find(swarm, name):
            swarm.remove(find(swarm, name).id)
        case ("end", number, state):
            up = [t for t in swarm.store.tasks() if t.status.state is TaskState.RUNNING]
            if up:
                task = up[number % len(up)]
                status = replace(task.status, state=state, timestamp=swarm.now, err="boom")
                swarm.commit(SetTaskStatus(task.id, status))
        case ("step", count):
            for _ in range(count):
                swarm.step()
        case ("time", seconds):
            swarm.advance(seconds * SECOND)
        case ("elect",):
            swarm.elect()


def find(swarm: Swarm, name: str) -> Service:
    return swarm.store.find_service_by_name(name)  # type: ignore[return-value]


def served(swarm: Swarm, service: Service) -> list[int | str]:
    """Slots that have a task running, or one that completed and is to be left at that."""
    slots = [task.slot or task.node_id for task in swarm.running(service.id)]
    newest = {task.slot or task.node_id: task for task in swarm.tasks(service.id)}
    for slot, task in newest.items():
        leave = restart_condition(task.spec) is RestartCondition.ON_FAILURE
        if leave and task.status.state is TaskState.COMPLETE:
            slots.append(slot)
    return slots


def put_service(swarm: Swarm, spec) -> None:  # type: ignore[no-untyped-def]
    service = find(swarm, spec.name)
    if service is None:
        swarm.create(spec)
    else:
        swarm.update(service.id, spec)


def heal(swarm: Swarm) -> None:
    """All machines come back, large enough for everything."""
    swarm.settle()
    for name in NODES:
        swarm.put_node(a_node(name, cpus=64))


@settings(max_examples=60, deadline=None)
@given(st.lists(events, max_size=30), st.integers(0, 9))
def test_after_the_faults_stop_every_service_gets_what_it_asks_for(
    history: list[tuple],
    seed: int,  # type: ignore[type-arg]
) -> None:
    swarm = Swarm(nodes=3, seed=seed)
    for event in history:
        happen(swarm, event)
    heal(swarm)
    swarm.converge()
    for service in swarm.store.services():
        slots = served(swarm, service)
        if service.spec.mode.global_ is not None:
            assert sorted(slots) == sorted(NODES)
        else:
            assert len(slots) == service.spec.mode.replicated.replicas
            assert len(set(slots)) == len(slots)
    for task in swarm.store.tasks():
        assert swarm.store.find_service(task.service_id) is not None
    assert not swarm.planner.dirty
    assert swarm.plan() == ()


@settings(max_examples=30, deadline=None)
@given(st.lists(events, max_size=25), st.integers(0, 9))
def test_a_new_leader_finds_nothing_to_do_in_a_converged_swarm(
    history: list[tuple],
    seed: int,  # type: ignore[type-arg]
) -> None:
    swarm = Swarm(nodes=3, seed=seed)
    for event in history:
        happen(swarm, event)
    heal(swarm)
    swarm.converge()
    swarm.elect()
    assert swarm.plan() == ()
    assert swarm.deadline is None


@settings(max_examples=30, deadline=None)
@given(st.lists(events, max_size=20), st.integers(0, 9))
def test_the_same_history_gives_the_same_entries(
    history: list[tuple],
    seed: int,  # type: ignore[type-arg]
) -> None:
    swarms = [Swarm(nodes=3, seed=seed) for _ in range(2)]
    for swarm in swarms:
        for event in history:
            happen(swarm, event)
        swarm.settle()
    assert swarms[0].log == swarms[1].log
