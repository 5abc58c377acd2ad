"""Task and service specs to messages and back.

Two records don't lie where the wire has them: the limit of processes is a field of the container
there, and the mode of a service is spread over the service's own fields.
"""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from swarmd.model.spec import (
    ContainerSpec,
    EndpointSpec,
    GlobalMode,
    LogDriver,
    Placement,
    PlacementPreference,
    Platform,
    PortConfig,
    Replicated,
    ResourceRequirements,
    Resources,
    RestartPolicy,
    ServiceMode,
    ServiceSpec,
    SpreadOver,
    TaskSpec,
    UpdateConfig,
)
from swarmd.rpc.convert import words
from swarmd.rpc.convert.codecs import (
    DURATION,
    DURATION_ALWAYS,
    DURATION_OR_NONE,
    ITEMS,
    LABELS,
    RATIO,
    SCALAR,
    always,
    each,
    inline,
    optional,
)
from swarmd.rpc.convert.table import Codec, Mapping, field
from swarmd.rpc.pb import specs, types

LOG_DRIVER = Mapping(
    LogDriver,
    types.Driver,
    field("name", "name", SCALAR),
    field("options", "options", LABELS),
)
CONTAINER = Mapping(
    ContainerSpec,
    specs.ContainerSpec,
    field("image", "image", SCALAR),
    field("labels", "labels", LABELS),
    field("command", "command", ITEMS),
    field("args", "args", ITEMS),
    field("hostname", "hostname", SCALAR),
    field("env", "env", ITEMS),
    field("dir", "dir", SCALAR),
    field("user", "user", SCALAR),
    field("groups", "groups", ITEMS),
    field("stop_signal", "stop_signal", SCALAR),
    field("stop_grace_period_ns", "stop_grace_period", DURATION_OR_NONE),
    field("executor", "executor", SCALAR),
    also_covers=("pidsLimit",),
)
RESOURCES = Mapping(
    Resources,
    types.Resources,
    field("nano_cpus", "nano_cpus", SCALAR),
    field("memory_bytes", "memory_bytes", SCALAR),
)
REQUIREMENTS = Mapping(
    ResourceRequirements,
    types.ResourceRequirements,
    field("limits", "limits", optional(RESOURCES)),
    field("reservations", "reservations", optional(RESOURCES)),
)
RESTART_POLICY = Mapping(
    RestartPolicy,
    types.RestartPolicy,
    field("condition", "condition", words.RESTART_CONDITION),
    field("delay_ns", "delay", DURATION_OR_NONE),
    field("max_attempts", "max_attempts", SCALAR),
    field("window_ns", "window", DURATION),
)
PREFERENCE = Mapping(
    PlacementPreference,
    types.PlacementPreference,
    field(
        "spread",
        "spread",
        optional(
            Mapping(
                SpreadOver,
                types.SpreadOver,
                field("spread_descriptor", "spread_descriptor", SCALAR),
            )
        ),
    ),
)
PLATFORM = Mapping(
    Platform,
    types.Platform,
    field("architecture", "architecture", SCALAR),
    field("os", "os", SCALAR),
)
PLACEMENT = Mapping(
    Placement,
    types.Placement,
    field("constraints", "constraints", ITEMS),
    field("preferences", "preferences", each(PREFERENCE)),
    field("max_replicas", "max_replicas", SCALAR),
    field("platforms", "platforms", each(PLATFORM)),
)


def _put_pids(spec: TaskSpec, message: specs.TaskSpec) -> None:
    if spec.resources is not None and spec.resources.limits is not None:
        pids = spec.resources.limits.pids
        if pids and spec.container_spec is not None:
            message.container.pidsLimit = pids


def _get_pids(message: specs.TaskSpec, values: dict[str, Any]) -> None:
    if message.HasField("container") and message.container.pidsLimit:
        required = values["resources"] or ResourceRequirements()
        limits = replace(required.limits or Resources(), pids=message.container.pidsLimit)
        values["resources"] = replace(required, limits=limits)


TASK_SPEC = Mapping(
    TaskSpec,
    specs.TaskSpec,
    field("container_spec", "container", optional(CONTAINER)),
    field("resources", "resources", optional(REQUIREMENTS)),
    field("restart_policy", "restart", optional(RESTART_POLICY)),
    field("placement", "placement", optional(PLACEMENT)),
    field("log_driver", "log_driver", optional(LOG_DRIVER)),
    field("force_update", "force_update", SCALAR),
    after_put=_put_pids,
    after_get=_get_pids,
)
PORT = Mapping(
    PortConfig,
    types.PortConfig,
    field("name", "name", SCALAR),
    field("protocol", "protocol", words.PROTOCOL),
    field("target_port", "target_port", SCALAR),
    field("published_port", "published_port", SCALAR),
    field("publish_mode", "publish_mode", words.PUBLISH_MODE),
)
ENDPOINT_SPEC = Mapping(
    EndpointSpec,
    specs.EndpointSpec,
    field("mode", "mode", words.RESOLUTION_MODE),
    field("ports", "ports", each(PORT)),
)
UPDATE_CONFIG = Mapping(
    UpdateConfig,
    types.UpdateConfig,
    field("parallelism", "parallelism", SCALAR),
    field("delay_ns", "delay", DURATION_ALWAYS),
    field("failure_action", "failure_action", words.FAILURE_ACTION),
    field("monitor_ns", "monitor", DURATION_OR_NONE),
    field("max_failure_ratio", "max_failure_ratio", RATIO),
    field("order", "order", words.UPDATE_ORDER),
)


def _put_replicas(message: Any, name: str, value: int | None) -> None:
    message.replicas = 1 if value is None else value


REPLICATED = Mapping(
    Replicated,
    specs.ReplicatedService,
    # The wire can't leave the number open, so the default is written out.
    field("replicas", "replicas", Codec(_put_replicas, getattr)),
)
MODE = Mapping(
    ServiceMode,
    specs.ServiceSpec,
    field("replicated", "replicated", optional(REPLICATED)),
    field("global_", "global", optional(Mapping(GlobalMode, specs.GlobalService))),
)
SERVICE_SPEC = Mapping(
    ServiceSpec,
    specs.ServiceSpec,
    field("name", "annotations.name", SCALAR),
    field("labels", "annotations.labels", LABELS),
    field("task_template", "task", always(TASK_SPEC)),
    field("mode", "", inline(MODE)),
    field("update_config", "update", optional(UPDATE_CONFIG)),
    field("rollback_config", "rollback", optional(UPDATE_CONFIG)),
    field("endpoint_spec", "endpoint", optional(ENDPOINT_SPEC)),
    present=("annotations",),
)
