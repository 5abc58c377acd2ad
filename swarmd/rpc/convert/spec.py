"""Task and service specs to messages and back.

Two records don't lie where the wire has them: the limit of processes is a field of the container
there, and the mode of a service is spread over the service's own fields.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from swarmd.model.spec import (
    AttachmentSpec,
    BindOptions,
    ConfigReference,
    ContainerSpec,
    Cron,
    DiscreteResource,
    DnsConfig,
    Driver,
    EndpointSpec,
    FileTarget,
    GenericResource,
    GlobalJob,
    GlobalMode,
    HealthConfig,
    ImageMountOptions,
    LogDriver,
    Mount,
    NamedResource,
    NetworkAttachmentConfig,
    Placement,
    PlacementPreference,
    Platform,
    PortConfig,
    Replicated,
    ReplicatedJob,
    ResourceRequirements,
    Resources,
    RestartPolicy,
    RuntimeTarget,
    SecretReference,
    ServiceMode,
    ServiceSpec,
    SpreadOver,
    Stateful,
    TaskSpec,
    TmpfsOptions,
    Ulimit,
    UpdateConfig,
    VolumeOptions,
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
    SCALAR_OR_NONE,
    WRAPPED_OR_NONE,
    always,
    each,
    inline,
    optional,
)
from swarmd.rpc.convert.host_access import HOST_ACCESS, PRIVILEGES
from swarmd.rpc.convert.table import Codec, Mapping, field
from swarmd.rpc.pb import extensions, specs, types

DRIVER = Mapping(
    Driver,
    types.Driver,
    field("name", "name", SCALAR),
    field("options", "options", LABELS),
)
FILE_TARGET = Mapping(
    FileTarget,
    types.FileTarget,
    field("name", "name", SCALAR),
    field("uid", "uid", SCALAR),
    field("gid", "gid", SCALAR),
    field("mode", "mode", SCALAR),
)
SECRET_REFERENCE = Mapping(
    SecretReference,
    types.SecretReference,
    field("secret_id", "secret_id", SCALAR),
    field("secret_name", "secret_name", SCALAR),
    field("file", "file", optional(FILE_TARGET)),
    field("latest", "latest", SCALAR),
)
CONFIG_REFERENCE = Mapping(
    ConfigReference,
    types.ConfigReference,
    field("config_id", "config_id", SCALAR),
    field("config_name", "config_name", SCALAR),
    field("file", "file", optional(FILE_TARGET)),
    field("runtime", "runtime", optional(Mapping(RuntimeTarget, types.RuntimeTarget))),
    field("latest", "latest", SCALAR),
)
MOUNT = Mapping(
    Mount,
    types.Mount,
    field("type", "type", words.MOUNT_TYPE),
    field("source", "source", SCALAR),
    field("target", "target", SCALAR),
    field("read_only", "readonly", SCALAR),
    field(
        "bind_options",
        "bind_options",
        optional(
            Mapping(
                BindOptions,
                types.Mount.BindOptions,
                field("propagation", "propagation", words.PROPAGATION),
                field("non_recursive", "nonrecursive", SCALAR),
                field("create_mountpoint", "createmountpoint", SCALAR),
                field("read_only_non_recursive", "readonlynonrecursive", SCALAR),
                field("read_only_force_recursive", "readonlyforcerecursive", SCALAR),
            )
        ),
    ),
    field(
        "volume_options",
        "volume_options",
        optional(
            Mapping(
                VolumeOptions,
                types.Mount.VolumeOptions,
                field("no_copy", "nocopy", SCALAR),
                field("labels", "labels", LABELS),
                field("driver_config", "driver_config", optional(DRIVER)),
                field("subpath", "subpath", SCALAR),
            )
        ),
    ),
    field(
        "tmpfs_options",
        "tmpfs_options",
        optional(
            Mapping(
                TmpfsOptions,
                types.Mount.TmpfsOptions,
                field("size_bytes", "size_bytes", SCALAR),
                field("mode", "mode", SCALAR),
                field("options", "options", SCALAR),
            )
        ),
    ),
    field(
        "image_options",
        "image_options",
        optional(
            Mapping(
                ImageMountOptions,
                extensions.ImageMountOptions,
                field("subpath", "subpath", SCALAR),
            )
        ),
    ),
    # How strictly a view of files follows the node's: always at once here.
    also_covers=("consistency",),
)
LOG_DRIVER = Mapping(
    LogDriver,
    types.Driver,
    field("name", "name", SCALAR),
    field("options", "options", LABELS),
)
DNS_CONFIG = Mapping(
    DnsConfig,
    specs.ContainerSpec.DNSConfig,
    field("nameservers", "nameservers", ITEMS),
    field("search", "search", ITEMS),
    field("options", "options", ITEMS),
)
ULIMIT = Mapping(
    Ulimit,
    specs.ContainerSpec.Ulimit,
    field("name", "name", SCALAR),
    field("soft", "soft", SCALAR),
    field("hard", "hard", SCALAR),
)
HEALTH = Mapping(
    HealthConfig,
    types.HealthConfig,
    field("test", "test", ITEMS),
    field("interval_ns", "interval", DURATION),
    field("timeout_ns", "timeout", DURATION),
    field("retries", "retries", SCALAR),
    field("start_period_ns", "start_period", DURATION),
    field("start_interval_ns", "start_interval", DURATION),
    field("unready_after", "unready_after", SCALAR),
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
    field("secrets", "secrets", each(SECRET_REFERENCE)),
    field("configs", "configs", each(CONFIG_REFERENCE)),
    field("healthcheck", "healthcheck", optional(HEALTH)),
    field("mounts", "mounts", each(MOUNT)),
    field("tty", "tty", SCALAR),
    field("read_only", "read_only", SCALAR),
    field("hosts", "hosts", ITEMS),
    field("dns_config", "dns_config", optional(DNS_CONFIG)),
    field("sysctls", "sysctls", LABELS),
    field("capability_add", "capability_add", ITEMS),
    field("capability_drop", "capability_drop", ITEMS),
    field("ulimits", "ulimits", each(ULIMIT)),
    field("oom_score_adj", "oom_score_adj", SCALAR),
    field("open_stdin", "open_stdin", SCALAR),
    field("init", "init", WRAPPED_OR_NONE),
    field("privileges", "privileges", optional(PRIVILEGES)),
    field("host_access", "host_access", optional(HOST_ACCESS)),
    field("registry_auth", "pull_options.registry_auth", SCALAR),
    also_covers=("pidsLimit",),
)
GENERIC_RESOURCE = Mapping(
    GenericResource,
    types.GenericResource,
    field(
        "named_resource_spec",
        "named_resource_spec",
        optional(
            Mapping(
                NamedResource,
                types.NamedGenericResource,
                field("kind", "kind", SCALAR),
                field("value", "value", SCALAR),
            )
        ),
    ),
    field(
        "discrete_resource_spec",
        "discrete_resource_spec",
        optional(
            Mapping(
                DiscreteResource,
                types.DiscreteGenericResource,
                field("kind", "kind", SCALAR),
                field("value", "value", SCALAR),
            )
        ),
    ),
)
RESOURCES = Mapping(
    Resources,
    types.Resources,
    field("nano_cpus", "nano_cpus", SCALAR),
    field("memory_bytes", "memory_bytes", SCALAR),
    field("generic_resources", "generic", each(GENERIC_RESOURCE)),
)
REQUIREMENTS = Mapping(
    ResourceRequirements,
    types.ResourceRequirements,
    field("limits", "limits", optional(RESOURCES)),
    field("reservations", "reservations", optional(RESOURCES)),
    field("swap_bytes", "swap_bytes", WRAPPED_OR_NONE),
    field("memory_swappiness", "memory_swappiness", WRAPPED_OR_NONE),
)
RESTART_POLICY = Mapping(
    RestartPolicy,
    types.RestartPolicy,
    field("condition", "condition", words.RESTART_CONDITION),
    field("delay_ns", "delay", DURATION_OR_NONE),
    field("max_attempts", "max_attempts", SCALAR),
    field("window_ns", "window", DURATION),
    field("max_delay_ns", "max_delay", DURATION),
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
    field("strategy", "strategy", words.STRATEGY_OR_NONE),
    field("affinities", "affinities", ITEMS),
    field("tolerations", "tolerations", ITEMS),
)
NETWORK_ATTACHMENT_CONFIG = Mapping(
    NetworkAttachmentConfig,
    types.NetworkAttachmentConfig,
    field("target", "target", SCALAR),
    field("aliases", "aliases", ITEMS),
    field("addresses", "addresses", ITEMS),
    field("driver_opts", "driver_attachment_opts", LABELS),
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


ATTACHMENT = Mapping(
    AttachmentSpec,
    specs.NetworkAttachmentSpec,
    field("container_id", "container_id", SCALAR),
)
TASK_SPEC = Mapping(
    TaskSpec,
    specs.TaskSpec,
    field("container_spec", "container", optional(CONTAINER)),
    field("resources", "resources", optional(REQUIREMENTS)),
    field("restart_policy", "restart", optional(RESTART_POLICY)),
    field("placement", "placement", optional(PLACEMENT)),
    field("log_driver", "log_driver", optional(LOG_DRIVER)),
    field("networks", "networks", each(NETWORK_ATTACHMENT_CONFIG)),
    field("force_update", "force_update", SCALAR),
    field("priority", "priority", SCALAR),
    field("attachment", "attachment", optional(ATTACHMENT)),
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
    field("policy", "policy", words.PORT_POLICY),
    field("address", "address", SCALAR),
)
ENDPOINT_SPEC = Mapping(
    EndpointSpec,
    specs.EndpointSpec,
    field("mode", "mode", words.RESOLUTION_MODE),
    field("ports", "ports", each(PORT)),
    field("drain_timeout_ns", "drain_timeout", DURATION_OR_NONE),
    field("balance", "balance", words.BALANCE),
    field("weight_label", "weight_label", SCALAR),
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
    field("task_timeout_ns", "task_timeout", DURATION),
)


def _put_replicas(message: Any, name: str, value: int | None) -> None:
    message.replicas = 1 if value is None else value


REPLICATED = Mapping(
    Replicated,
    specs.ReplicatedService,
    # The wire can't leave the number open, so the default is written out.
    field("replicas", "replicas", Codec(_put_replicas, getattr)),
)


def _put_number_or(default: Callable[[Any], int]) -> Callable[[Any, str, int | None], None]:
    def put(message: Any, name: str, value: int | None) -> None:
        setattr(message, name, default(message) if value is None else value)

    return put


REPLICATED_JOB = Mapping(
    ReplicatedJob,
    specs.ReplicatedJob,
    # As for replicas; the number at a time comes second, as it follows the number in all.
    field("total_completions", "total_completions", Codec(_put_number_or(lambda _: 1), getattr)),
    field(
        "max_concurrent",
        "max_concurrent",
        Codec(_put_number_or(lambda message: message.total_completions), getattr),
    ),
)
_CRON_JOB = Mapping(
    ReplicatedJob,
    extensions.Cron,
    field("total_completions", "total_completions", SCALAR_OR_NONE),
    field("max_concurrent", "max_concurrent", SCALAR_OR_NONE),
)
CRON = Mapping(
    Cron,
    extensions.Cron,
    field("schedule", "schedule", SCALAR),
    field("time_zone", "time_zone", SCALAR),
    field("concurrency", "concurrency", words.CONCURRENCY),
    field("missed_runs", "missed_runs", words.MISSED_RUNS),
    field("starting_deadline_ns", "starting_deadline", DURATION),
    field("suspended", "suspended", SCALAR),
    field("job", "", inline(_CRON_JOB)),
    field("successful_runs_kept", "successful_runs_kept", SCALAR_OR_NONE),
    field("failed_runs_kept", "failed_runs_kept", SCALAR_OR_NONE),
)
STATEFUL = Mapping(
    Stateful,
    extensions.Stateful,
    field("replicas", "replicas", SCALAR_OR_NONE),
    field("start_order", "start_order", words.START_ORDER),
    field("lease_ns", "lease", DURATION_OR_NONE),
)
MODE = Mapping(
    ServiceMode,
    specs.ServiceSpec,
    field("replicated", "replicated", optional(REPLICATED)),
    field("global_", "global", optional(Mapping(GlobalMode, specs.GlobalService))),
    field("replicated_job", "replicated_job", optional(REPLICATED_JOB)),
    field("global_job", "global_job", optional(Mapping(GlobalJob, specs.GlobalJob))),
    field("cron", "cron", optional(CRON)),
    field("stateful", "stateful", optional(STATEFUL)),
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
    field("networks", "networks", each(NETWORK_ATTACHMENT_CONFIG)),
    field("min_available", "min_available", SCALAR),
    present=("annotations",),
)
