"""Whether a node can take a task, and the sentence when none can."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from swarmd.model.ids import NodeId, ServiceId, TaskId
from swarmd.model.node import Node
from swarmd.model.spec import Placement, Platform, PortConfig
from swarmd.model.states import Availability, NodeState, PublishMode, TaskState
from swarmd.model.task import Task, TaskStatus
from swarmd.orchestrator.scheduler.explain import explain
from swarmd.orchestrator.scheduler.filters import (
    Refusal,
    refusal,
    refusal_by_load,
    requirement_of,
)
from swarmd.orchestrator.scheduler.node_info import Fleet, NodeInfo
from tests.support.cluster import a_node, a_task_spec

HOST_80 = PortConfig(target_port=80, published_port=80, publish_mode=PublishMode.HOST)


def a_task(name: str = "t", *, node: str = "", ports: tuple[PortConfig, ...] = (), **spec: object):  # type: ignore[no-untyped-def]
    state = TaskState.RUNNING if node else TaskState.PENDING
    return Task(
        id=TaskId(name),
        service_id=ServiceId("s"),
        node_id=NodeId(node),
        status=TaskStatus(state=state),
        desired_state=TaskState.RUNNING,
        spec=a_task_spec(**spec),  # type: ignore[arg-type]
        ports=ports,
    )


def a_fleet(node: Node, *tasks: Task) -> Fleet:
    fleet = Fleet()
    fleet.put_node(node)
    for task in tasks:
        fleet.track(task)
    return fleet


def info_of(fleet: Fleet) -> NodeInfo:
    (info,) = fleet
    return info


ACTIVE = a_node("n1")
DRAINED = replace(ACTIVE, spec=replace(ACTIVE.spec, availability=Availability.DRAIN))
ARM = Placement(platforms=(Platform(architecture="aarch64", os="linux"),))
X86 = Placement(platforms=(Platform(architecture="amd64"), Platform(os="plan9")))


@pytest.mark.parametrize(
    ("node", "task", "expected"),
    [
        pytest.param(ACTIVE, a_task(), None, id="fits"),
        pytest.param(DRAINED, a_task(), Refusal.NOT_READY, id="drained"),
        pytest.param(a_node("n1", state=NodeState.UNKNOWN), a_task(), Refusal.NOT_READY,
                     id="unknown"),
        pytest.param(ACTIVE, a_task(cpus=4), None, id="exactly enough"),
        pytest.param(ACTIVE, a_task(cpus=4.1), Refusal.RESOURCES, id="cpus"),
        pytest.param(ACTIVE, a_task(memory=9 << 30), Refusal.RESOURCES, id="memory"),
        pytest.param(Node(id=ACTIVE.id, status=ACTIVE.status), a_task(cpus=1), Refusal.RESOURCES,
                     id="not described"),
        pytest.param(ACTIVE, a_task(placement=Placement(constraints=("node.id==x",))),
                     Refusal.CONSTRAINTS, id="constraint"),
        pytest.param(ACTIVE, a_task(placement=ARM), Refusal.PLATFORM, id="platform"),
        pytest.param(ACTIVE, a_task(placement=X86), None, id="same platform by another name"),
        pytest.param(Node(id=ACTIVE.id, status=ACTIVE.status), a_task(placement=X86),
                     Refusal.PLATFORM, id="platform unknown"),
    ],
)  # fmt: skip
def test_the_first_filter_that_fails_refuses(
    node: Node, task: Task, expected: Refusal | None
) -> None:
    assert refusal(info_of(a_fleet(node)), requirement_of(task)) is expected


@pytest.mark.parametrize(
    ("task", "expected"),
    [
        pytest.param(a_task(cpus=2), Refusal.RESOURCES, id="what is left"),
        pytest.param(a_task(cpus=1), None, id="still fits"),
        pytest.param(a_task(ports=(HOST_80,)), Refusal.HOST_PORT, id="host port"),
        pytest.param(a_task(placement=Placement(max_replicas=1)), Refusal.MAX_REPLICAS,
                     id="max replicas"),
    ],
)  # fmt: skip
def test_load_on_the_node_counts(task: Task, expected: Refusal | None) -> None:
    info = info_of(a_fleet(ACTIVE, a_task("other", node="n1", cpus=3, ports=(HOST_80,))))
    assert refusal(info, requirement_of(task)) is expected
    assert refusal_by_load(info, requirement_of(task)) is expected


def test_a_task_that_stops_gives_everything_back() -> None:
    task = a_task("other", node="n1", cpus=3, ports=(HOST_80,))
    fleet = a_fleet(ACTIVE, task, task)
    fleet.track(replace(task, status=TaskStatus(state=TaskState.FAILED)))
    info = info_of(fleet)
    assert (info.cpus, info.memory, info.active, info.active_of, info.used_ports) == (
        0, 0, 0, {}, {}
    )  # fmt: skip


def test_a_task_that_is_told_to_stop_keeps_its_resources_until_it_has() -> None:
    task = a_task("other", node="n1", cpus=3)
    fleet = a_fleet(ACTIVE, task)
    fleet.track(replace(task, desired_state=TaskState.SHUTDOWN))
    assert (info_of(fleet).active, info_of(fleet).cpus) == (0, 3 * 10**9)


def test_tasks_of_a_node_that_left_are_forgotten() -> None:
    task = a_task("other", node="n1", cpus=3)
    fleet = a_fleet(ACTIVE, task)
    fleet.drop_node(ACTIVE.id)
    fleet.forget(task.id)
    assert fleet.put_node(ACTIVE)
    assert info_of(fleet).cpus == 0


@pytest.mark.parametrize(
    ("nodes", "task", "sentence"),
    [
        pytest.param([], a_task(), "no suitable node (the swarm has no nodes); add a node: "
                     "swarmd join", id="no nodes"),
        pytest.param([DRAINED], a_task(), "no suitable node (1 node not available for new tasks); "
                     "bring nodes back or set their availability to active", id="drained"),
        pytest.param([ACTIVE, a_node("n2")], a_task(cpus=5, memory=1 << 30),
                     "no suitable node (insufficient resources on 2 nodes); add a node with 5 CPUs "
                     "and 1 GiB of memory free or lower the reservation", id="resources"),
        pytest.param([ACTIVE], a_task(placement=Placement(constraints=("node.labels.a==b",))),
                     "no suitable node (scheduling constraints not satisfied on 1 node); add a "
                     "node with node.labels.a==b or relax the constraints", id="constraints"),
        pytest.param([ACTIVE], a_task(placement=ARM), "no suitable node (unsupported platform on 1 "
                     "node); add a node of platform linux/aarch64", id="platform"),
    ],
)  # fmt: skip
def test_the_explanation_counts_nodes_and_names_a_remedy(
    nodes: list[Node], task: Task, sentence: str
) -> None:
    assert explain([NodeInfo(node) for node in nodes], requirement_of(task)) == sentence
