import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class LocalState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    LOCAL_STATE_INACTIVE: _ClassVar[LocalState]
    LOCAL_STATE_PENDING: _ClassVar[LocalState]
    LOCAL_STATE_ACTIVE: _ClassVar[LocalState]
    LOCAL_STATE_LOCKED: _ClassVar[LocalState]
    LOCAL_STATE_ERROR: _ClassVar[LocalState]

class Availability(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    AVAILABILITY_ACTIVE: _ClassVar[Availability]
    AVAILABILITY_PAUSE: _ClassVar[Availability]
    AVAILABILITY_DRAIN: _ClassVar[Availability]

class Role(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ROLE_WORKER: _ClassVar[Role]
    ROLE_MANAGER: _ClassVar[Role]
LOCAL_STATE_INACTIVE: LocalState
LOCAL_STATE_PENDING: LocalState
LOCAL_STATE_ACTIVE: LocalState
LOCAL_STATE_LOCKED: LocalState
LOCAL_STATE_ERROR: LocalState
AVAILABILITY_ACTIVE: Availability
AVAILABILITY_PAUSE: Availability
AVAILABILITY_DRAIN: Availability
ROLE_WORKER: Role
ROLE_MANAGER: Role

class InfoRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class InfoResponse(_message.Message):
    __slots__ = ("node_id", "cluster_id", "state", "is_manager", "is_leader", "leader_addr", "managers", "nodes", "addr", "data_addr", "version", "runtime", "runtime_reason", "balancer", "balancer_reason", "state_dir", "error", "pid", "managers_list", "warnings", "raft", "allow", "swarm_allow", "lacking")
    NODE_ID_FIELD_NUMBER: _ClassVar[int]
    CLUSTER_ID_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    IS_MANAGER_FIELD_NUMBER: _ClassVar[int]
    IS_LEADER_FIELD_NUMBER: _ClassVar[int]
    LEADER_ADDR_FIELD_NUMBER: _ClassVar[int]
    MANAGERS_FIELD_NUMBER: _ClassVar[int]
    NODES_FIELD_NUMBER: _ClassVar[int]
    ADDR_FIELD_NUMBER: _ClassVar[int]
    DATA_ADDR_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    RUNTIME_FIELD_NUMBER: _ClassVar[int]
    RUNTIME_REASON_FIELD_NUMBER: _ClassVar[int]
    BALANCER_FIELD_NUMBER: _ClassVar[int]
    BALANCER_REASON_FIELD_NUMBER: _ClassVar[int]
    STATE_DIR_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    PID_FIELD_NUMBER: _ClassVar[int]
    MANAGERS_LIST_FIELD_NUMBER: _ClassVar[int]
    WARNINGS_FIELD_NUMBER: _ClassVar[int]
    RAFT_FIELD_NUMBER: _ClassVar[int]
    ALLOW_FIELD_NUMBER: _ClassVar[int]
    SWARM_ALLOW_FIELD_NUMBER: _ClassVar[int]
    LACKING_FIELD_NUMBER: _ClassVar[int]
    node_id: str
    cluster_id: str
    state: LocalState
    is_manager: bool
    is_leader: bool
    leader_addr: str
    managers: int
    nodes: int
    addr: str
    data_addr: str
    version: str
    runtime: str
    runtime_reason: str
    balancer: str
    balancer_reason: str
    state_dir: str
    error: str
    pid: int
    managers_list: _containers.RepeatedCompositeFieldContainer[Peer]
    warnings: _containers.RepeatedScalarFieldContainer[str]
    raft: RaftInfo
    allow: _containers.RepeatedScalarFieldContainer[str]
    swarm_allow: _containers.RepeatedScalarFieldContainer[str]
    lacking: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, node_id: _Optional[str] = ..., cluster_id: _Optional[str] = ..., state: _Optional[_Union[LocalState, str]] = ..., is_manager: _Optional[bool] = ..., is_leader: _Optional[bool] = ..., leader_addr: _Optional[str] = ..., managers: _Optional[int] = ..., nodes: _Optional[int] = ..., addr: _Optional[str] = ..., data_addr: _Optional[str] = ..., version: _Optional[str] = ..., runtime: _Optional[str] = ..., runtime_reason: _Optional[str] = ..., balancer: _Optional[str] = ..., balancer_reason: _Optional[str] = ..., state_dir: _Optional[str] = ..., error: _Optional[str] = ..., pid: _Optional[int] = ..., managers_list: _Optional[_Iterable[_Union[Peer, _Mapping]]] = ..., warnings: _Optional[_Iterable[str]] = ..., raft: _Optional[_Union[RaftInfo, _Mapping]] = ..., allow: _Optional[_Iterable[str]] = ..., swarm_allow: _Optional[_Iterable[str]] = ..., lacking: _Optional[_Iterable[str]] = ...) -> None: ...

class Peer(_message.Message):
    __slots__ = ("node_id", "addr", "leader", "reachable")
    NODE_ID_FIELD_NUMBER: _ClassVar[int]
    ADDR_FIELD_NUMBER: _ClassVar[int]
    LEADER_FIELD_NUMBER: _ClassVar[int]
    REACHABLE_FIELD_NUMBER: _ClassVar[int]
    node_id: str
    addr: str
    leader: bool
    reachable: bool
    def __init__(self, node_id: _Optional[str] = ..., addr: _Optional[str] = ..., leader: _Optional[bool] = ..., reachable: _Optional[bool] = ...) -> None: ...

class RaftInfo(_message.Message):
    __slots__ = ("term", "commit_index", "applied_index", "members")
    TERM_FIELD_NUMBER: _ClassVar[int]
    COMMIT_INDEX_FIELD_NUMBER: _ClassVar[int]
    APPLIED_INDEX_FIELD_NUMBER: _ClassVar[int]
    MEMBERS_FIELD_NUMBER: _ClassVar[int]
    term: int
    commit_index: int
    applied_index: int
    members: int
    def __init__(self, term: _Optional[int] = ..., commit_index: _Optional[int] = ..., applied_index: _Optional[int] = ..., members: _Optional[int] = ...) -> None: ...

class InitRequest(_message.Message):
    __slots__ = ("listen_addr", "advertise_addr", "data_addr", "availability", "force_new_cluster", "default_addr_pool", "default_addr_pool_mask_length", "heartbeat_period", "node_cert_expiry", "task_history_limit")
    LISTEN_ADDR_FIELD_NUMBER: _ClassVar[int]
    ADVERTISE_ADDR_FIELD_NUMBER: _ClassVar[int]
    DATA_ADDR_FIELD_NUMBER: _ClassVar[int]
    AVAILABILITY_FIELD_NUMBER: _ClassVar[int]
    FORCE_NEW_CLUSTER_FIELD_NUMBER: _ClassVar[int]
    DEFAULT_ADDR_POOL_FIELD_NUMBER: _ClassVar[int]
    DEFAULT_ADDR_POOL_MASK_LENGTH_FIELD_NUMBER: _ClassVar[int]
    HEARTBEAT_PERIOD_FIELD_NUMBER: _ClassVar[int]
    NODE_CERT_EXPIRY_FIELD_NUMBER: _ClassVar[int]
    TASK_HISTORY_LIMIT_FIELD_NUMBER: _ClassVar[int]
    listen_addr: str
    advertise_addr: str
    data_addr: str
    availability: Availability
    force_new_cluster: bool
    default_addr_pool: _containers.RepeatedScalarFieldContainer[str]
    default_addr_pool_mask_length: int
    heartbeat_period: _duration_pb2.Duration
    node_cert_expiry: _duration_pb2.Duration
    task_history_limit: int
    def __init__(self, listen_addr: _Optional[str] = ..., advertise_addr: _Optional[str] = ..., data_addr: _Optional[str] = ..., availability: _Optional[_Union[Availability, str]] = ..., force_new_cluster: _Optional[bool] = ..., default_addr_pool: _Optional[_Iterable[str]] = ..., default_addr_pool_mask_length: _Optional[int] = ..., heartbeat_period: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., node_cert_expiry: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., task_history_limit: _Optional[int] = ...) -> None: ...

class InitResponse(_message.Message):
    __slots__ = ("node_id", "cluster_id", "worker_token", "manager_token", "notes")
    NODE_ID_FIELD_NUMBER: _ClassVar[int]
    CLUSTER_ID_FIELD_NUMBER: _ClassVar[int]
    WORKER_TOKEN_FIELD_NUMBER: _ClassVar[int]
    MANAGER_TOKEN_FIELD_NUMBER: _ClassVar[int]
    NOTES_FIELD_NUMBER: _ClassVar[int]
    node_id: str
    cluster_id: str
    worker_token: str
    manager_token: str
    notes: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, node_id: _Optional[str] = ..., cluster_id: _Optional[str] = ..., worker_token: _Optional[str] = ..., manager_token: _Optional[str] = ..., notes: _Optional[_Iterable[str]] = ...) -> None: ...

class JoinRequest(_message.Message):
    __slots__ = ("remote_addrs", "token", "listen_addr", "advertise_addr", "data_addr", "availability")
    REMOTE_ADDRS_FIELD_NUMBER: _ClassVar[int]
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    LISTEN_ADDR_FIELD_NUMBER: _ClassVar[int]
    ADVERTISE_ADDR_FIELD_NUMBER: _ClassVar[int]
    DATA_ADDR_FIELD_NUMBER: _ClassVar[int]
    AVAILABILITY_FIELD_NUMBER: _ClassVar[int]
    remote_addrs: _containers.RepeatedScalarFieldContainer[str]
    token: str
    listen_addr: str
    advertise_addr: str
    data_addr: str
    availability: Availability
    def __init__(self, remote_addrs: _Optional[_Iterable[str]] = ..., token: _Optional[str] = ..., listen_addr: _Optional[str] = ..., advertise_addr: _Optional[str] = ..., data_addr: _Optional[str] = ..., availability: _Optional[_Union[Availability, str]] = ...) -> None: ...

class JoinResponse(_message.Message):
    __slots__ = ("node_id", "role", "notes")
    NODE_ID_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    NOTES_FIELD_NUMBER: _ClassVar[int]
    node_id: str
    role: Role
    notes: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, node_id: _Optional[str] = ..., role: _Optional[_Union[Role, str]] = ..., notes: _Optional[_Iterable[str]] = ...) -> None: ...

class LeaveRequest(_message.Message):
    __slots__ = ("force",)
    FORCE_FIELD_NUMBER: _ClassVar[int]
    force: bool
    def __init__(self, force: _Optional[bool] = ...) -> None: ...

class LeaveResponse(_message.Message):
    __slots__ = ("notes",)
    NOTES_FIELD_NUMBER: _ClassVar[int]
    notes: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, notes: _Optional[_Iterable[str]] = ...) -> None: ...

class StopRequest(_message.Message):
    __slots__ = ("stop_tasks",)
    STOP_TASKS_FIELD_NUMBER: _ClassVar[int]
    stop_tasks: bool
    def __init__(self, stop_tasks: _Optional[bool] = ...) -> None: ...

class StopResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...
