import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Strategy(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    STRATEGY_DEFAULT: _ClassVar[Strategy]
    STRATEGY_SPREAD: _ClassVar[Strategy]
    STRATEGY_BINPACK: _ClassVar[Strategy]
    STRATEGY_RANDOM: _ClassVar[Strategy]

class PortPolicy(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PORT_POLICY_SOURCE: _ClassVar[PortPolicy]
    PORT_POLICY_MASQUERADE: _ClassVar[PortPolicy]
    PORT_POLICY_LOCAL: _ClassVar[PortPolicy]

class Balance(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    BALANCE_ROUND_ROBIN: _ClassVar[Balance]
    BALANCE_SOURCE_HASH: _ClassVar[Balance]
    BALANCE_LEAST_CONNECTION: _ClassVar[Balance]
STRATEGY_DEFAULT: Strategy
STRATEGY_SPREAD: Strategy
STRATEGY_BINPACK: Strategy
STRATEGY_RANDOM: Strategy
PORT_POLICY_SOURCE: PortPolicy
PORT_POLICY_MASQUERADE: PortPolicy
PORT_POLICY_LOCAL: PortPolicy
BALANCE_ROUND_ROBIN: Balance
BALANCE_SOURCE_HASH: Balance
BALANCE_LEAST_CONNECTION: Balance

class Oversell(_message.Message):
    __slots__ = ("cpus", "memory")
    CPUS_FIELD_NUMBER: _ClassVar[int]
    MEMORY_FIELD_NUMBER: _ClassVar[int]
    cpus: float
    memory: float
    def __init__(self, cpus: _Optional[float] = ..., memory: _Optional[float] = ...) -> None: ...

class Cron(_message.Message):
    __slots__ = ("schedule", "time_zone", "concurrency", "missed_runs", "starting_deadline", "suspended", "max_concurrent", "total_completions", "successful_runs_kept", "failed_runs_kept")
    class Concurrency(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        FORBID: _ClassVar[Cron.Concurrency]
        ALLOW: _ClassVar[Cron.Concurrency]
        REPLACE: _ClassVar[Cron.Concurrency]
    FORBID: Cron.Concurrency
    ALLOW: Cron.Concurrency
    REPLACE: Cron.Concurrency
    class MissedRuns(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        ONCE: _ClassVar[Cron.MissedRuns]
        SKIP: _ClassVar[Cron.MissedRuns]
        ALL: _ClassVar[Cron.MissedRuns]
    ONCE: Cron.MissedRuns
    SKIP: Cron.MissedRuns
    ALL: Cron.MissedRuns
    SCHEDULE_FIELD_NUMBER: _ClassVar[int]
    TIME_ZONE_FIELD_NUMBER: _ClassVar[int]
    CONCURRENCY_FIELD_NUMBER: _ClassVar[int]
    MISSED_RUNS_FIELD_NUMBER: _ClassVar[int]
    STARTING_DEADLINE_FIELD_NUMBER: _ClassVar[int]
    SUSPENDED_FIELD_NUMBER: _ClassVar[int]
    MAX_CONCURRENT_FIELD_NUMBER: _ClassVar[int]
    TOTAL_COMPLETIONS_FIELD_NUMBER: _ClassVar[int]
    SUCCESSFUL_RUNS_KEPT_FIELD_NUMBER: _ClassVar[int]
    FAILED_RUNS_KEPT_FIELD_NUMBER: _ClassVar[int]
    schedule: str
    time_zone: str
    concurrency: Cron.Concurrency
    missed_runs: Cron.MissedRuns
    starting_deadline: _duration_pb2.Duration
    suspended: bool
    max_concurrent: int
    total_completions: int
    successful_runs_kept: int
    failed_runs_kept: int
    def __init__(self, schedule: _Optional[str] = ..., time_zone: _Optional[str] = ..., concurrency: _Optional[_Union[Cron.Concurrency, str]] = ..., missed_runs: _Optional[_Union[Cron.MissedRuns, str]] = ..., starting_deadline: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., suspended: _Optional[bool] = ..., max_concurrent: _Optional[int] = ..., total_completions: _Optional[int] = ..., successful_runs_kept: _Optional[int] = ..., failed_runs_kept: _Optional[int] = ...) -> None: ...

class Stateful(_message.Message):
    __slots__ = ("replicas", "start_order", "lease")
    class StartOrder(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        ORDERED: _ClassVar[Stateful.StartOrder]
        PARALLEL: _ClassVar[Stateful.StartOrder]
    ORDERED: Stateful.StartOrder
    PARALLEL: Stateful.StartOrder
    REPLICAS_FIELD_NUMBER: _ClassVar[int]
    START_ORDER_FIELD_NUMBER: _ClassVar[int]
    LEASE_FIELD_NUMBER: _ClassVar[int]
    replicas: int
    start_order: Stateful.StartOrder
    lease: _duration_pb2.Duration
    def __init__(self, replicas: _Optional[int] = ..., start_order: _Optional[_Union[Stateful.StartOrder, str]] = ..., lease: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class CronRun(_message.Message):
    __slots__ = ("iteration", "due_at", "started_at", "ended_at", "outcome")
    class Outcome(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        RUNNING: _ClassVar[CronRun.Outcome]
        SUCCEEDED: _ClassVar[CronRun.Outcome]
        FAILED: _ClassVar[CronRun.Outcome]
        REPLACED: _ClassVar[CronRun.Outcome]
    RUNNING: CronRun.Outcome
    SUCCEEDED: CronRun.Outcome
    FAILED: CronRun.Outcome
    REPLACED: CronRun.Outcome
    ITERATION_FIELD_NUMBER: _ClassVar[int]
    DUE_AT_FIELD_NUMBER: _ClassVar[int]
    STARTED_AT_FIELD_NUMBER: _ClassVar[int]
    ENDED_AT_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    iteration: int
    due_at: _timestamp_pb2.Timestamp
    started_at: _timestamp_pb2.Timestamp
    ended_at: _timestamp_pb2.Timestamp
    outcome: CronRun.Outcome
    def __init__(self, iteration: _Optional[int] = ..., due_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., started_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., ended_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., outcome: _Optional[_Union[CronRun.Outcome, str]] = ...) -> None: ...

class CronStatus(_message.Message):
    __slots__ = ("considered_until", "missed", "runs")
    CONSIDERED_UNTIL_FIELD_NUMBER: _ClassVar[int]
    MISSED_FIELD_NUMBER: _ClassVar[int]
    RUNS_FIELD_NUMBER: _ClassVar[int]
    considered_until: _timestamp_pb2.Timestamp
    missed: int
    runs: _containers.RepeatedCompositeFieldContainer[CronRun]
    def __init__(self, considered_until: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., missed: _Optional[int] = ..., runs: _Optional[_Iterable[_Union[CronRun, _Mapping]]] = ...) -> None: ...

class RebalanceConfig(_message.Message):
    __slots__ = ("enabled", "max_moves", "cooldown")
    ENABLED_FIELD_NUMBER: _ClassVar[int]
    MAX_MOVES_FIELD_NUMBER: _ClassVar[int]
    COOLDOWN_FIELD_NUMBER: _ClassVar[int]
    enabled: bool
    max_moves: int
    cooldown: _duration_pb2.Duration
    def __init__(self, enabled: _Optional[bool] = ..., max_moves: _Optional[int] = ..., cooldown: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class SchedulingConfig(_message.Message):
    __slots__ = ("strategy", "oversell", "no_preemption", "rebalance")
    STRATEGY_FIELD_NUMBER: _ClassVar[int]
    OVERSELL_FIELD_NUMBER: _ClassVar[int]
    NO_PREEMPTION_FIELD_NUMBER: _ClassVar[int]
    REBALANCE_FIELD_NUMBER: _ClassVar[int]
    strategy: Strategy
    oversell: Oversell
    no_preemption: bool
    rebalance: RebalanceConfig
    def __init__(self, strategy: _Optional[_Union[Strategy, str]] = ..., oversell: _Optional[_Union[Oversell, _Mapping]] = ..., no_preemption: _Optional[bool] = ..., rebalance: _Optional[_Union[RebalanceConfig, _Mapping]] = ...) -> None: ...

class RegistryMirror(_message.Message):
    __slots__ = ("registry", "url")
    REGISTRY_FIELD_NUMBER: _ClassVar[int]
    URL_FIELD_NUMBER: _ClassVar[int]
    registry: str
    url: str
    def __init__(self, registry: _Optional[str] = ..., url: _Optional[str] = ...) -> None: ...

class HostAccess(_message.Message):
    __slots__ = ("privileged", "devices", "device_rules", "network", "pid", "ipc", "uts", "cgroup", "user", "shm_bytes", "apparmor_profile", "system_paths", "runtime", "cgroup_parent")
    class Device(_message.Message):
        __slots__ = ("source", "target", "permissions")
        SOURCE_FIELD_NUMBER: _ClassVar[int]
        TARGET_FIELD_NUMBER: _ClassVar[int]
        PERMISSIONS_FIELD_NUMBER: _ClassVar[int]
        source: str
        target: str
        permissions: str
        def __init__(self, source: _Optional[str] = ..., target: _Optional[str] = ..., permissions: _Optional[str] = ...) -> None: ...
    PRIVILEGED_FIELD_NUMBER: _ClassVar[int]
    DEVICES_FIELD_NUMBER: _ClassVar[int]
    DEVICE_RULES_FIELD_NUMBER: _ClassVar[int]
    NETWORK_FIELD_NUMBER: _ClassVar[int]
    PID_FIELD_NUMBER: _ClassVar[int]
    IPC_FIELD_NUMBER: _ClassVar[int]
    UTS_FIELD_NUMBER: _ClassVar[int]
    CGROUP_FIELD_NUMBER: _ClassVar[int]
    USER_FIELD_NUMBER: _ClassVar[int]
    SHM_BYTES_FIELD_NUMBER: _ClassVar[int]
    APPARMOR_PROFILE_FIELD_NUMBER: _ClassVar[int]
    SYSTEM_PATHS_FIELD_NUMBER: _ClassVar[int]
    RUNTIME_FIELD_NUMBER: _ClassVar[int]
    CGROUP_PARENT_FIELD_NUMBER: _ClassVar[int]
    privileged: bool
    devices: _containers.RepeatedCompositeFieldContainer[HostAccess.Device]
    device_rules: _containers.RepeatedScalarFieldContainer[str]
    network: bool
    pid: bool
    ipc: bool
    uts: bool
    cgroup: bool
    user: bool
    shm_bytes: int
    apparmor_profile: str
    system_paths: bool
    runtime: str
    cgroup_parent: str
    def __init__(self, privileged: _Optional[bool] = ..., devices: _Optional[_Iterable[_Union[HostAccess.Device, _Mapping]]] = ..., device_rules: _Optional[_Iterable[str]] = ..., network: _Optional[bool] = ..., pid: _Optional[bool] = ..., ipc: _Optional[bool] = ..., uts: _Optional[bool] = ..., cgroup: _Optional[bool] = ..., user: _Optional[bool] = ..., shm_bytes: _Optional[int] = ..., apparmor_profile: _Optional[str] = ..., system_paths: _Optional[bool] = ..., runtime: _Optional[str] = ..., cgroup_parent: _Optional[str] = ...) -> None: ...

class ImageMountOptions(_message.Message):
    __slots__ = ("subpath",)
    SUBPATH_FIELD_NUMBER: _ClassVar[int]
    subpath: str
    def __init__(self, subpath: _Optional[str] = ...) -> None: ...
