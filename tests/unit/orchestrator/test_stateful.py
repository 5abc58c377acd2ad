"""Stateful services over a fake swarm: order, identity, and never two of one ordinal."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from swarmd.model.ids import ServiceId, TaskId
from swarmd.model.instant import HOUR, SECOND, Instant
from swarmd.model.node import EngineDescription, PluginDescription
from swarmd.model.spec import (
    Mount,
    Placement,
    RestartPolicy,
    ServiceMode,
    ServiceSpec,
    Stateful,
    UpdateConfig,
)
from swarmd.model.states import (
    Availability,
    MountType,
    NodeState,
    StartOrder,
    TaskState,
    UpdateState,
)
from swarmd.model.task import Task
from swarmd.orchestrator.fences import fence_ns
from swarmd.store.changes import Delete, Kind
from tests.support.cluster import Swarm, a_node, a_service_spec, a_task_spec

LEASE_NS = 10 * SECOND
ORDERED, PARALLEL = StartOrder.ORDERED, StartOrder.PARALLEL


def a_database(replicas: int = 3, *, order: StartOrder = ORDERED, image: str = "db:1",
               update: UpdateConfig | None = None) -> ServiceSpec:  # fmt: skip
    mode = ServiceMode(stateful=Stateful(replicas, order, LEASE_NS))
    task = a_task_spec(image=image, restart_policy=RestartPolicy(delay_ns=SECOND))
    return a_service_spec("db", mode=mode, task=task, update_config=update)


def up(swarm: Swarm, service_id: ServiceId) -> dict[str, str]:
    """The node of each ordinal that runs, by its name."""
    running = [t for t in swarm.tasks(service_id) if t.status.state is TaskState.RUNNING]
    return {t.name: t.node_id for t in sorted(running, key=lambda t: t.slot)}


def task_of(swarm: Swarm, service_id: ServiceId, ordinal: int) -> Task:
    return swarm.store.tasks_of_slot(service_id, ordinal + 1)[-1]


def test_ordinals_have_stable_names_and_a_lease() -> None:
    swarm = Swarm(nodes=3)
    db = swarm.create(a_database())
    swarm.converge()
    assert list(up(swarm, db)) == ["db-0", "db-1", "db-2"]
    assert {task.lease_ns for task in swarm.tasks(db)} == {LEASE_NS}


def test_an_ordinal_starts_when_those_before_it_run() -> None:
    swarm = Swarm(nodes=3)
    db = swarm.create(a_database())
    seen = []
    while swarm.step():
        seen.append((len(swarm.tasks(db)), len(up(swarm, db))))
    assert all(made <= running + 1 for made, running in seen)
    assert seen[-1] == (3, 3)


def test_ordinals_of_a_parallel_service_start_at_once() -> None:
    swarm = Swarm(nodes=3)
    db = swarm.create(a_database(order=PARALLEL))
    swarm.settle()
    assert len(swarm.tasks(db)) == 3


def test_scaling_down_goes_from_the_highest_one_at_a_time() -> None:
    swarm = Swarm(nodes=3)
    db = swarm.create(a_database(4))
    swarm.converge()
    swarm.update(db, a_database(1))
    ending = []
    while swarm.step():
        ending.append([t.name for t in swarm.tasks(db) if t.desired_state is TaskState.REMOVE])
    assert [names for names in ending if names] == [["db-3"], ["db-2"], ["db-1"]]
    assert list(up(swarm, db)) == ["db-0"]


def test_an_ordinal_returns_to_its_node() -> None:
    swarm = Swarm(nodes=3)
    db = swarm.create(a_database())
    swarm.converge()
    before = up(swarm, db)
    for ordinal in range(3):
        swarm.report(task_of(swarm, db, ordinal), TaskState.FAILED)
    swarm.converge()
    assert up(swarm, db) == before


def test_an_ordinal_whose_node_is_not_fit_goes_elsewhere_when_it_has_stopped() -> None:
    swarm = Swarm(nodes=2)
    db = swarm.create(a_database(1))
    swarm.converge()
    home = up(swarm, db)["db-0"]
    swarm.set_node(home, availability=Availability.DRAIN)
    swarm.settle()
    assert len(swarm.tasks(db)) == 1  # nothing new before the old one has said that it stopped
    swarm.converge()
    assert up(swarm, db)["db-0"] != home


def with_data(replicas: int = 2, source: str = "data-{{.Task.Slot}}") -> ServiceSpec:
    """A database whose ordinals have a volume each."""
    spec = a_database(replicas)
    container = replace(
        spec.task_template.container_spec,
        mounts=(Mount(type=MountType.VOLUME, source=source, target="/data"),),
    )
    return replace(spec, task_template=replace(spec.task_template, container_spec=container))


def test_an_ordinal_waits_for_the_node_that_has_its_data() -> None:
    swarm = Swarm(nodes=3)
    db = swarm.create(with_data())
    swarm.converge()
    before = up(swarm, db)
    home = before["db-0"]
    swarm.set_node(home, availability=Availability.DRAIN)
    swarm.converge()
    waiting = task_of(swarm, db, 0)
    assert waiting.status.state is TaskState.PENDING
    assert f"its volume data-1 is on node {home}" in waiting.status.err
    swarm.set_node(home, availability=Availability.ACTIVE)
    swarm.converge()
    assert up(swarm, db) == before


def test_data_that_left_the_swarm_with_its_node_holds_nobody() -> None:
    swarm = Swarm(nodes=3)
    db = swarm.create(with_data())
    swarm.converge()
    home = up(swarm, db)["db-0"]
    swarm.set_node(home, availability=Availability.DRAIN)
    swarm.converge()
    swarm.remove_node(home)
    swarm.converge()
    assert list(up(swarm, db)) == ["db-0", "db-1"]
    assert up(swarm, db)["db-0"] != home


def test_an_ordinal_that_never_ran_anywhere_is_held_nowhere() -> None:
    swarm = Swarm(nodes=2)
    db = swarm.create(with_data(1))
    swarm.settle()
    refused = task_of(swarm, db, 0)
    swarm.set_node(refused.node_id, availability=Availability.DRAIN)
    swarm.report(refused, TaskState.REJECTED)
    swarm.converge()
    assert up(swarm, db)["db-0"] != refused.node_id


@pytest.mark.parametrize("source", ["shared", ""])
def test_a_volume_that_all_ordinals_share_holds_none(source: str) -> None:
    swarm = Swarm(nodes=2)
    db = swarm.create(with_data(1, source))
    swarm.converge()
    home = up(swarm, db)["db-0"]
    swarm.set_node(home, availability=Availability.DRAIN)
    swarm.converge()
    assert up(swarm, db)["db-0"] != home


def test_no_successor_is_made_for_a_task_that_does_not_stop_however_long_it_takes() -> None:
    swarm = Swarm(nodes=2)
    db = swarm.create(a_database(1))
    swarm.converge()
    stuck = task_of(swarm, db, 0)
    swarm.set_node(stuck.node_id, availability=Availability.DRAIN)
    swarm.settle()
    swarm.now = Instant(swarm.now + HOUR)
    swarm.elect()
    swarm.settle()
    assert [task.id for task in swarm.tasks(db)] == [stuck.id]


def lost(swarm: Swarm, db: ServiceId) -> Task:
    """The task of db-0, whose node has just been written down as down."""
    swarm.converge()
    task = task_of(swarm, db, 0)
    swarm.set_node(task.node_id, state=NodeState.DOWN)
    swarm.rest()
    return task


def test_a_successor_waits_for_the_lease_of_a_task_whose_node_is_down() -> None:
    swarm = Swarm(nodes=2)
    db = swarm.create(a_database(1))
    old = lost(swarm, db)
    swarm.advance(fence_ns(old) - SECOND)
    assert [task.id for task in swarm.tasks(db)] == [old.id]
    swarm.advance(SECOND)
    assert up(swarm, db) != {}
    assert task_of(swarm, db, 0).node_id != old.node_id


def test_the_wait_begins_again_when_the_node_was_back_for_a_moment() -> None:
    swarm = Swarm(nodes=2)
    db = swarm.create(a_database(1))
    old = lost(swarm, db)
    swarm.advance(fence_ns(old) - SECOND)
    # Back and gone again before the planner has had a look.
    swarm.now = Instant(swarm.now + SECOND // 2)
    swarm.set_node(old.node_id, state=NodeState.READY)
    swarm.set_node(old.node_id, state=NodeState.DOWN)
    swarm.advance(fence_ns(old) - SECOND)
    assert len(swarm.tasks(db)) == 1


def test_a_new_leader_waits_anew_as_it_cannot_trust_the_clock_of_the_former() -> None:
    swarm = Swarm(nodes=2)
    db = swarm.create(a_database(1))
    old = lost(swarm, db)
    swarm.advance(fence_ns(old) - SECOND)
    swarm.skew_ns = HOUR
    swarm.elect()
    swarm.advance(fence_ns(old) - SECOND)
    assert len(swarm.tasks(db)) == 1
    swarm.advance(SECOND)
    assert len(swarm.tasks(db)) == 2


def test_a_step_of_the_leaders_clock_shortens_no_wait() -> None:
    swarm = Swarm(nodes=2)
    db = swarm.create(a_database(1))
    old = lost(swarm, db)
    swarm.skew_ns = HOUR
    swarm.advance(fence_ns(old) - SECOND)
    assert len(swarm.tasks(db)) == 1


def test_removing_the_node_does_not_shorten_the_wait() -> None:
    swarm = Swarm(nodes=2)
    db = swarm.create(a_database(1))
    swarm.converge()
    old = task_of(swarm, db, 0)
    swarm.remove_node(old.node_id)
    swarm.rest()
    assert [task.status.state for task in swarm.tasks(db)] == [TaskState.ORPHANED]
    swarm.advance(fence_ns(old) - SECOND)
    assert len(swarm.tasks(db)) == 1
    swarm.converge()
    assert len(up(swarm, db)) == 1


def test_a_node_that_keeps_no_leases_gets_no_ordinal() -> None:
    swarm = Swarm(nodes=1)
    node = swarm.store.get_node("n1")
    assert node.description is not None
    stock = EngineDescription(plugins=(PluginDescription("Log", "json-file"),))
    swarm.put_node(replace(node, description=replace(node.description, engine=stock)))
    db = swarm.create(a_database(1))
    swarm.converge()
    assert up(swarm, db) == {}
    assert "missing plugin on 1 node" in task_of(swarm, db, 0).status.err


def test_history_of_an_ordinal_is_kept_while_it_may_still_run() -> None:
    swarm = Swarm(nodes=2, task_history=1)
    db = swarm.create(a_database(1))
    swarm.converge()
    old = task_of(swarm, db, 0)
    swarm.remove_node(old.node_id)
    swarm.remove(db)
    swarm.rest()
    assert [task.id for task in swarm.tasks(db)] == [old.id]
    swarm.converge()
    assert swarm.tasks(db) == ()


def test_a_task_its_node_may_not_keep_must_say_that_it_has_stopped() -> None:
    swarm = Swarm(nodes=0)
    swarm.put_node(a_node("n1", labels={"disk": "ssd"}))
    swarm.put_node(a_node("n2", labels={"disk": "ssd"}))
    spec = a_database(1)
    where = Placement(constraints=("node.labels.disk==ssd",))
    db = swarm.create(replace(spec, task_template=replace(spec.task_template, placement=where)))
    swarm.converge()
    old = task_of(swarm, db, 0)
    swarm.put_node(a_node(old.node_id))
    swarm.settle()
    (task,) = swarm.tasks(db)
    assert (task.status.state, task.desired_state) == (TaskState.RUNNING, TaskState.SHUTDOWN)
    swarm.converge()
    assert task_of(swarm, db, 0).node_id != old.node_id


def test_an_update_goes_from_the_highest_down_one_at_a_time() -> None:
    swarm = Swarm(nodes=3)
    db = swarm.create(a_database())
    swarm.converge()
    swarm.update(db, a_database(image="db:2"))
    order: list[str] = []
    least = 3
    for _ in range(200):
        if not swarm.step():
            if swarm.deadline is None:
                break
            swarm.now = Instant(max(swarm.now, swarm.deadline))
        least = min(least, len(up(swarm, db)))
        for task in swarm.tasks(db):
            if task.spec_version and task.name not in order:
                order.append(task.name)
    assert order == ["db-2", "db-1", "db-0"]
    assert least == 2
    assert swarm.status(db) is UpdateState.COMPLETED


def test_an_update_that_fails_stops_at_the_highest_ordinal() -> None:
    swarm = Swarm(nodes=3)
    db = swarm.create(a_database())
    swarm.converge()
    swarm.fate = lambda task: (
        TaskState.FAILED
        if task.spec.container_spec.image == "db:2" and task.status.state is TaskState.RUNNING  # type: ignore[union-attr]
        else None
    )
    swarm.update(db, a_database(image="db:2"))
    swarm.advance(60 * SECOND)
    assert swarm.status(db) is UpdateState.PAUSED
    assert list(up(swarm, db)) == ["db-0", "db-1"]
    # A spec that works mends the broken ordinal first, though it is down.
    swarm.update(db, a_database(image="db:3"))
    swarm.converge()
    assert swarm.status(db) is UpdateState.COMPLETED
    assert len(up(swarm, db)) == 3


class Machines:
    """What really runs: a process lives until its agent ends it, or its lease does.

    The worst case is assumed: a node had its last answer in the moment it was written down as down.
    """

    def __init__(self, swarm: Swarm) -> None:
        self.swarm = swarm
        self.started: set[TaskId] = set()
        self.alive: dict[TaskId, int | None] = {}  # and when the lease ends, if it isn't renewed
        self.dead: set[TaskId] = set()  # ended by their leases
        swarm.store.subscribe(lambda _: self.look())

    def in_touch(self, task: Task) -> bool:
        node = self.swarm.store.find_node(task.node_id)
        lost = task.status.state is TaskState.ORPHANED
        return node is not None and node.status.state is not NodeState.DOWN and not lost

    def look(self) -> None:
        """Let time pass for the processes, and see that no ordinal has two."""
        store, now = self.swarm.store, self.swarm.now
        for task in store.tasks():
            if task.status.state is TaskState.RUNNING and task.id not in self.started:
                self.started.add(task.id)
                self.alive[task.id] = None
        for task_id, end in list(self.alive.items()):
            if end is not None and end <= now:
                del self.alive[task_id]
                self.dead.add(task_id)
                continue
            task = store.find_task(task_id)
            assert task is not None, f"{task_id} was deleted while it runs"
            if task.status.state.terminal and task.status.state is not TaskState.ORPHANED:
                del self.alive[task_id]
            elif self.in_touch(task):
                self.alive[task_id] = None
            elif end is None:
                self.alive[task_id] = now + LEASE_NS
        holders: dict[int, TaskId] = {}
        for task_id in self.alive:
            other = holders.setdefault(store.get_task(task_id).slot, task_id)
            assert other == task_id, f"{other} and {task_id} both run as one ordinal"

    def report_the_dead(self) -> None:
        """Agents in touch tell of processes that their leases have ended."""
        for task_id in sorted(self.dead):
            task = self.swarm.store.find_task(task_id)
            if task is not None and task.status.state is TaskState.RUNNING and self.in_touch(task):
                self.swarm.report(task, TaskState.FAILED, "its lease has run out")


NODES = ("n1", "n2", "n3")
events = st.one_of(
    st.tuples(st.just("node"), st.sampled_from(NODES), st.sampled_from(list(NodeState))),
    st.tuples(st.just("down"), st.sampled_from(NODES)),
    st.tuples(st.just("drain"), st.sampled_from(NODES), st.sampled_from(list(Availability))),
    st.tuples(st.just("forget"), st.sampled_from(NODES)),
    st.tuples(st.just("fail"), st.integers(0, 9)),
    st.tuples(st.just("spec"), st.integers(0, 4), st.sampled_from(["db:1", "db:2"])),
    st.tuples(st.just("time"), st.integers(0, 15)),
    st.tuples(st.just("step"), st.integers(1, 3)),
    st.tuples(st.just("skew"), st.integers(-20, 20)),
    st.tuples(st.just("elect")),
)


def happen(
    swarm: Swarm, machines: Machines, db: ServiceId, order: StartOrder, event: tuple
) -> None:  # type: ignore[type-arg]
    match event:
        case ("node", name, state) if swarm.store.find_node(name):
            swarm.set_node(name, state=state)
        case ("down", name) if swarm.store.find_node(name):
            swarm.set_node(name, state=NodeState.DOWN)
        case ("drain", name, availability) if swarm.store.find_node(name):
            swarm.set_node(name, availability=availability)
        case ("forget", name):
            if swarm.store.find_node(name):
                swarm.accept(Delete(Kind.NODE, name))
            else:
                swarm.put_node(a_node(name))
        case ("fail", number):
            up = [
                t for t in swarm.tasks(db)
                if t.status.state is TaskState.RUNNING
                and (node := swarm.store.find_node(t.node_id)) is not None
                and node.status.state is NodeState.READY
            ]  # fmt: skip
            if up:
                swarm.report(up[number % len(up)], TaskState.FAILED, "boom")
        case ("spec", replicas, image):
            swarm.update(db, a_database(replicas, order=order, image=image))
        case ("time", seconds):
            for _ in range(seconds):
                swarm.advance(SECOND)
                machines.look()
                machines.report_the_dead()
        case ("step", count):
            for _ in range(count):
                swarm.step()
        case ("skew", seconds):
            swarm.skew_ns = seconds * SECOND
        case ("elect",):
            swarm.elect()
    machines.look()


@pytest.mark.parametrize("order", [ORDERED, PARALLEL], ids=["ordered", "parallel"])
@settings(max_examples=120, deadline=None)
@given(history=st.lists(events, max_size=25), seed=st.integers(0, 9))
def test_an_ordinal_never_runs_twice_whatever_happens_and_all_run_in_the_end(
    order: StartOrder,
    history: list[tuple],  # type: ignore[type-arg]
    seed: int,
) -> None:
    swarm = Swarm(nodes=3, seed=seed, task_history=1)
    machines = Machines(swarm)
    db = swarm.create(a_database(3, order=order))
    for event in history:
        happen(swarm, machines, db, order, event)
    swarm.skew_ns = 0
    for name in NODES:
        swarm.put_node(a_node(name, cpus=64))
    machines.report_the_dead()
    swarm.converge()
    machines.report_the_dead()
    swarm.converge()
    mode = swarm.store.get_service(db).spec.mode
    assert list(up(swarm, db)) == [f"db-{n}" for n in range(mode.stateful.replicas)]  # type: ignore[union-attr]
    before = swarm.store.index
    swarm.elect()
    swarm.converge()
    assert swarm.store.index == before
