"""What may be said about where tasks run, both sides of every limit."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from swarmd.manager.validate import check_cluster_spec, check_node_spec, check_service_spec
from swarmd.manager.validate.placement import WISHES_MAX
from swarmd.model.cluster import ClusterSpec, SchedulingConfig
from swarmd.model.errors import Code, Rejection
from swarmd.model.node import NodeSpec, Oversell
from swarmd.model.spec import (
    GenericResource,
    Placement,
    ResourceRequirements,
    Resources,
    ServiceSpec,
)
from swarmd.model.states import Strategy
from tests.support.cluster import a_service_spec, a_task_spec
from tests.support.fleet import discrete, named


def placed(**fields: object) -> ServiceSpec:
    return a_service_spec(task=a_task_spec(placement=Placement(**fields)))  # type: ignore[arg-type]


def reserving(*generic: GenericResource) -> ServiceSpec:
    required = ResourceRequirements(reservations=Resources(generic_resources=generic))
    return a_service_spec(task=replace(a_task_spec(), resources=required))


GOOD = {
    "strategy": placed(strategy=Strategy.BINPACK),
    "affinities": placed(affinities=("image==nginx*", "service!=~/^batch-/", "com.x/y==z")),
    "tolerations": placed(tolerations=("gpu", "gpu=a:no-execute", "*")),
    "glob": placed(constraints=("node.labels.zone==eu-*", "node.ip==~10.0.0.0/8")),
    "expression": placed(constraints=("node.hostname==/^web-{2}[0-9]+$/",)),
    "generic": reserving(discrete("gpu", 1), discrete("nvidia.com/gpu", 8)),
    "as many as allowed": placed(affinities=("service==a",) * WISHES_MAX),
}
BAD = {
    "affinity without comparison": (placed(affinities=("nginx",)), "compares nothing"),
    "affinity without value": (placed(affinities=("image==",)), "no value"),
    "affinity key": (placed(affinities=("a b==c",)), "invalid key"),
    "affinity expression": (placed(affinities=("image==/(/",)), "'(' without ')'"),
    "constraint expression": (placed(constraints=("node.id==/[/",)), "ends too early"),
    "toleration effect": (placed(tolerations=("gpu:never",)), "no-schedule"),
    "too many": (placed(affinities=("service==a",) * (WISHES_MAX + 1)), "the limit is 64"),
    "generic by name": (reserving(*named("gpu", "u1")), "asked for by name"),
    "generic of none": (reserving(discrete("gpu", 0)), "must be at least 1"),
    "generic kind": (reserving(discrete("g p", 1)), "no kind of resource"),
}


@pytest.mark.parametrize("spec", GOOD.values(), ids=GOOD)
def test_a_service_may_ask_for_what_the_scheduler_knows(spec: ServiceSpec) -> None:
    check_service_spec(spec)


@pytest.mark.parametrize(("spec", "words"), BAD.values(), ids=BAD)
def test_a_service_is_refused_with_the_reason(spec: ServiceSpec, words: str) -> None:
    with pytest.raises(Rejection) as refusal:
        check_service_spec(spec)
    assert refusal.value.code is Code.INVALID_ARGUMENT
    assert words in str(refusal.value)


def test_generic_resources_cannot_be_limited() -> None:
    limits = ResourceRequirements(limits=Resources(generic_resources=(discrete("gpu", 1),)))
    with pytest.raises(Rejection, match="cannot be limited"):
        check_service_spec(a_service_spec(task=replace(a_task_spec(), resources=limits)))


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        (NodeSpec(taints=("a:no-schedule", "a:no-execute", "b=1:prefer-no-schedule")), ""),
        (NodeSpec(taints=("a",)), "has no effect"),
        (NodeSpec(taints=("a=1:no-schedule", "a=2:no-schedule")), "there twice"),
        (NodeSpec(oversell=Oversell(cpus=100, memory=0.01)), ""),
        (NodeSpec(oversell=Oversell(cpus=100.5)), "must be 0 (none) or between 0.01 and 100"),
        (NodeSpec(oversell=Oversell(memory=-1)), "oversell.memory"),
        (NodeSpec(oversell=Oversell(memory=float("nan"))), "oversell.memory"),
    ],
)
def test_taints_and_ratios_of_nodes(spec: NodeSpec, words: str) -> None:
    if not words:
        check_node_spec(spec)
        return
    with pytest.raises(Rejection) as refusal:
        check_node_spec(spec)
    assert words in str(refusal.value)


def test_cluster_settings_for_placing() -> None:
    good = SchedulingConfig(strategy=Strategy.RANDOM, oversell=Oversell(cpus=2))
    check_cluster_spec(replace(ClusterSpec(), scheduling=good))
    bad = replace(good, oversell=Oversell(cpus=1000))
    with pytest.raises(Rejection, match=r"scheduling\.oversell\.cpus"):
        check_cluster_spec(replace(ClusterSpec(), scheduling=bad))
