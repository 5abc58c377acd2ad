"""Tasks to messages and back, the spec of a task converted once for all tasks that share it.

Thousands of tasks hold the same `TaskSpec` object. Its bytes are kept, so that a task becomes a
message by merging them, or becomes bytes by putting them behind the bytes of the rest.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

from swarmd.model.spec import TaskSpec
from swarmd.model.task import ContainerStatus, Task, TaskStatus
from swarmd.rpc.convert import words
from swarmd.rpc.convert.codecs import (
    DURATION,
    ITEMS,
    LABELS,
    SCALAR,
    TIME,
    TIME_ALWAYS,
    VERSION,
    VERSION_OR_NONE,
    always,
    each,
    optional,
)
from swarmd.rpc.convert.network import NETWORK_ATTACHMENT
from swarmd.rpc.convert.service import VIRTUAL_IP
from swarmd.rpc.convert.spec import (
    ENDPOINT_SPEC,
    GENERIC_RESOURCE,
    LOG_DRIVER,
    PORT,
    TASK_SPEC,
)
from swarmd.rpc.convert.table import Mapping, field
from swarmd.rpc.convert.wire import length_delimited
from swarmd.rpc.pb import objects, types

SPECS_KEPT_MAX = 1024
_SPEC_FIELD = objects.Task.SPEC_FIELD_NUMBER

CONTAINER_STATUS = Mapping(
    ContainerStatus,
    types.ContainerStatus,
    field("container_id", "container_id", SCALAR),
    field("pid", "pid", SCALAR),
    field("exit_code", "exit_code", SCALAR),
)
TASK_STATUS = Mapping(
    TaskStatus,
    types.TaskStatus,
    field("state", "state", words.TASK_STATE),
    # Engines read the timestamp without asking whether there is one.
    field("timestamp", "timestamp", TIME_ALWAYS),
    field("message", "message", SCALAR),
    field("err", "err", SCALAR),
    field("container", "container", optional(CONTAINER_STATUS)),
    field("ports", "port_status.ports", each(PORT)),
    field("applied_by", "applied_by", SCALAR),
    field("applied_at", "applied_at", TIME),
    field("unready", "unready", SCALAR),
    field("ipv6_ports", "ipv6_ports", each(PORT)),
)
_TASK_ROWS = (
    field("id", "id", SCALAR),
    field("version", "meta.version", VERSION),
    field("created_at", "meta.created_at", TIME),
    field("updated_at", "meta.updated_at", TIME),
    field("service_id", "service_id", SCALAR),
    field("slot", "slot", SCALAR),
    field("node_id", "node_id", SCALAR),
    field("spec_version", "spec_version", VERSION),
    field("service_name", "service_annotations.name", SCALAR),
    field("service_labels", "service_annotations.labels", LABELS),
    field("desired_state", "desired_state", words.TASK_STATE),
    field("status", "status", always(TASK_STATUS)),
    field("endpoint_spec", "endpoint.spec", optional(ENDPOINT_SPEC)),
    field("ports", "endpoint.ports", each(PORT)),
    field("virtual_ips", "endpoint.virtual_ips", each(VIRTUAL_IP)),
    field("log_driver", "log_driver", optional(LOG_DRIVER)),
    field("networks", "networks", each(NETWORK_ATTACHMENT)),
    field("assigned_generic_resources", "assigned_generic_resources", each(GENERIC_RESOURCE)),
    field("job_iteration", "job_iteration", VERSION_OR_NONE),
    field("lease_ns", "lease", DURATION),
    field("ran_at", "ran_at", TIME),
    field("reserved_node_id", "reserved_node_id", SCALAR),
    field("replaces", "replaces", SCALAR),
    field("desired_reason", "desired_reason", SCALAR),
    field("allow", "allow", ITEMS),
)
_PRESENT = ("annotations", "service_annotations", "endpoint")
_WITHOUT_SPEC = Mapping(Task, objects.Task, *_TASK_ROWS, present=_PRESENT)
TASK = Mapping(
    Task, objects.Task, *_TASK_ROWS, field("spec", "spec", always(TASK_SPEC)), present=_PRESENT
)


class SpecBytes:
    """The serialized form of task specs, by identity of the spec, the latest ones kept."""

    def __init__(self, kept_max: int = SPECS_KEPT_MAX) -> None:
        self._kept_max = kept_max
        # The spec is kept with its bytes, so that its identity can't be taken by another one.
        self._kept: OrderedDict[int, tuple[TaskSpec, bytes]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def of(self, spec: TaskSpec) -> bytes:
        key = id(spec)
        found = self._kept.get(key)
        if found is not None:
            self._kept.move_to_end(key)
            return found[1]
        data: bytes = TASK_SPEC.to_pb(spec).SerializeToString()
        self._kept[key] = (spec, data)
        if len(self._kept) > self._kept_max:
            self._kept.popitem(last=False)
        return data


_spec_bytes = SpecBytes()


def task_to_pb(task: Task) -> objects.Task:
    """The message of a task; the spec is converted once for all tasks that share it."""
    message = _WITHOUT_SPEC.to_pb(task)
    message.spec.SetInParent()
    message.spec.MergeFromString(_spec_bytes.of(task.spec))
    return message


def task_to_bytes(task: Task, network_bytes: Callable[[str], bytes] | None = None) -> bytes:
    """The serialized message of a task, which parses to what `task_to_pb` gives.

    Args:
        network_bytes: by id, the serialized networks to send whole in the task's attachments.
    """
    message = _WITHOUT_SPEC.to_pb(task)
    if network_bytes is not None:
        for attachment in message.networks:
            attachment.network.MergeFromString(network_bytes(attachment.network.id))
    return message.SerializeToString() + length_delimited(_SPEC_FIELD, _spec_bytes.of(task.spec))


__all__ = ["TASK", "TASK_STATUS", "SpecBytes", "task_to_bytes", "task_to_pb"]
