"""Whether a node can take a task: each filter, and the order in which they are asked."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from swarmd.model.cluster import SchedulingConfig
from swarmd.model.ids import ServiceId
from swarmd.model.node import EngineDescription, Node, Oversell, PluginDescription
from swarmd.model.spec import LogDriver, Placement, Platform, PortConfig
from swarmd.model.states import Availability, NodeState, PublishMode, TaskState
from swarmd.model.task import Task, TaskStatus
from swarmd.orchestrator.scheduler.filters import Filters
from swarmd.orchestrator.scheduler.fleet import Fleet
from swarmd.orchestrator.scheduler.node_info import NodeInfo
from swarmd.orchestrator.scheduler.refusals import Refusal
from swarmd.orchestrator.scheduler.requirement import requirement_of
from tests.support.cluster import a_node
from tests.support.fleet import a_fleet, a_task, decide, discrete, named

HOST_80 = PortConfig(target_port=80, published_port=80, publish_mode=PublishMode.HOST)


def info_of(fleet: Fleet) -> NodeInfo:
    (info,) = fleet
    return info


def refusal(fleet: Fleet, task: Task, drivers: tuple[str, ...] = ()) -> Refusal | None:
    """What the filters say of the fleet's one node; placing must come to the same result."""
    found = Filters(fleet, requirement_of(task, drivers)).refusal(info_of(fleet))
    (decision,) = decide(fleet, task, drivers=drivers)
    assert (decision.node_id is None) == (found is not None)
    return found


def with_plugins(*plugins: tuple[str, str]) -> Node:
    node = a_node("n1")
    assert node.description is not None
    engine = EngineDescription(
        plugins=tuple(PluginDescription(type=kind, name=name) for kind, name in plugins)
    )
    return replace(node, description=replace(node.description, engine=engine))


def with_generic(*resources: object) -> Node:
    node = a_node("n1")
    assert node.description is not None
    assert node.description.resources is not None
    amounts = replace(node.description.resources, generic_resources=tuple(resources))
    return replace(node, description=replace(node.description, resources=amounts))


def tainted(*taints: str) -> Node:
    return replace(ACTIVE, spec=replace(ACTIVE.spec, taints=taints))


ACTIVE = a_node("n1")
DRAINED = replace(ACTIVE, spec=replace(ACTIVE.spec, availability=Availability.DRAIN))
UNDESCRIBED = Node(id=ACTIVE.id, status=ACTIVE.status)
ARM = Placement(platforms=(Platform(architecture="aarch64", os="linux"),))
X86 = Placement(platforms=(Platform(architecture="amd64"), Platform(os="plan9")))
FLUENTD = LogDriver(name="fluentd")


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
        pytest.param(UNDESCRIBED, a_task(cpus=1), Refusal.RESOURCES, id="not described"),
        pytest.param(with_generic(discrete("gpu", 2)), a_task(generic=(discrete("gpu", 2),)), None,
                     id="discrete, enough"),
        pytest.param(with_generic(discrete("gpu", 2)), a_task(generic=(discrete("gpu", 3),)),
                     Refusal.RESOURCES, id="discrete, too few"),
        pytest.param(with_generic(*named("gpu", "a", "b")), a_task(generic=(discrete("gpu", 2),)),
                     None, id="named, enough"),
        pytest.param(with_generic(*named("gpu", "a")), a_task(generic=(discrete("gpu", 2),)),
                     Refusal.RESOURCES, id="named, too few"),
        pytest.param(ACTIVE, a_task(generic=(discrete("gpu", 1),)), Refusal.RESOURCES,
                     id="no such kind"),
        pytest.param(with_plugins(("Log", "syslog")), a_task(log_driver=FLUENTD), Refusal.PLUGIN,
                     id="log driver missing"),
        pytest.param(with_plugins(("Log", "fluentd:latest")), a_task(log_driver=FLUENTD), None,
                     id="log driver there, as latest"),
        pytest.param(with_plugins(("Network", "overlay")), a_task(log_driver=FLUENTD), None,
                     id="log drivers not listed at all"),
        pytest.param(UNDESCRIBED, a_task(log_driver=FLUENTD), None, id="engine not described"),
        pytest.param(with_plugins(("Log", "syslog")), a_task(log_driver=LogDriver(name="none")),
                     None, id="no log driver wanted"),
        pytest.param(ACTIVE, a_task(placement=Placement(constraints=("node.id==x",))),
                     Refusal.CONSTRAINTS, id="constraint"),
        pytest.param(ACTIVE, a_task(placement=Placement(constraints=("node.id==~x",))), None,
                     id="soft constraint"),
        pytest.param(ACTIVE, a_task(placement=ARM), Refusal.PLATFORM, id="platform"),
        pytest.param(ACTIVE, a_task(placement=X86), None, id="same platform by another name"),
        pytest.param(UNDESCRIBED, a_task(placement=X86), Refusal.PLATFORM, id="platform unknown"),
        pytest.param(tainted("gpu:no-schedule"), a_task(), Refusal.TAINT, id="taint"),
        pytest.param(tainted("gpu:no-execute"), a_task(), Refusal.TAINT, id="evicting taint"),
        pytest.param(tainted("gpu:prefer-no-schedule"), a_task(), None, id="taint as a wish"),
        pytest.param(tainted("gpu=a:no-schedule"),
                     a_task(placement=Placement(tolerations=("gpu",))), None, id="tolerated"),
        pytest.param(tainted("gpu:no-schedule", "old:no-schedule"),
                     a_task(placement=Placement(tolerations=("gpu",))), Refusal.TAINT,
                     id="one of two tolerated"),
        pytest.param(ACTIVE, a_task(placement=Placement(affinities=("service==db",))),
                     Refusal.AFFINITY, id="affinity"),
        pytest.param(ACTIVE, a_task(placement=Placement(affinities=("service==~db",))), None,
                     id="soft affinity"),
    ],
)  # fmt: skip
def test_the_first_filter_that_fails_refuses(
    node: Node, task: Task, expected: Refusal | None
) -> None:
    assert refusal(a_fleet([node]), task) is expected


def test_a_network_driver_must_be_there_if_the_node_lists_any() -> None:
    task = a_task()
    assert refusal(a_fleet([with_plugins(("Network", "bridge"))]), task, ("overlay",)) is (
        Refusal.PLUGIN
    )
    assert refusal(a_fleet([with_plugins(("Log", "syslog"))]), task, ("overlay",)) is None


def test_filters_are_asked_in_the_order_people_know() -> None:
    everything = a_task(
        cpus=5,
        ports=(HOST_80,),
        log_driver=FLUENTD,
        placement=Placement(
            constraints=("node.labels.a==b",),
            platforms=ARM.platforms,
            max_replicas=1,
            affinities=("service==db",),
        ),
    )
    node = replace(
        with_plugins(("Log", "syslog")), spec=replace(DRAINED.spec, taints=("x:no-schedule",))
    )
    other = a_task("other", node="n1", ports=(HOST_80,))
    remedies = [
        (Refusal.NOT_READY, lambda n, t: (_node(n, availability=Availability.ACTIVE), t)),
        (Refusal.RESOURCES, lambda n, t: (n, replace(t, spec=replace(t.spec, resources=None)))),
        (Refusal.PLUGIN, lambda n, t: (n, replace(t, spec=replace(t.spec, log_driver=None)))),
        (Refusal.CONSTRAINTS, lambda n, t: (n, _placed(t, constraints=()))),
        (Refusal.PLATFORM, lambda n, t: (n, _placed(t, platforms=()))),
        (Refusal.HOST_PORT, lambda n, t: (n, replace(t, ports=()))),
        (Refusal.MAX_REPLICAS, lambda n, t: (n, _placed(t, max_replicas=0))),
        (Refusal.TAINT, lambda n, t: (_node(n, taints=()), t)),
        (Refusal.AFFINITY, lambda n, t: (n, _placed(t, affinities=()))),
    ]  # fmt: skip
    task = everything
    for expected, mend in remedies:
        assert refusal(a_fleet([node], other), task) is expected
        node, task = mend(node, task)
    assert refusal(a_fleet([node], other), task) is None


def _node(node: Node, **fields: object) -> Node:
    return replace(node, spec=replace(node.spec, **fields))


def _placed(task: Task, **fields: object) -> Task:
    placement = replace(task.spec.placement or Placement(), **fields)
    return replace(task, spec=replace(task.spec, placement=placement))


@pytest.mark.parametrize(
    ("task", "expected"),
    [
        pytest.param(a_task(cpus=2), Refusal.RESOURCES, id="what is left"),
        pytest.param(a_task(cpus=1), None, id="still fits"),
        pytest.param(a_task(ports=(HOST_80,)), Refusal.HOST_PORT, id="host port"),
        pytest.param(a_task(placement=Placement(max_replicas=1)), Refusal.MAX_REPLICAS,
                     id="max replicas"),
        pytest.param(a_task(placement=Placement(affinities=("service!=s",))), Refusal.AFFINITY,
                     id="anti-affinity"),
    ],
)  # fmt: skip
def test_load_on_the_node_counts(task: Task, expected: Refusal | None) -> None:
    other = a_task("other", node="n1", cpus=3, ports=(HOST_80,))
    assert refusal(a_fleet([ACTIVE], other), task) is expected


@pytest.mark.parametrize(
    ("node_ratio", "cluster_ratio", "cpus", "fits"),
    [
        (None, Oversell(cpus=2), 8, True),
        (None, Oversell(cpus=2), 8.1, False),
        (Oversell(cpus=1), Oversell(cpus=2), 4.1, False),
        (Oversell(memory=3), Oversell(cpus=2), 8, True),
        (Oversell(cpus=0.5), Oversell(), 2, True),
        (Oversell(cpus=0.5), Oversell(), 2.1, False),
        (None, Oversell(memory=2), 4.1, False),
    ],
)
def test_a_node_is_sold_as_often_as_it_says_or_else_the_cluster(
    node_ratio: Oversell | None, cluster_ratio: Oversell, cpus: float, fits: bool
) -> None:
    node = replace(ACTIVE, spec=replace(ACTIVE.spec, oversell=node_ratio))
    fleet = a_fleet([node], scheduling=SchedulingConfig(oversell=cluster_ratio))
    assert (refusal(fleet, a_task(cpus=cpus)) is None) == fits


def test_another_ratio_counts_at_once() -> None:
    fleet = a_fleet([ACTIVE])
    assert refusal(fleet, a_task(memory=9 << 30)) is Refusal.RESOURCES
    assert fleet.configure(SchedulingConfig(oversell=Oversell(memory=2)))
    assert not fleet.configure(SchedulingConfig(oversell=Oversell(memory=2)))
    assert refusal(fleet, a_task(memory=9 << 30)) is None


def test_a_task_that_stops_gives_everything_back() -> None:
    task = a_task("other", node="n1", cpus=3, memory=1 << 30, ports=(HOST_80,),
                  claims=named("gpu", "a"))  # fmt: skip
    fleet = a_fleet([with_generic(*named("gpu", "a"))], task, task)
    info = info_of(fleet)
    assert info.stock.free("gpu") == 0
    fleet.track(replace(task, status=TaskStatus(state=TaskState.FAILED)))
    assert (info.cpus, info.memory, info.active, info.active_of, info.used_ports) == (
        0, 0, 0, {}, {}
    )  # fmt: skip
    assert info.stock.free("gpu") == 1
    assert list(fleet.kinds) == []
    assert fleet.serving(ServiceId("s")) == {}


def test_a_task_that_is_told_to_stop_keeps_its_resources_until_it_has() -> None:
    task = a_task("other", node="n1", cpus=3)
    fleet = a_fleet([ACTIVE], task)
    fleet.track(replace(task, desired_state=TaskState.SHUTDOWN))
    assert (info_of(fleet).active, info_of(fleet).cpus) == (0, 3 * 10**9)
    assert fleet.serving(ServiceId("s")) == {}


def test_tasks_of_a_node_that_left_are_forgotten() -> None:
    task = a_task("other", node="n1", cpus=3)
    fleet = a_fleet([ACTIVE], task)
    fleet.drop_node(ACTIVE.id)
    fleet.forget(task.id)
    assert fleet.put_node(ACTIVE)
    assert info_of(fleet).cpus == 0
    assert decide(fleet, a_task(cpus=4))[0].node_id == ACTIVE.id
