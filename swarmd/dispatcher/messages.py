"""The dispatcher's messages, put together from parts.

Assignments are assembled as bytes around the serialized tasks: a spec that thousands of tasks share
is serialized once, and nothing is copied through message objects.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from swarmd.dispatcher.core.assignments import Step
from swarmd.model.ids import NodeId, SessionId
from swarmd.model.instant import MILLISECOND, SECOND
from swarmd.model.node import Node
from swarmd.rpc.convert import node_to_pb, task_to_bytes
from swarmd.rpc.convert.wire import length_delimited, varint
from swarmd.rpc.pb import dispatcher as pb
from swarmd.rpc.pb import objects

MANAGER_WEIGHT = 10
HEARTBEAT_ANSWERS_MAX = 4096

_TYPE_FIELD = pb.AssignmentsMessage.TYPE_FIELD_NUMBER
_APPLIES_TO_FIELD = pb.AssignmentsMessage.APPLIES_TO_FIELD_NUMBER
_RESULTS_IN_FIELD = pb.AssignmentsMessage.RESULTS_IN_FIELD_NUMBER
_CHANGES_FIELD = pb.AssignmentsMessage.CHANGES_FIELD_NUMBER
_ASSIGNMENT_FIELD = pb.AssignmentChange.ASSIGNMENT_FIELD_NUMBER
_TASK_FIELD = pb.Assignment.TASK_FIELD_NUMBER

_INCREMENTAL = varint(_TYPE_FIELD << 3) + varint(pb.AssignmentsMessage.INCREMENTAL)
_REMOVE = varint(pb.AssignmentChange.ACTION_FIELD_NUMBER << 3) + varint(pb.AssignmentChange.REMOVE)


class ManagerPeer(NamedTuple):
    """A manager that agents may call."""

    node_id: NodeId
    addr: str  # host:port


def assignments_message(step: Step) -> bytes:
    """A serialized `AssignmentsMessage`."""
    parts = [] if step.complete else [_INCREMENTAL]
    if step.applies_to:
        parts.append(length_delimited(_APPLIES_TO_FIELD, step.applies_to.encode()))
    parts.append(length_delimited(_RESULTS_IN_FIELD, step.results_in.encode()))
    for task in step.updates:
        assignment = length_delimited(_TASK_FIELD, task_to_bytes(task))
        change = length_delimited(_ASSIGNMENT_FIELD, assignment)
        parts.append(length_delimited(_CHANGES_FIELD, change))
    for task_id in step.removed:
        gone = objects.Task(id=task_id).SerializeToString()
        change = length_delimited(_ASSIGNMENT_FIELD, length_delimited(_TASK_FIELD, gone))
        parts.append(length_delimited(_CHANGES_FIELD, change + _REMOVE))
    return b"".join(parts)


def session_message(
    *,
    session_id: SessionId,
    node: Node,
    managers: Iterable[ManagerPeer],
    root_ca: bytes,
    leader_addr: str,
) -> pb.SessionMessage:
    """News for a node, complete each time.

    An agent forgets managers that aren't listed, so there must be one.
    """
    message = pb.SessionMessage(session_id=session_id, RootCA=root_ca, leader_addr=leader_addr)
    message.node.CopyFrom(node_to_pb(node))
    for manager in managers:
        peer = message.managers.add(weight=MANAGER_WEIGHT)
        peer.peer.node_id = manager.node_id
        peer.peer.addr = manager.addr
    if not message.managers:
        raise AssertionError("a session message without managers would leave the agent with nobody")
    return message


class HeartbeatAnswers:
    """Serialized answers to heartbeats, by the period they tell in whole milliseconds."""

    def __init__(self) -> None:
        self._answers: dict[int, bytes] = {}

    def of(self, period_ns: int) -> bytes:
        """The answer for the next millisecond that isn't earlier; never a period of zero."""
        milliseconds = max(-(-period_ns // MILLISECOND), 1)
        answer = self._answers.get(milliseconds)
        if answer is None:
            if len(self._answers) >= HEARTBEAT_ANSWERS_MAX:
                self._answers.clear()
            answer = _heartbeat_answer(milliseconds * MILLISECOND)
            self._answers[milliseconds] = answer
        return answer


def _heartbeat_answer(period_ns: int) -> bytes:
    response = pb.HeartbeatResponse()
    response.period.seconds, response.period.nanos = divmod(period_ns, SECOND)
    data: bytes = response.SerializeToString()
    return data
