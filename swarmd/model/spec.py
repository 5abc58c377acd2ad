"""What users ask for: the specs of services and of the tasks they are made of.

Absent fields are None and mean "the default", which `swarmd.model.defaults` fills in where a
decision needs a number; the stored spec stays as it was given. Durations are nanoseconds.
"""

from __future__ import annotations

from collections.abc import Mapping

from swarmd.model.host_access import HostAccess, Privileges
from swarmd.model.record import Record
from swarmd.model.states import (
    Balance,
    Concurrency,
    FailureAction,
    MissedRuns,
    MountType,
    PortPolicy,
    Propagation,
    Protocol,
    PublishMode,
    ResolutionMode,
    RestartCondition,
    StartOrder,
    Strategy,
    UpdateOrder,
)


class FileTarget(Record, frozen=True):
    """Where a secret or config appears among the files of a task."""

    name: str = ""
    uid: str = ""
    gid: str = ""
    mode: int = 0


class SecretReference(Record, frozen=True):
    secret_id: str = ""
    secret_name: str = ""
    file: FileTarget | None = None
    latest: bool = False  # refers to the next version as soon as there is one


class RuntimeTarget(Record, frozen=True):
    """The config is read by the runtime and is no file of the task."""


class ConfigReference(Record, frozen=True):
    """Exactly one of `file` and `runtime` is set."""

    config_id: str = ""
    config_name: str = ""
    file: FileTarget | None = None
    runtime: RuntimeTarget | None = None
    latest: bool = False  # as for secrets


class DnsConfig(Record, frozen=True):
    """Name resolution inside a container; what is empty is as on the node."""

    nameservers: tuple[str, ...] = ()
    search: tuple[str, ...] = ()
    options: tuple[str, ...] = ()


class Ulimit(Record, frozen=True):
    """A resource limit of processes, such as nofile; -1 means unlimited."""

    name: str = ""
    soft: int = 0
    hard: int = 0


class Driver(Record, frozen=True):
    name: str = ""
    options: Mapping[str, str] = {}


class BindOptions(Record, frozen=True):
    """How a directory of the node is shown; absent means as Docker does by default."""

    propagation: Propagation = Propagation.RPRIVATE
    non_recursive: bool = False  # without what is mounted below it
    create_mountpoint: bool = False  # make the source where it does not exist
    read_only_non_recursive: bool = False
    read_only_force_recursive: bool = False  # fail where the kernel can't


class VolumeOptions(Record, frozen=True):
    """For volumes; labels and driver are those of a volume that the mount creates."""

    no_copy: bool = False  # an empty volume is not filled with what the image has at the target
    labels: Mapping[str, str] = {}
    driver_config: Driver | None = None
    subpath: str = ""


class TmpfsOptions(Record, frozen=True):
    size_bytes: int = 0  # 0: half the memory of the node
    mode: int = 0  # 0: 1777
    options: str = ""


class ImageMountOptions(Record, frozen=True):
    subpath: str = ""


class Mount(Record, frozen=True):
    """Something of the node that appears among the files of a task.

    `source` is a path for a bind, a name for a volume or image, and may hold templates, as `target`
    may.
    A volume without a name is the task's own and goes with it.
    """

    type: MountType = MountType.BIND
    source: str = ""
    target: str = ""
    read_only: bool = False
    bind_options: BindOptions | None = None
    volume_options: VolumeOptions | None = None
    tmpfs_options: TmpfsOptions | None = None
    image_options: ImageMountOptions | None = None


class HealthConfig(Record, frozen=True):
    """How to find out whether a task is well; zero means the default everywhere.

    `test` is ("CMD", word, ...), ("CMD-SHELL", line), ("HTTP", "[port]/path"), ("TCP", "[port]") or
    ("NONE",), which also switches off the image's own; empty means the image's, if it has one.
    """

    test: tuple[str, ...] = ()
    interval_ns: int = 0  # 30 s
    timeout_ns: int = 0  # 30 s
    retries: int = 0  # 3 failures in a row: the task is given up
    start_period_ns: int = 0  # failures in it do not count until the first success
    start_interval_ns: int = 0  # 5 s: between probes at most, until the first success
    unready_after: int = 0  # 1 failure in a row: no connections until the next success


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
    secrets: tuple[SecretReference, ...] = ()
    configs: tuple[ConfigReference, ...] = ()
    mounts: tuple[Mount, ...] = ()
    healthcheck: HealthConfig | None = None
    # Containers only, from here on.
    tty: bool = False
    read_only: bool = False  # the root file system
    hosts: tuple[str, ...] = ()  # lines of /etc/hosts: an address and its names
    dns_config: DnsConfig | None = None
    sysctls: Mapping[str, str] = {}
    capability_add: tuple[str, ...] = ()
    capability_drop: tuple[str, ...] = ()
    ulimits: tuple[Ulimit, ...] = ()
    oom_score_adj: int = 0
    open_stdin: bool = False
    init: bool | None = None  # a first process that collects orphans; absent: none
    privileges: Privileges | None = None
    host_access: HostAccess | None = None
    registry_auth: str = ""  # for the image's registry, encoded as Docker's clients do


class NamedResource(Record, frozen=True):
    """One of several things of a kind that are told apart, such as a GPU by its UUID."""

    kind: str = ""
    value: str = ""


class DiscreteResource(Record, frozen=True):
    """A number of things of a kind that are all alike."""

    kind: str = ""
    value: int = 0


class GenericResource(Record, frozen=True):
    """Exactly one of the members is set; specs ask for discrete ones only."""

    named_resource_spec: NamedResource | None = None
    discrete_resource_spec: DiscreteResource | None = None


class Resources(Record, frozen=True):
    """Amounts of CPU in billionths of a core, and of memory; zero means none asked."""

    nano_cpus: int = 0
    memory_bytes: int = 0
    pids: int = 0  # limit only
    generic_resources: tuple[GenericResource, ...] = ()  # nodes and reservations only


class ResourceRequirements(Record, frozen=True):
    limits: Resources | None = None
    reservations: Resources | None = None
    swap_bytes: int | None = None  # on top of the memory limit; -1: without limit; absent: none
    memory_swappiness: int | None = None  # 0 to 100; absent: the node's


class RestartPolicy(Record, frozen=True):
    condition: RestartCondition | None = None  # absent: ANY
    delay_ns: int | None = None  # absent: 5 s
    max_attempts: int = 0  # 0: unlimited
    window_ns: int = 0  # 0: attempts are counted without a window
    max_delay_ns: int = 0  # the delay doubles with every restart up to this; 0: it stays as it is


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
    strategy: Strategy | None = None  # absent: the cluster's
    affinities: tuple[str, ...] = ()  # classic Swarm's: image==nginx*, service!=~/^batch/
    tolerations: tuple[str, ...] = ()  # key[=value][:effect] of a taint; * for every one


class LogDriver(Driver, frozen=True):
    """Where the output of tasks goes."""


class NetworkAttachmentConfig(Record, frozen=True):
    """A task's wish to take part in a network, by the network's id or name."""

    target: str = ""
    aliases: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    driver_opts: Mapping[str, str] = {}


class AttachmentSpec(Record, frozen=True):
    """A place in networks for what a node runs by itself; no service, nothing to start."""

    container_id: str = ""  # as the node calls it


class TaskSpec(Record, frozen=True):
    """Everything a task needs to run, shared by all tasks made from one service spec."""

    container_spec: ContainerSpec | None = None
    resources: ResourceRequirements | None = None
    restart_policy: RestartPolicy | None = None
    placement: Placement | None = None
    log_driver: LogDriver | None = None
    networks: tuple[NetworkAttachmentConfig, ...] = ()
    force_update: int = 0
    priority: int = 0  # higher is placed first, and may take the place of lower; may be negative
    attachment: AttachmentSpec | None = None  # never in the spec of a service


class PortConfig(Record, frozen=True):
    name: str = ""
    protocol: Protocol = Protocol.TCP
    target_port: int = 0
    published_port: int = 0  # 0: chosen by the swarm
    publish_mode: PublishMode = PublishMode.INGRESS
    policy: PortPolicy = PortPolicy.SOURCE  # in ingress mode only
    address: str = ""  # the only address, or interface, of each node that answers; empty: all


class EndpointSpec(Record, frozen=True):
    mode: ResolutionMode = ResolutionMode.VIP
    ports: tuple[PortConfig, ...] = ()
    # How long a task that is to stop may go on serving the connections it has; absent: as long as
    # its stop grace period.
    drain_timeout_ns: int | None = None
    balance: Balance = Balance.ROUND_ROBIN
    # Label of nodes that says how much of the service's connections tasks there get; empty: all
    # get the same.
    weight_label: str = ""


class UpdateConfig(Record, frozen=True):
    """How a service's tasks are replaced; parallelism 0 means all at once."""

    parallelism: int = 0
    delay_ns: int = 0
    failure_action: FailureAction = FailureAction.PAUSE
    monitor_ns: int | None = None  # absent: 5 s
    max_failure_ratio: float = 0.0
    order: UpdateOrder = UpdateOrder.STOP_FIRST
    task_timeout_ns: int = 0  # a new task not running after this has failed; 0: wait for ever


class Replicated(Record, frozen=True):
    replicas: int | None = None  # absent: 1


class GlobalMode(Record, frozen=True):
    """One task on every node that qualifies."""


class ReplicatedJob(Record, frozen=True):
    """Tasks that run to completion, `total_completions` of them in all."""

    max_concurrent: int | None = None  # absent: as many as completions are wanted
    total_completions: int | None = None  # absent: 1


class GlobalJob(Record, frozen=True):
    """One task run to completion on every node that qualifies."""


class Cron(Record, frozen=True):
    """A replicated job that runs again and again, at the times a schedule names.

    `schedule` has the five fields of cron (minute, hour, day of month, month, day of week) or is
    one of @hourly, @daily, @weekly, @monthly, @yearly, @every DURATION.
    """

    schedule: str = ""
    time_zone: str = ""  # of the tz database; empty: UTC
    concurrency: Concurrency = Concurrency.FORBID
    missed_runs: MissedRuns = MissedRuns.ONCE
    starting_deadline_ns: int = 0  # a run later than this counts as missed for good; 0: never
    suspended: bool = False
    job: ReplicatedJob = ReplicatedJob()
    successful_runs_kept: int | None = None  # absent: 3
    failed_runs_kept: int | None = None  # absent: 1


class Stateful(Record, frozen=True):
    """Tasks with identities: ordinal 0 … replicas-1, each at most once at any time.

    A node that lost contact stops its task when `lease_ns` has passed since it last heard from the
    managers, and only then may another node start the ordinal.
    """

    replicas: int | None = None  # absent: 1
    start_order: StartOrder = StartOrder.ORDERED
    lease_ns: int | None = None  # absent: 15 s


class ServiceMode(Record, frozen=True):
    """Exactly one of the members is set."""

    replicated: Replicated | None = None
    global_: GlobalMode | None = None
    replicated_job: ReplicatedJob | None = None
    global_job: GlobalJob | None = None
    cron: Cron | None = None
    stateful: Stateful | None = None


class ServiceSpec(Record, frozen=True):
    name: str = ""
    labels: Mapping[str, str] = {}
    task_template: TaskSpec = TaskSpec()
    mode: ServiceMode = ServiceMode()
    update_config: UpdateConfig | None = None
    rollback_config: UpdateConfig | None = None
    endpoint_spec: EndpointSpec | None = None
    networks: tuple[NetworkAttachmentConfig, ...] = ()  # superseded by the task's
    min_available: int = 0  # drain, preemption and rebalancing leave at least so many running
