from swarmd.rpc.pb.swarmd.v1 import endpoints_pb2 as _endpoints_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Neighbour(_message.Message):
    __slots__ = ("node_id", "address", "overlay_address", "manager_address", "udp_addresses")
    NODE_ID_FIELD_NUMBER: _ClassVar[int]
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    OVERLAY_ADDRESS_FIELD_NUMBER: _ClassVar[int]
    MANAGER_ADDRESS_FIELD_NUMBER: _ClassVar[int]
    UDP_ADDRESSES_FIELD_NUMBER: _ClassVar[int]
    node_id: str
    address: str
    overlay_address: str
    manager_address: str
    udp_addresses: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, node_id: _Optional[str] = ..., address: _Optional[str] = ..., overlay_address: _Optional[str] = ..., manager_address: _Optional[str] = ..., udp_addresses: _Optional[_Iterable[str]] = ...) -> None: ...

class ExamineNodeRequest(_message.Message):
    __slots__ = ("neighbours", "answer_at")
    NEIGHBOURS_FIELD_NUMBER: _ClassVar[int]
    ANSWER_AT_FIELD_NUMBER: _ClassVar[int]
    neighbours: _containers.RepeatedCompositeFieldContainer[Neighbour]
    answer_at: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, neighbours: _Optional[_Iterable[_Union[Neighbour, _Mapping]]] = ..., answer_at: _Optional[_Iterable[str]] = ...) -> None: ...

class Trial(_message.Message):
    __slots__ = ("untried", "answered", "round_trip", "mtu")
    UNTRIED_FIELD_NUMBER: _ClassVar[int]
    ANSWERED_FIELD_NUMBER: _ClassVar[int]
    ROUND_TRIP_FIELD_NUMBER: _ClassVar[int]
    MTU_FIELD_NUMBER: _ClassVar[int]
    untried: str
    answered: bool
    round_trip: int
    mtu: int
    def __init__(self, untried: _Optional[str] = ..., answered: _Optional[bool] = ..., round_trip: _Optional[int] = ..., mtu: _Optional[int] = ...) -> None: ...

class Ways(_message.Message):
    __slots__ = ("node_id", "underlay", "overlay", "manager", "udp")
    NODE_ID_FIELD_NUMBER: _ClassVar[int]
    UNDERLAY_FIELD_NUMBER: _ClassVar[int]
    OVERLAY_FIELD_NUMBER: _ClassVar[int]
    MANAGER_FIELD_NUMBER: _ClassVar[int]
    UDP_FIELD_NUMBER: _ClassVar[int]
    node_id: str
    underlay: Trial
    overlay: Trial
    manager: Trial
    udp: _containers.RepeatedCompositeFieldContainer[Trial]
    def __init__(self, node_id: _Optional[str] = ..., underlay: _Optional[_Union[Trial, _Mapping]] = ..., overlay: _Optional[_Union[Trial, _Mapping]] = ..., manager: _Optional[_Union[Trial, _Mapping]] = ..., udp: _Optional[_Iterable[_Union[Trial, _Mapping]]] = ...) -> None: ...

class ExamineNodeResponse(_message.Message):
    __slots__ = ("now", "ways", "problems")
    NOW_FIELD_NUMBER: _ClassVar[int]
    WAYS_FIELD_NUMBER: _ClassVar[int]
    PROBLEMS_FIELD_NUMBER: _ClassVar[int]
    now: int
    ways: _containers.RepeatedCompositeFieldContainer[Ways]
    problems: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, now: _Optional[int] = ..., ways: _Optional[_Iterable[_Union[Ways, _Mapping]]] = ..., problems: _Optional[_Iterable[str]] = ...) -> None: ...

class ExamineSwarmRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class NodeFindings(_message.Message):
    __slots__ = ("node_id", "hostname", "state", "absent", "clock_ahead", "round_trip", "found", "tables")
    NODE_ID_FIELD_NUMBER: _ClassVar[int]
    HOSTNAME_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    ABSENT_FIELD_NUMBER: _ClassVar[int]
    CLOCK_AHEAD_FIELD_NUMBER: _ClassVar[int]
    ROUND_TRIP_FIELD_NUMBER: _ClassVar[int]
    FOUND_FIELD_NUMBER: _ClassVar[int]
    TABLES_FIELD_NUMBER: _ClassVar[int]
    node_id: str
    hostname: str
    state: str
    absent: str
    clock_ahead: int
    round_trip: int
    found: ExamineNodeResponse
    tables: _containers.RepeatedCompositeFieldContainer[TableInForce]
    def __init__(self, node_id: _Optional[str] = ..., hostname: _Optional[str] = ..., state: _Optional[str] = ..., absent: _Optional[str] = ..., clock_ahead: _Optional[int] = ..., round_trip: _Optional[int] = ..., found: _Optional[_Union[ExamineNodeResponse, _Mapping]] = ..., tables: _Optional[_Iterable[_Union[TableInForce, _Mapping]]] = ...) -> None: ...

class TableInForce(_message.Message):
    __slots__ = ("applied", "changed_at")
    APPLIED_FIELD_NUMBER: _ClassVar[int]
    CHANGED_AT_FIELD_NUMBER: _ClassVar[int]
    applied: _endpoints_pb2.AppliedTable
    changed_at: int
    def __init__(self, applied: _Optional[_Union[_endpoints_pb2.AppliedTable, _Mapping]] = ..., changed_at: _Optional[int] = ...) -> None: ...

class ExamineSwarmResponse(_message.Message):
    __slots__ = ("nodes",)
    NODES_FIELD_NUMBER: _ClassVar[int]
    nodes: _containers.RepeatedCompositeFieldContainer[NodeFindings]
    def __init__(self, nodes: _Optional[_Iterable[_Union[NodeFindings, _Mapping]]] = ...) -> None: ...

class InspectTableRequest(_message.Message):
    __slots__ = ("network_id",)
    NETWORK_ID_FIELD_NUMBER: _ClassVar[int]
    network_id: str
    def __init__(self, network_id: _Optional[str] = ...) -> None: ...

class NodeTable(_message.Message):
    __slots__ = ("node_id", "hostname", "state", "table")
    NODE_ID_FIELD_NUMBER: _ClassVar[int]
    HOSTNAME_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    TABLE_FIELD_NUMBER: _ClassVar[int]
    node_id: str
    hostname: str
    state: str
    table: TableInForce
    def __init__(self, node_id: _Optional[str] = ..., hostname: _Optional[str] = ..., state: _Optional[str] = ..., table: _Optional[_Union[TableInForce, _Mapping]] = ...) -> None: ...

class InspectTableResponse(_message.Message):
    __slots__ = ("nodes",)
    NODES_FIELD_NUMBER: _ClassVar[int]
    nodes: _containers.RepeatedCompositeFieldContainer[NodeTable]
    def __init__(self, nodes: _Optional[_Iterable[_Union[NodeTable, _Mapping]]] = ...) -> None: ...
