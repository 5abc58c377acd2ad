"""The dispatcher's messages, put together from parts.

Assignments are assembled as bytes around the serialized tasks: a spec that thousands of tasks share
is serialized once, and nothing is copied through message objects.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from swarmd.dispatcher.core.assignments import Step
from swarmd.dispatcher.core.files import FileKey
from swarmd.model.ids import NodeId, SessionId
from swarmd.model.instant import MILLISECOND, SECOND
from swarmd.model.node import Node
from swarmd.model.secret import Config, Secret
from swarmd.rpc.convert import node_to_pb, task_to_bytes
from swarmd.rpc.convert.cluster import NETWORK_KEY
from swarmd.rpc.convert.network import network_to_bytes
from swarmd.rpc.convert.secret import CONFIG, SECRET
from swarmd.rpc.convert.wire import length_delimited, varint
from swarmd.rpc.pb import dispatcher as pb
from swarmd.rpc.pb import objects
from swarmd.store.changes import Kind
from swarmd.store.view import View

MANAGER_WEIGHT = 10
HEARTBEAT_ANSWERS_MAX = 4096

_TYPE_FIELD = pb.AssignmentsMessage.TYPE_FIELD_NUMBER
_APPLIES_TO_FIELD = pb.AssignmentsMessage.APPLIES_TO_FIELD_NUMBER
_RESULTS_IN_FIELD = pb.AssignmentsMessage.RESULTS_IN_FIELD_NUMBER
_CHANGES_FIELD = pb.AssignmentsMessage.CHANGES_FIELD_NUMBER
_ASSIGNMENT_FIELD = pb.AssignmentChange.ASSIGNMENT_FIELD_NUMBER
_TASK_FIELD = pb.Assignment.TASK_FIELD_NUMBER
_FILE_FIELD = {
    Kind.SECRET: pb.Assignment.SECRET_FIELD_NUMBER,
    Kind.CONFIG: pb.Assignment.CONFIG_FIELD_NUMBER,
}
_FILE_MESSAGE: dict[Kind, type[objects.Secret] | type[objects.Config]] = {
    Kind.SECRET: objects.Secret,
    Kind.CONFIG: objects.Config,
}

_INCREMENTAL = varint(_TYPE_FIELD << 3) + varint(pb.AssignmentsMessage.INCREMENTAL)
_REMOVE = varint(pb.AssignmentChange.ACTION_FIELD_NUMBER << 3) + varint(pb.AssignmentChange.REMOVE)


class ManagerPeer(NamedTuple):
    """A manager that agents may call."""

    node_id: NodeId
    addr: str  # host:port


def assignments_message(step: Step, view: View) -> bytes:
    """A serialized `AssignmentsMessage`.

    Files and networks are as the view has them now. A secret or config that is gone is left out:
    the task that needs it will fail on its node and say so.
    """
    parts = [] if step.complete else [_INCREMENTAL]
    if step.applies_to:
        parts.append(length_delimited(_APPLIES_TO_FIELD, step.applies_to.encode()))
    parts.append(length_delimited(_RESULTS_IN_FIELD, step.results_in.encode()))
    for key in step.files:
        parts.extend(_change(field, data) for field, data in _file(key, view))
    networks = _network_bytes(view)
    parts.extend(_change(_TASK_FIELD, task_to_bytes(task, networks)) for task in step.updates)
    for task_id in step.removed:
        gone = objects.Task(id=task_id).SerializeToString()
        parts.append(_change(_TASK_FIELD, gone, _REMOVE))
    for key in step.removed_files:
        gone = _FILE_MESSAGE[key.kind](id=key.id).SerializeToString()
        parts.append(_change(_FILE_FIELD[key.kind], gone, _REMOVE))
    return b"".join(parts)


def _change(field: int, data: bytes, action: bytes = b"") -> bytes:
    assignment = length_delimited(_ASSIGNMENT_FIELD, length_delimited(field, data))
    return length_delimited(_CHANGES_FIELD, assignment + action)


def _file(key: FileKey, view: View) -> Iterator[tuple[int, bytes]]:
    """A secret or config with what is in it; nothing if it is gone."""
    record = view.find(key.kind, key.id)
    if isinstance(record, Secret):
        yield _FILE_FIELD[key.kind], SECRET.to_pb(record).SerializeToString()
    elif isinstance(record, Config):
        yield _FILE_FIELD[key.kind], CONFIG.to_pb(record).SerializeToString()


def _network_bytes(view: View) -> Callable[[str], bytes]:
    """Networks as they travel inside of attachments; none for one that is gone."""

    def of(network_id: str) -> bytes:
        network = view.find_network(network_id)
        return network_to_bytes(network) if network is not None else b""

    return of


def session_message(
    *,
    session_id: SessionId,
    node: Node,
    view: View,
    managers: Iterable[ManagerPeer],
    root_ca: bytes,
    leader_addr: str,
) -> pb.SessionMessage:
    """News for a node, complete each time.

    An agent forgets managers that aren't listed, so there must be one.
    """
    message = pb.SessionMessage(session_id=session_id, RootCA=root_ca, leader_addr=leader_addr)
    message.node.CopyFrom(node_to_pb(node))
    of = _network_bytes(view)
    for attachment in message.node.attachments:
        attachment.network.MergeFromString(of(attachment.network.id))
    for manager in managers:
        peer = message.managers.add(weight=MANAGER_WEIGHT)
        peer.peer.node_id = manager.node_id
        peer.peer.addr = manager.addr
    cluster = view.find_cluster()
    for mirror in cluster.spec.registry_mirrors if cluster is not None else ():
        message.registry_mirrors.add(registry=mirror.registry, url=mirror.url)
    for key in cluster.network_bootstrap_keys if cluster is not None else ():
        message.network_bootstrap_keys.append(NETWORK_KEY.to_pb(key))
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
