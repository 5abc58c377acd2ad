"""Properties of the conversion: nothing that a record can hold is lost on the wire."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from swarmd.model.cluster import Cluster
from swarmd.model.instant import Instant
from swarmd.model.node import Node
from swarmd.model.service import PastSpec, Service
from swarmd.model.spec import (
    ConfigReference,
    ContainerSpec,
    Cron,
    FileTarget,
    GlobalJob,
    GlobalMode,
    Replicated,
    ReplicatedJob,
    RuntimeTarget,
    ServiceMode,
    ServiceSpec,
    Stateful,
    TaskSpec,
)
from swarmd.model.states import Concurrency, MissedRuns, RestartCondition, StartOrder
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
        ServiceMode(replicated_job=ReplicatedJob(max_concurrent=2, total_completions=9)),
        ServiceMode(replicated_job=ReplicatedJob()),
        ServiceMode(global_job=GlobalJob()),
        ServiceMode(stateful=Stateful()),
        ServiceMode(stateful=Stateful(replicas=0, lease_ns=5, start_order=StartOrder.PARALLEL)),
        ServiceMode(cron=Cron(schedule="@daily")),
        ServiceMode(
            cron=Cron(
                schedule="*/5 * * * *",
                time_zone="Europe/Rome",
                concurrency=Concurrency.REPLACE,
                missed_runs=MissedRuns.ALL,
                starting_deadline_ns=7,
                suspended=True,
                job=ReplicatedJob(max_concurrent=0, total_completions=4),
                successful_runs_kept=0,
                failed_runs_kept=8,
            )
        ),
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
    if mode.replicated_job is not None and mode.replicated_job.total_completions is None:
        mode = ServiceMode(replicated_job=ReplicatedJob(max_concurrent=1, total_completions=1))
    return replace(spec, mode=mode, task_template=as_the_wire_has_it(spec.task_template))


def node_as_the_wire_has_it(node: Node) -> Node:
    description = node.description
    if description is not None and description.resources is not None:
        resources = replace(description.resources, pids=0)
        node = replace(node, description=replace(description, resources=resources))
    return node


CONFIGS = st.sampled_from(
    [
        (),
        (ConfigReference(config_id="c", config_name="n", file=FileTarget(name="f", mode=0o440)),),
        (ConfigReference(config_id="c", runtime=RuntimeTarget()), ConfigReference()),
    ]
)
TASK_SPECS = records(
    TaskSpec, container_spec=st.none() | records(ContainerSpec, configs=CONFIGS)
).map(as_the_wire_has_it)
SPECS = records(ServiceSpec, mode=MODES, task_template=TASK_SPECS).map(service_as_the_wire_has_it)
EARLIER = st.builds(ServiceSpec, name=st.sampled_from(["", "web"]), mode=MODES).map(
    service_as_the_wire_has_it
)
ROUND_TRIPS: dict[str, tuple[Any, Any]] = {
    "cluster": (
        convert.CLUSTER,
        records(
            Cluster,
            subnet_size=st.integers(1, 128),
            vxlan_udp_port=st.integers(1, 65535),
            # Clients have no use for network keys: they travel in sessions alone.
            network_bootstrap_keys=st.just(()),
            encryption_key_lamport_clock=st.just(0),
            network_keys_rotated_at=st.just(Instant(0)),
        ),
    ),
    "node": (convert.NODE, records(Node).map(node_as_the_wire_has_it)),
    "service": (
        convert.SERVICE,
        records(
            Service,
            spec=SPECS,
            previous_spec=st.none() | EARLIER,
            history=st.lists(records(PastSpec, spec=EARLIER), max_size=2).map(tuple),
        ),
    ),
    "task": (convert.TASK, records(Task, spec=TASK_SPECS)),
}
QUICK = settings(
    max_examples=200,
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
