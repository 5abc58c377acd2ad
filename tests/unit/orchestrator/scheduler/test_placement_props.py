"""What placing never does, and that its shortcuts change nothing.

The reference asks every filter of every node for every task and sorts; the scheduler, with its
cells, heaps and lists of changes, must come to the same nodes in the same order.
"""

from __future__ import annotations

import random
from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from swarmd.model.cluster import SchedulingConfig
from swarmd.model.ids import NodeId, TaskId
from swarmd.model.node import Node, Oversell
from swarmd.model.spec import Placement, PortConfig
from swarmd.model.states import Availability, PublishMode, Strategy, TaskState
from swarmd.model.task import Task, TaskStatus
from swarmd.orchestrator.constraints import label_value, misses
from swarmd.orchestrator.scheduler.filters import Filters
from swarmd.orchestrator.scheduler.fleet import SERVING_MANY, Fleet
from swarmd.orchestrator.scheduler.node_info import NodeInfo
from swarmd.orchestrator.scheduler.order import order_for
from swarmd.orchestrator.scheduler.placement import place
from swarmd.orchestrator.scheduler.requirement import requirement_of
from swarmd.orchestrator.taints import avoided, tolerations_of
from tests.support.cluster import a_node
from tests.support.fleet import (
    NOW,
    a_fleet,
    a_task,
    decide,
    discrete,
    named,
    nodes_for,
    spread_over,
)

ZONES = st.sampled_from(["", "a", "b"])
TAINTS = st.sampled_from(["x:no-schedule", "x:prefer-no-schedule", "y=1:no-execute"])
HOST_80 = PortConfig(target_port=80, published_port=80, publish_mode=PublishMode.HOST)
GPUS = st.sampled_from([(), (discrete("gpu", 2),), named("gpu", "u1", "u2", "u3")])


@st.composite
def nodes(draw: st.DrawFn) -> list[Node]:
    made = []
    for number in range(draw(st.integers(1, 6))):
        node = a_node(
            f"n{number}",
            cpus=draw(st.integers(0, 4)),
            labels={"zone": draw(ZONES), "rack": draw(ZONES), "unique": str(number)},
        )
        assert node.description is not None
        assert node.description.resources is not None
        resources = replace(node.description.resources, generic_resources=draw(GPUS))
        spec = replace(
            node.spec,
            taints=tuple(draw(st.lists(TAINTS, max_size=1))),
            oversell=draw(st.sampled_from([None, Oversell(cpus=1.5)])),
            availability=draw(st.sampled_from([Availability.ACTIVE] * 4 + [Availability.PAUSE])),
        )
        made.append(
            replace(node, spec=spec, description=replace(node.description, resources=resources))
        )
    return made


placements = st.builds(
    lambda spread, constraints, affinities, tolerations, strategy, most: replace(
        spread_over(*spread),
        constraints=tuple(constraints),
        affinities=tuple(affinities),
        tolerations=tuple(tolerations),
        strategy=strategy,
        max_replicas=most,
    ),
    st.sampled_from([(), (), ("node.labels.zone",), ("node.labels.zone", "node.labels.rack")]),
    st.lists(
        st.sampled_from(
            ["node.labels.zone==a", "node.labels.zone==~b", "node.labels.rack!=/a/", "node.id!=n1"]
        ),
        max_size=2,
    ),
    st.lists(
        st.sampled_from(
            ["service==s0", "service!=s1", "service!=~s2", "service==~s*", "task!=s0.*", "app!=x"]
        ),
        max_size=2,
    ),
    st.lists(st.sampled_from(["x", "*", "y:no-execute"]), max_size=1),
    st.sampled_from([None, Strategy.SPREAD, Strategy.BINPACK]),
    st.sampled_from([0, 0, 1, 2]),
)


@st.composite
def groups(draw: st.DrawFn) -> list[tuple[Task, int]]:
    """Services one after another, each with a number of tasks."""
    made = []
    for number in range(draw(st.integers(1, 4))):
        count = draw(st.sampled_from([0, 0, 1]))
        task = a_task(
            f"t{number}",
            service=f"s{number}",
            cpus=draw(st.sampled_from([0, 0.5, 1])),
            ports=draw(st.sampled_from([(), (), (HOST_80,)])),
            labels=draw(st.sampled_from([{}, {"app": "x"}])),
            generic=(discrete("gpu", count),) if count else (),
            placement=draw(placements),
        )
        made.append((task, draw(st.integers(1, 8))))
    return made


def end_some(fleet: Fleet, tasks: list[Task], seed: int) -> None:
    """Some placed tasks end, others are told to; the fleet hears of it one by one."""
    rng = random.Random(seed)
    for task in tasks:
        fate = rng.random()
        if fate < 0.2:
            fleet.track(replace(task, status=TaskStatus(state=TaskState.FAILED)))
            fleet.note_failure(task.node_id, (task.service_id, task.spec_version), NOW)
        elif fate < 0.3:
            fleet.track(replace(task, desired_state=TaskState.SHUTDOWN))


def run(fleet: Fleet, work: list[tuple[Task, int]], seed: int, decide_as) -> list[list[str]]:  # type: ignore[no-untyped-def]
    """Place all groups, let some tasks end, place the groups again as newer versions."""
    found = []
    for version in (0, 1):
        for task, count in work:
            task = replace(task, id=TaskId(f"{task.id}v{version}"), spec_version=version)
            decisions = decide_as(fleet, task, count)
            found.append([str(decision[0]) for decision in decisions])
            running = [
                replace(
                    task,
                    id=task_id,
                    slot=slot,
                    node_id=NodeId(node_id),
                    status=TaskStatus(state=TaskState.RUNNING),
                    assigned_generic_resources=claims,
                )
                for node_id, task_id, slot, claims in decisions
                if node_id
            ]
            end_some(fleet, running, seed)
    return found


def as_scheduled(fleet: Fleet, task: Task, count: int):  # type: ignore[no-untyped-def]
    return [
        (made.node_id or "", made.task.id, made.task.slot, made.claims)
        for made in decide(fleet, task, count)
    ]


def as_referred(fleet: Fleet, task: Task, count: int):  # type: ignore[no-untyped-def]
    """The reference: for each task, every filter of every node, and the best by brute force."""
    requirement = requirement_of(task)
    made = []
    for number in range(count):
        one = replace(task, id=TaskId(f"{task.id}-{number}"), slot=task.slot + number)
        filters = Filters(fleet, requirement)
        able = [info for info in fleet if filters.refusal(info) is None]
        info = best(fleet, filters, able, requirement.preferences, list(fleet), task)
        if info is None:
            made.append(("", one.id, one.slot, ()))
            continue
        bound = replace(one, node_id=info.id, slot=0)
        (decision,) = place(fleet, requirement, [bound], now=NOW, rng=random.Random(0))
        fleet.forget(one.id)
        claims = decision.claims
        status = TaskStatus(state=TaskState.RUNNING)
        fleet.track(replace(one, node_id=info.id, status=status, assigned_generic_resources=claims))
        made.append((info.id, one.id, one.slot, claims))
    return made


def best(  # type: ignore[no-untyped-def]
    fleet: Fleet,
    filters: Filters,
    able: list[NodeInfo],
    levels,
    everyone: list[NodeInfo],
    task: Task,
) -> NodeInfo | None:
    if not able:
        return None
    if levels:

        def value(info: NodeInfo) -> str:
            return label_value(info.node, levels[0]) or ""

        def load(branch: str) -> int:
            members = (info for info in everyone if value(info) == branch)
            return sum(info.active_of.get(task.service_id, 0) for info in members)

        branch = min({value(info) for info in able}, key=lambda name: (load(name), name))
        return best(fleet, filters, [info for info in able if value(info) == branch], levels[1:],
                    [info for info in everyone if value(info) == branch], task)  # fmt: skip
    strategy = filters.requirement.strategy or fleet.scheduling.strategy
    failing = fleet.failing((task.service_id, task.spec_version), NOW)

    def rank(info: NodeInfo) -> tuple[object, ...]:
        wishes = misses(info.node, filters.requirement.statics.constraints) + avoided(
            info.node.spec.taints, tolerations_of(task.spec)
        )
        wishes += filters.company.misses(info) if filters.company else 0
        if strategy is Strategy.BINPACK:
            key = order_for(strategy, filters.requirement.size).key(info)
        else:
            key = (info.active_of.get(task.service_id, 0), info.active)
        return (wishes, failing.get(info.id, 0), *key, info.id)

    return min(able, key=rank)


@settings(max_examples=200, deadline=None)
@given(
    nodes(),
    groups(),
    st.sampled_from([Strategy.SPREAD, Strategy.BINPACK]),
    st.integers(0, 99),
    st.sampled_from([1, SERVING_MANY]),
)
def test_cells_and_heaps_come_to_the_same_nodes_as_asking_everyone_every_time(
    machines: list[Node],
    work: list[tuple[Task, int]],
    strategy: Strategy,
    seed: int,
    common_from: int,
) -> None:
    scheduling = SchedulingConfig(strategy=strategy)
    quick = a_fleet(machines, scheduling=scheduling)
    quick.common_from = common_from
    quick.put_in_order()
    slow = a_fleet(machines, scheduling=scheduling)
    assert run(quick, work, seed, as_scheduled) == run(slow, work, seed, as_referred)


@settings(max_examples=100, deadline=None)
@given(nodes(), groups(), st.sampled_from(list(Strategy)), st.randoms(use_true_random=False))
def test_nothing_is_ever_placed_where_it_is_refused_or_does_not_fit(
    machines: list[Node], work: list[tuple[Task, int]], strategy: Strategy, rng: random.Random
) -> None:
    fleet = a_fleet(
        machines, scheduling=SchedulingConfig(strategy=strategy, oversell=Oversell(memory=2))
    )
    for task, count in work:
        requirement = requirement_of(task)
        for decision in decide(fleet, task, count, seed=rng.randrange(1000)):
            if decision.node_id is None:
                continue
            info = fleet.find(decision.node_id)
            assert info is not None
            load = info.loads[decision.task.id]
            fleet.forget(decision.task.id)
            assert Filters(fleet, requirement).refusal(info) is None
            fleet.put(decision.task.id, load, info)
    for info in fleet:
        described = info.node.description
        assert described is not None
        assert described.resources is not None
        ratio = (info.node.spec.oversell or Oversell()).cpus or 1
        assert info.cpus <= described.resources.nano_cpus * ratio
        assert info.memory <= described.resources.memory_bytes * 2
        claims = [claim for load in info.loads.values() for claim in load.generic]
        names = [claim.named_resource_spec for claim in claims if claim.named_resource_spec]
        assert len(names) == len({name.value for name in names})
        assert len(claims) <= info.stock.total("gpu")


@settings(max_examples=100, deadline=None)
@given(nodes(), groups(), st.randoms(use_true_random=False))
def test_the_order_in_which_nodes_became_known_changes_nothing(
    machines: list[Node], work: list[tuple[Task, int]], rng: random.Random
) -> None:
    shuffled = list(machines)
    rng.shuffle(shuffled)
    one, other = a_fleet(machines), a_fleet(shuffled)
    for task, count in work:
        assert nodes_for(one, task, count) == nodes_for(other, task, count)


@given(st.lists(st.integers(0, 6), min_size=1, max_size=6), st.integers(1, 12))
def test_binpack_uses_no_more_nodes_than_equal_tasks_need(sizes: list[int], count: int) -> None:
    machines = [a_node(f"n{number}", cpus=cpus) for number, cpus in enumerate(sizes)]
    task = a_task(cpus=1, placement=Placement(strategy=Strategy.BINPACK))
    used = nodes_for(a_fleet(machines), task, count)
    assert len(used) == min(count, sum(sizes))
    needed, room = 0, 0
    for size in sorted(sizes, reverse=True):
        if room >= len(used):
            break
        needed, room = needed + 1, room + size
    assert len(set(used)) == needed


@given(
    st.lists(st.tuples(ZONES, st.integers(0, 3)), min_size=1, max_size=6),
    st.integers(1, 20),
)
def test_within_a_leaf_and_between_branches_tasks_are_even_up_to_one(
    machines: list[tuple[str, int]], count: int
) -> None:
    fleet = a_fleet(
        [a_node(f"n{i}", labels={"zone": zone}) for i, (zone, _) in enumerate(machines)]
    )
    for i, (_, others) in enumerate(machines):
        for copy in range(others):
            fleet.track(a_task(f"o{i}-{copy}", node=f"n{i}", service="other"))
    used = Counter(nodes_for(fleet, a_task(placement=spread_over("node.labels.zone")), count))
    zones: dict[str, list[int]] = {}
    for i, (zone, _) in enumerate(machines):
        zones.setdefault(zone, []).append(used[f"n{i}"])
    sums = [sum(counts) for counts in zones.values()]
    assert max(sums) - min(sums) <= 1
    for counts in zones.values():
        assert max(counts) - min(counts) <= 1
