"""What-if questions and moves between messages and decisions."""

from __future__ import annotations

from typing import Any

from swarmd.manager.control.core import read_spec, require
from swarmd.model.errors import invalid
from swarmd.model.spec import ServiceSpec
from swarmd.orchestrator.rebalance import Move
from swarmd.orchestrator.scheduler.making_room import label
from swarmd.orchestrator.whatif import Hypothesis, Outcome
from swarmd.orchestrator.whatif.hypothesis import (
    NodeDown,
    NodeDrained,
    NodesAdded,
    ServiceCreated,
    ServiceRemoved,
    ServiceScaled,
    ServiceUpdated,
)
from swarmd.rpc.convert import SERVICE_SPEC
from swarmd.rpc.pb import cluster as pb
from swarmd.store.view import View


def hypothesis_from_pb(message: pb.Hypothesis) -> Hypothesis:
    """What a message supposes; specs are not checked against anything yet.

    Raises:
        Rejection: it supposes nothing, or a spec asks for what no record can hold.
    """
    match message.WhichOneof("what"):
        case "node_down":
            return NodeDown(message.node_down)
        case "node_drained":
            return NodeDrained(message.node_drained)
        case "nodes_added":
            return NodesAdded(message.nodes_added.count, message.nodes_added.like)
        case "service_created":
            return ServiceCreated(_spec(message.service_created))
        case "service_scaled":
            return ServiceScaled(message.service_scaled.service, message.service_scaled.replicas)
        case "service_updated":
            require(message.service_updated, "spec")
            return ServiceUpdated(
                message.service_updated.service, _spec(message.service_updated.spec)
            )
        case "service_removed":
            return ServiceRemoved(message.service_removed)
        case _:
            raise invalid("invalid argument: a hypothesis says nothing that could happen")


def _spec(message: Any) -> ServiceSpec:
    spec: ServiceSpec = read_spec(SERVICE_SPEC, message)
    return spec


def outcome_to_pb(outcome: Outcome) -> pb.SimulateResponse:
    return pb.SimulateResponse(
        shifts=[
            pb.Shift(
                service_id=shift.service_id,
                service_name=shift.service_name,
                task=shift.task,
                kind=shift.kind,
                from_node=shift.from_node,
                to_node=shift.to_node,
                reason=shift.reason,
            )
            for shift in outcome.shifts
        ],
        nodes=[
            pb.NodeLoad(
                node_id=load.node_id,
                hostname=load.hostname,
                ready=load.ready,
                tasks_before=load.tasks_before,
                tasks_after=load.tasks_after,
                nano_cpus_before=load.nano_cpus_before,
                nano_cpus_after=load.nano_cpus_after,
                nano_cpus_total=load.nano_cpus_total,
                memory_bytes_before=load.memory_bytes_before,
                memory_bytes_after=load.memory_bytes_after,
                memory_bytes_total=load.memory_bytes_total,
            )
            for load in outcome.loads
        ],
        pending=outcome.pending,
        settled=outcome.settled,
        duration_ns=outcome.duration_ns,
    )


def move_to_pb(move: Move, view: View) -> pb.Move:
    return pb.Move(
        task_id=move.task.id,
        task=label(move.task, view),
        from_node=_host(move.task.node_id, view),
        to_node=_host(move.to, view),
        reason=move.reason,
    )


def _host(node_id: str, view: View) -> str:
    node = view.find_node(node_id)
    return (node.hostname if node else "") or node_id
