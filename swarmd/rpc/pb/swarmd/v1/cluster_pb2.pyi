from swarmd.rpc.pb.docker.swarmkit.v1 import specs_pb2 as _specs_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ExplainRequest(_message.Message):
    __slots__ = ("service_id", "task_id")
    SERVICE_ID_FIELD_NUMBER: _ClassVar[int]
    TASK_ID_FIELD_NUMBER: _ClassVar[int]
    service_id: str
    task_id: str
    def __init__(self, service_id: _Optional[str] = ..., task_id: _Optional[str] = ...) -> None: ...

class ExplainResponse(_message.Message):
    __slots__ = ("reasons", "remedies", "service_id", "service_name", "running", "wanted", "causes", "verdicts", "able", "nodes")
    REASONS_FIELD_NUMBER: _ClassVar[int]
    REMEDIES_FIELD_NUMBER: _ClassVar[int]
    SERVICE_ID_FIELD_NUMBER: _ClassVar[int]
    SERVICE_NAME_FIELD_NUMBER: _ClassVar[int]
    RUNNING_FIELD_NUMBER: _ClassVar[int]
    WANTED_FIELD_NUMBER: _ClassVar[int]
    CAUSES_FIELD_NUMBER: _ClassVar[int]
    VERDICTS_FIELD_NUMBER: _ClassVar[int]
    ABLE_FIELD_NUMBER: _ClassVar[int]
    NODES_FIELD_NUMBER: _ClassVar[int]
    reasons: _containers.RepeatedScalarFieldContainer[str]
    remedies: _containers.RepeatedScalarFieldContainer[str]
    service_id: str
    service_name: str
    running: int
    wanted: int
    causes: _containers.RepeatedCompositeFieldContainer[Cause]
    verdicts: _containers.RepeatedCompositeFieldContainer[Verdict]
    able: int
    nodes: int
    def __init__(self, reasons: _Optional[_Iterable[str]] = ..., remedies: _Optional[_Iterable[str]] = ..., service_id: _Optional[str] = ..., service_name: _Optional[str] = ..., running: _Optional[int] = ..., wanted: _Optional[int] = ..., causes: _Optional[_Iterable[_Union[Cause, _Mapping]]] = ..., verdicts: _Optional[_Iterable[_Union[Verdict, _Mapping]]] = ..., able: _Optional[int] = ..., nodes: _Optional[int] = ...) -> None: ...

class Cause(_message.Message):
    __slots__ = ("reason", "tasks", "count")
    REASON_FIELD_NUMBER: _ClassVar[int]
    TASKS_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    reason: str
    tasks: _containers.RepeatedScalarFieldContainer[str]
    count: int
    def __init__(self, reason: _Optional[str] = ..., tasks: _Optional[_Iterable[str]] = ..., count: _Optional[int] = ...) -> None: ...

class Verdict(_message.Message):
    __slots__ = ("filter", "reason", "remedy", "nodes", "count")
    FILTER_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    REMEDY_FIELD_NUMBER: _ClassVar[int]
    NODES_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    filter: str
    reason: str
    remedy: str
    nodes: _containers.RepeatedScalarFieldContainer[str]
    count: int
    def __init__(self, filter: _Optional[str] = ..., reason: _Optional[str] = ..., remedy: _Optional[str] = ..., nodes: _Optional[_Iterable[str]] = ..., count: _Optional[int] = ...) -> None: ...

class LeaveClusterRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class LeaveClusterResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class RelayHeartbeatsRequest(_message.Message):
    __slots__ = ("heartbeats",)
    HEARTBEATS_FIELD_NUMBER: _ClassVar[int]
    heartbeats: _containers.RepeatedCompositeFieldContainer[RelayedHeartbeat]
    def __init__(self, heartbeats: _Optional[_Iterable[_Union[RelayedHeartbeat, _Mapping]]] = ...) -> None: ...

class RelayedHeartbeat(_message.Message):
    __slots__ = ("node_id", "request")
    NODE_ID_FIELD_NUMBER: _ClassVar[int]
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    node_id: str
    request: bytes
    def __init__(self, node_id: _Optional[str] = ..., request: _Optional[bytes] = ...) -> None: ...

class RelayHeartbeatsResponse(_message.Message):
    __slots__ = ("answers",)
    ANSWERS_FIELD_NUMBER: _ClassVar[int]
    answers: _containers.RepeatedCompositeFieldContainer[HeartbeatAnswer]
    def __init__(self, answers: _Optional[_Iterable[_Union[HeartbeatAnswer, _Mapping]]] = ...) -> None: ...

class HeartbeatAnswer(_message.Message):
    __slots__ = ("response", "code", "message")
    RESPONSE_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    response: bytes
    code: int
    message: str
    def __init__(self, response: _Optional[bytes] = ..., code: _Optional[int] = ..., message: _Optional[str] = ...) -> None: ...

class ReportSilenceRequest(_message.Message):
    __slots__ = ("lines",)
    LINES_FIELD_NUMBER: _ClassVar[int]
    lines: _containers.RepeatedCompositeFieldContainer[SilentLine]
    def __init__(self, lines: _Optional[_Iterable[_Union[SilentLine, _Mapping]]] = ...) -> None: ...

class SilentLine(_message.Message):
    __slots__ = ("node_id", "line", "silent_ns")
    NODE_ID_FIELD_NUMBER: _ClassVar[int]
    LINE_FIELD_NUMBER: _ClassVar[int]
    SILENT_NS_FIELD_NUMBER: _ClassVar[int]
    node_id: str
    line: str
    silent_ns: int
    def __init__(self, node_id: _Optional[str] = ..., line: _Optional[str] = ..., silent_ns: _Optional[int] = ...) -> None: ...

class ReportSilenceResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class SimulateRequest(_message.Message):
    __slots__ = ("hypotheses",)
    HYPOTHESES_FIELD_NUMBER: _ClassVar[int]
    hypotheses: _containers.RepeatedCompositeFieldContainer[Hypothesis]
    def __init__(self, hypotheses: _Optional[_Iterable[_Union[Hypothesis, _Mapping]]] = ...) -> None: ...

class Hypothesis(_message.Message):
    __slots__ = ("node_down", "node_drained", "nodes_added", "service_created", "service_scaled", "service_updated", "service_removed")
    NODE_DOWN_FIELD_NUMBER: _ClassVar[int]
    NODE_DRAINED_FIELD_NUMBER: _ClassVar[int]
    NODES_ADDED_FIELD_NUMBER: _ClassVar[int]
    SERVICE_CREATED_FIELD_NUMBER: _ClassVar[int]
    SERVICE_SCALED_FIELD_NUMBER: _ClassVar[int]
    SERVICE_UPDATED_FIELD_NUMBER: _ClassVar[int]
    SERVICE_REMOVED_FIELD_NUMBER: _ClassVar[int]
    node_down: str
    node_drained: str
    nodes_added: NodesAdded
    service_created: _specs_pb2.ServiceSpec
    service_scaled: ServiceScaled
    service_updated: ServiceUpdated
    service_removed: str
    def __init__(self, node_down: _Optional[str] = ..., node_drained: _Optional[str] = ..., nodes_added: _Optional[_Union[NodesAdded, _Mapping]] = ..., service_created: _Optional[_Union[_specs_pb2.ServiceSpec, _Mapping]] = ..., service_scaled: _Optional[_Union[ServiceScaled, _Mapping]] = ..., service_updated: _Optional[_Union[ServiceUpdated, _Mapping]] = ..., service_removed: _Optional[str] = ...) -> None: ...

class NodesAdded(_message.Message):
    __slots__ = ("count", "like")
    COUNT_FIELD_NUMBER: _ClassVar[int]
    LIKE_FIELD_NUMBER: _ClassVar[int]
    count: int
    like: str
    def __init__(self, count: _Optional[int] = ..., like: _Optional[str] = ...) -> None: ...

class ServiceScaled(_message.Message):
    __slots__ = ("service", "replicas")
    SERVICE_FIELD_NUMBER: _ClassVar[int]
    REPLICAS_FIELD_NUMBER: _ClassVar[int]
    service: str
    replicas: int
    def __init__(self, service: _Optional[str] = ..., replicas: _Optional[int] = ...) -> None: ...

class ServiceUpdated(_message.Message):
    __slots__ = ("service", "spec")
    SERVICE_FIELD_NUMBER: _ClassVar[int]
    SPEC_FIELD_NUMBER: _ClassVar[int]
    service: str
    spec: _specs_pb2.ServiceSpec
    def __init__(self, service: _Optional[str] = ..., spec: _Optional[_Union[_specs_pb2.ServiceSpec, _Mapping]] = ...) -> None: ...

class SimulateResponse(_message.Message):
    __slots__ = ("shifts", "nodes", "pending", "settled", "duration_ns")
    SHIFTS_FIELD_NUMBER: _ClassVar[int]
    NODES_FIELD_NUMBER: _ClassVar[int]
    PENDING_FIELD_NUMBER: _ClassVar[int]
    SETTLED_FIELD_NUMBER: _ClassVar[int]
    DURATION_NS_FIELD_NUMBER: _ClassVar[int]
    shifts: _containers.RepeatedCompositeFieldContainer[Shift]
    nodes: _containers.RepeatedCompositeFieldContainer[NodeLoad]
    pending: int
    settled: bool
    duration_ns: int
    def __init__(self, shifts: _Optional[_Iterable[_Union[Shift, _Mapping]]] = ..., nodes: _Optional[_Iterable[_Union[NodeLoad, _Mapping]]] = ..., pending: _Optional[int] = ..., settled: _Optional[bool] = ..., duration_ns: _Optional[int] = ...) -> None: ...

class Shift(_message.Message):
    __slots__ = ("service_id", "service_name", "task", "kind", "from_node", "to_node", "reason")
    SERVICE_ID_FIELD_NUMBER: _ClassVar[int]
    SERVICE_NAME_FIELD_NUMBER: _ClassVar[int]
    TASK_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    FROM_NODE_FIELD_NUMBER: _ClassVar[int]
    TO_NODE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    service_id: str
    service_name: str
    task: str
    kind: str
    from_node: str
    to_node: str
    reason: str
    def __init__(self, service_id: _Optional[str] = ..., service_name: _Optional[str] = ..., task: _Optional[str] = ..., kind: _Optional[str] = ..., from_node: _Optional[str] = ..., to_node: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class NodeLoad(_message.Message):
    __slots__ = ("node_id", "hostname", "ready", "tasks_before", "tasks_after", "nano_cpus_before", "nano_cpus_after", "nano_cpus_total", "memory_bytes_before", "memory_bytes_after", "memory_bytes_total")
    NODE_ID_FIELD_NUMBER: _ClassVar[int]
    HOSTNAME_FIELD_NUMBER: _ClassVar[int]
    READY_FIELD_NUMBER: _ClassVar[int]
    TASKS_BEFORE_FIELD_NUMBER: _ClassVar[int]
    TASKS_AFTER_FIELD_NUMBER: _ClassVar[int]
    NANO_CPUS_BEFORE_FIELD_NUMBER: _ClassVar[int]
    NANO_CPUS_AFTER_FIELD_NUMBER: _ClassVar[int]
    NANO_CPUS_TOTAL_FIELD_NUMBER: _ClassVar[int]
    MEMORY_BYTES_BEFORE_FIELD_NUMBER: _ClassVar[int]
    MEMORY_BYTES_AFTER_FIELD_NUMBER: _ClassVar[int]
    MEMORY_BYTES_TOTAL_FIELD_NUMBER: _ClassVar[int]
    node_id: str
    hostname: str
    ready: bool
    tasks_before: int
    tasks_after: int
    nano_cpus_before: int
    nano_cpus_after: int
    nano_cpus_total: int
    memory_bytes_before: int
    memory_bytes_after: int
    memory_bytes_total: int
    def __init__(self, node_id: _Optional[str] = ..., hostname: _Optional[str] = ..., ready: _Optional[bool] = ..., tasks_before: _Optional[int] = ..., tasks_after: _Optional[int] = ..., nano_cpus_before: _Optional[int] = ..., nano_cpus_after: _Optional[int] = ..., nano_cpus_total: _Optional[int] = ..., memory_bytes_before: _Optional[int] = ..., memory_bytes_after: _Optional[int] = ..., memory_bytes_total: _Optional[int] = ...) -> None: ...

class RebalanceRequest(_message.Message):
    __slots__ = ("services", "dry_run")
    SERVICES_FIELD_NUMBER: _ClassVar[int]
    DRY_RUN_FIELD_NUMBER: _ClassVar[int]
    services: _containers.RepeatedScalarFieldContainer[str]
    dry_run: bool
    def __init__(self, services: _Optional[_Iterable[str]] = ..., dry_run: _Optional[bool] = ...) -> None: ...

class RebalanceResponse(_message.Message):
    __slots__ = ("moves", "started", "under_way", "notes")
    MOVES_FIELD_NUMBER: _ClassVar[int]
    STARTED_FIELD_NUMBER: _ClassVar[int]
    UNDER_WAY_FIELD_NUMBER: _ClassVar[int]
    NOTES_FIELD_NUMBER: _ClassVar[int]
    moves: _containers.RepeatedCompositeFieldContainer[Move]
    started: int
    under_way: int
    notes: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, moves: _Optional[_Iterable[_Union[Move, _Mapping]]] = ..., started: _Optional[int] = ..., under_way: _Optional[int] = ..., notes: _Optional[_Iterable[str]] = ...) -> None: ...

class Move(_message.Message):
    __slots__ = ("task_id", "task", "from_node", "to_node", "reason")
    TASK_ID_FIELD_NUMBER: _ClassVar[int]
    TASK_FIELD_NUMBER: _ClassVar[int]
    FROM_NODE_FIELD_NUMBER: _ClassVar[int]
    TO_NODE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    task_id: str
    task: str
    from_node: str
    to_node: str
    reason: str
    def __init__(self, task_id: _Optional[str] = ..., task: _Optional[str] = ..., from_node: _Optional[str] = ..., to_node: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...
