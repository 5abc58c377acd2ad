"""Properties of the conversion: nothing that a record can hold is lost on the wire."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from swarmd.model.cluster import Cluster
from swarmd.model.node import Node
from swarmd.model.service import Service
from swarmd.model.spec import GlobalMode, Replicated, ServiceMode, ServiceSpec, TaskSpec
from swarmd.model.states import RestartCondition
from swarmd.model.task import Task
from swarmd.rpc import convert
from tests.support.records import records

MODES = st.sampled_from(
    [
        ServiceMode(),
        ServiceMode(replicated=Replicated()),
        ServiceMode(replicated=Replicated(replicas=0)),
        ServiceMode(replicated=Replicated(replicas=7)),
        ServiceMode(global_=GlobalMode()),
    ]
)


def as_the_wire_has_it(spec: TaskSpec) -> TaskSpec:
    """What is left open and has no open form on the wire, written out."""
    if spec.restart_policy is not None and spec.restart_policy.condition is None:
        policy = replace(spec.restart_policy, condition=RestartCondition.ANY)
        spec = replace(spec, restart_policy=policy)
    resources = spec.resources
    if resources is not None:
        limits, reservations = resources.limits, resources.reservations
        if limits is not None and spec.container_spec is None:
            limits = replace(limits, pids=0)
        if reservations is not None:
            reservations = replace(reservations, pids=0)
        resources = replace(resources, limits=limits, reservations=reservations)
    return replace(spec, resources=resources)


def service_as_the_wire_has_it(spec: ServiceSpec) -> ServiceSpec:
    mode = spec.mode
    if mode.replicated is not None and mode.replicated.replicas is None:
        mode = ServiceMode(replicated=Replicated(replicas=1))
    return replace(spec, mode=mode, task_template=as_the_wire_has_it(spec.task_template))


def node_as_the_wire_has_it(node: Node) -> Node:
    description = node.description
    if description is not None and description.resources is not None:
        resources = replace(description.resources, pids=0)
        node = replace(node, description=replace(description, resources=resources))
    return node


SPECS = records(ServiceSpec, mode=MODES).map(service_as_the_wire_has_it)
ROUND_TRIPS: dict[str, tuple[Any, Any]] = {
    "cluster": (convert.CLUSTER, records(Cluster)),
    "node": (convert.NODE, records(Node).map(node_as_the_wire_has_it)),
    "service": (
        convert.SERVICE,
        records(Service, spec=SPECS, previous_spec=st.none() | SPECS),
    ),
    "task": (convert.TASK, records(Task, spec=records(TaskSpec).map(as_the_wire_has_it))),
}
QUICK = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


@pytest.mark.parametrize("kind", ROUND_TRIPS)
@given(data=st.data())
@QUICK
def test_a_record_survives_the_wire(kind: str, data: st.DataObject) -> None:
    mapping, values = ROUND_TRIPS[kind]
    record = data.draw(values)
    wire = mapping.to_pb(record).SerializeToString()
    assert mapping.from_pb(mapping.message_type.FromString(wire)) == record


@pytest.mark.parametrize("kind", ROUND_TRIPS)
@given(data=st.data())
@QUICK
def test_what_a_record_writes_is_supported(kind: str, data: st.DataObject) -> None:
    mapping, values = ROUND_TRIPS[kind]
    message = mapping.to_pb(data.draw(values))
    wanted = {"annotations"} if kind == "task" else set()
    assert set(convert.unsupported_fields(mapping, message)) <= wanted


@given(task=records(Task))
@QUICK
def test_the_fast_ways_to_convert_a_task_agree_with_the_table(task: Task) -> None:
    slow = convert.TASK.to_pb(task)
    assert convert.task_to_pb(task) == slow
    assert type(slow).FromString(convert.task_to_bytes(task)) == slow
