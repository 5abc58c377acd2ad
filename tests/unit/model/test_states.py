"""Task states and the defaults of silent specs."""

from __future__ import annotations

import pytest

from swarmd.model import defaults
from swarmd.model.ids import NodeId, ServiceId, TaskId
from swarmd.model.instant import SECOND
from swarmd.model.node import Node, NodeDescription, NodeStatus
from swarmd.model.spec import (
    ContainerSpec,
    Replicated,
    ResourceRequirements,
    Resources,
    RestartPolicy,
    ServiceMode,
    ServiceSpec,
    TaskSpec,
    UpdateConfig,
)
from swarmd.model.states import RestartCondition, TaskState
from swarmd.model.task import Task


def test_states_are_ordered_as_tasks_live_through_them() -> None:
    assert list(TaskState) == sorted(TaskState)
    assert [state.word for state in TaskState if state.terminal] == [
        "complete", "shutdown", "failed", "rejected", "remove", "orphaned"
    ]  # fmt: skip


def test_a_task_is_named_after_its_slot_or_its_node() -> None:
    task = Task(id=TaskId("id"), service_id=ServiceId("s"), service_name="web", slot=3)
    assert task.name == "web.3.id"
    bound = Task(id=TaskId("id"), service_name="agent", node_id=NodeId("node"))
    assert bound.name == "agent.node.id"


def test_a_node_is_reached_at_its_data_address_or_where_its_session_comes_from() -> None:
    status = NodeStatus(addr="10.0.0.1")
    plain = Node(id=NodeId("n"), status=status)
    split = Node(id=NodeId("n"), status=status, description=NodeDescription(data_addr="10.9.0.1"))
    assert (plain.data_addr, split.data_addr) == ("10.0.0.1", "10.9.0.1")
    assert plain.hostname == ""


def test_a_silent_spec_gets_the_numbers_of_swarm_mode() -> None:
    spec = TaskSpec(container_spec=ContainerSpec())
    assert defaults.restart_condition(spec) is RestartCondition.ANY
    assert defaults.restart_delay_ns(spec) == 5 * SECOND
    assert defaults.stop_grace_period_ns(spec) == 10 * SECOND
    assert defaults.reservations(spec) == defaults.limits(spec) == Resources()
    assert defaults.placement(spec).max_replicas == 0
    service = ServiceSpec(name="web")
    assert defaults.replicas(service) == 1
    assert defaults.update_config(service).parallelism == 1
    assert defaults.rollback_config(service).parallelism == 1


def test_zero_is_not_silence() -> None:
    spec = TaskSpec(
        container_spec=ContainerSpec(stop_grace_period_ns=0),
        restart_policy=RestartPolicy(delay_ns=0, condition=RestartCondition.NONE),
        resources=ResourceRequirements(reservations=Resources(nano_cpus=1)),
    )
    assert defaults.restart_delay_ns(spec) == 0
    assert defaults.restart_condition(spec) is RestartCondition.NONE
    assert defaults.stop_grace_period_ns(spec) == 0
    assert defaults.reservations(spec).nano_cpus == 1
    service = ServiceSpec(
        mode=ServiceMode(replicated=Replicated(replicas=0)), update_config=UpdateConfig()
    )
    assert defaults.replicas(service) == 0
    assert defaults.update_config(service).parallelism == 0


def test_a_stored_task_spec_without_a_container_is_a_bug() -> None:
    with pytest.raises(AssertionError):
        defaults.container(TaskSpec())
