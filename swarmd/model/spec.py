"""What users ask for: the specs of services and of the tasks they are made of.

Absent fields are None and mean "the default", which `swarmd.model.defaults` fills in where a
decision needs a number; the stored spec stays as it was given. Durations are nanoseconds.
"""

from __future__ import annotations

from collections.abc import Mapping

from swarmd.model.record import Record
from swarmd.model.states import (
    FailureAction,
    Protocol,
    PublishMode,
    ResolutionMode,
    RestartCondition,
    UpdateOrder,
)


class ContainerSpec(Record, frozen=True):
    """A command with its surroundings; `image` may be empty for the process executor."""

    image: str = ""
    labels: Mapping[str, str] = {}
    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    hostname: str = ""
    env: tuple[str, ...] = ()  # NAME=value; values may hold templates
    dir: str = ""
    user: str = ""
    groups: tuple[str, ...] = ()
    stop_signal: str = ""  # empty: SIGTERM
    stop_grace_period_ns: int | None = None  # absent: 10 s
    executor: str = ""  # "process", "containerd"; empty: the node's default


class Resources(Record, frozen=True):
    """Amounts of CPU in billionths of a core, and of memory; zero means none asked."""

    nano_cpus: int = 0
    memory_bytes: int = 0
    pids: int = 0  # limit only


class ResourceRequirements(Record, frozen=True):
    limits: Resources | None = None
    reservations: Resources | None = None


class RestartPolicy(Record, frozen=True):
    condition: RestartCondition | None = None  # absent: ANY
    delay_ns: int | None = None  # absent: 5 s
    max_attempts: int = 0  # 0: unlimited
    window_ns: int = 0  # 0: attempts are counted without a window


class SpreadOver(Record, frozen=True):
    spread_descriptor: str = ""


class PlacementPreference(Record, frozen=True):
    spread: SpreadOver | None = None


class Platform(Record, frozen=True):
    architecture: str = ""
    os: str = ""


class Placement(Record, frozen=True):
    constraints: tuple[str, ...] = ()
    preferences: tuple[PlacementPreference, ...] = ()
    max_replicas: int = 0  # per node; 0: unlimited
    platforms: tuple[Platform, ...] = ()


class LogDriver(Record, frozen=True):
    name: str = ""
    options: Mapping[str, str] = {}


class TaskSpec(Record, frozen=True):
    """Everything a task needs to run, shared by all tasks made from one service spec."""

    container_spec: ContainerSpec | None = None
    resources: ResourceRequirements | None = None
    restart_policy: RestartPolicy | None = None
    placement: Placement | None = None
    log_driver: LogDriver | None = None
    force_update: int = 0


class PortConfig(Record, frozen=True):
    name: str = ""
    protocol: Protocol = Protocol.TCP
    target_port: int = 0
    published_port: int = 0  # 0: chosen by the swarm
    publish_mode: PublishMode = PublishMode.INGRESS


class EndpointSpec(Record, frozen=True):
    mode: ResolutionMode = ResolutionMode.VIP
    ports: tuple[PortConfig, ...] = ()


class UpdateConfig(Record, frozen=True):
    """How a service's tasks are replaced; parallelism 0 means all at once."""

    parallelism: int = 0
    delay_ns: int = 0
    failure_action: FailureAction = FailureAction.PAUSE
    monitor_ns: int | None = None  # absent: 5 s
    max_failure_ratio: float = 0.0
    order: UpdateOrder = UpdateOrder.STOP_FIRST


class Replicated(Record, frozen=True):
    replicas: int | None = None  # absent: 1


class GlobalMode(Record, frozen=True):
    """One task on every node that qualifies."""


class ServiceMode(Record, frozen=True):
    """Exactly one of the members is set."""

    replicated: Replicated | None = None
    global_: GlobalMode | None = None


class ServiceSpec(Record, frozen=True):
    name: str = ""
    labels: Mapping[str, str] = {}
    task_template: TaskSpec = TaskSpec()
    mode: ServiceMode = ServiceMode()
    update_config: UpdateConfig | None = None
    rollback_config: UpdateConfig | None = None
    endpoint_spec: EndpointSpec | None = None
