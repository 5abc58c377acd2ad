from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Protocol(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PROTOCOL_TCP: _ClassVar[Protocol]
    PROTOCOL_UDP: _ClassVar[Protocol]
    PROTOCOL_SCTP: _ClassVar[Protocol]
PROTOCOL_TCP: Protocol
PROTOCOL_UDP: Protocol
PROTOCOL_SCTP: Protocol

class WatchEndpointsRequest(_message.Message):
    __slots__ = ("session_id",)
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    def __init__(self, session_id: _Optional[str] = ...) -> None: ...

class EndpointsMessage(_message.Message):
    __slots__ = ("type", "applies_to", "results_in", "services", "removed_service_ids", "changes", "more")
    class Type(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        COMPLETE: _ClassVar[EndpointsMessage.Type]
        INCREMENTAL: _ClassVar[EndpointsMessage.Type]
    COMPLETE: EndpointsMessage.Type
    INCREMENTAL: EndpointsMessage.Type
    TYPE_FIELD_NUMBER: _ClassVar[int]
    APPLIES_TO_FIELD_NUMBER: _ClassVar[int]
    RESULTS_IN_FIELD_NUMBER: _ClassVar[int]
    SERVICES_FIELD_NUMBER: _ClassVar[int]
    REMOVED_SERVICE_IDS_FIELD_NUMBER: _ClassVar[int]
    CHANGES_FIELD_NUMBER: _ClassVar[int]
    MORE_FIELD_NUMBER: _ClassVar[int]
    type: EndpointsMessage.Type
    applies_to: int
    results_in: int
    services: _containers.RepeatedCompositeFieldContainer[ServiceEndpoints]
    removed_service_ids: _containers.RepeatedScalarFieldContainer[str]
    changes: _containers.RepeatedCompositeFieldContainer[BackendChange]
    more: bool
    def __init__(self, type: _Optional[_Union[EndpointsMessage.Type, str]] = ..., applies_to: _Optional[int] = ..., results_in: _Optional[int] = ..., services: _Optional[_Iterable[_Union[ServiceEndpoints, _Mapping]]] = ..., removed_service_ids: _Optional[_Iterable[str]] = ..., changes: _Optional[_Iterable[_Union[BackendChange, _Mapping]]] = ..., more: _Optional[bool] = ...) -> None: ...

class BackendChange(_message.Message):
    __slots__ = ("service_id", "backends", "removed_task_ids")
    SERVICE_ID_FIELD_NUMBER: _ClassVar[int]
    BACKENDS_FIELD_NUMBER: _ClassVar[int]
    REMOVED_TASK_IDS_FIELD_NUMBER: _ClassVar[int]
    service_id: str
    backends: _containers.RepeatedCompositeFieldContainer[Backend]
    removed_task_ids: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, service_id: _Optional[str] = ..., backends: _Optional[_Iterable[_Union[Backend, _Mapping]]] = ..., removed_task_ids: _Optional[_Iterable[str]] = ...) -> None: ...

class ServiceEndpoints(_message.Message):
    __slots__ = ("service_id", "service_name", "ports", "backends")
    SERVICE_ID_FIELD_NUMBER: _ClassVar[int]
    SERVICE_NAME_FIELD_NUMBER: _ClassVar[int]
    PORTS_FIELD_NUMBER: _ClassVar[int]
    BACKENDS_FIELD_NUMBER: _ClassVar[int]
    service_id: str
    service_name: str
    ports: _containers.RepeatedCompositeFieldContainer[Port]
    backends: _containers.RepeatedCompositeFieldContainer[Backend]
    def __init__(self, service_id: _Optional[str] = ..., service_name: _Optional[str] = ..., ports: _Optional[_Iterable[_Union[Port, _Mapping]]] = ..., backends: _Optional[_Iterable[_Union[Backend, _Mapping]]] = ...) -> None: ...

class Port(_message.Message):
    __slots__ = ("protocol", "published_port", "target_port")
    PROTOCOL_FIELD_NUMBER: _ClassVar[int]
    PUBLISHED_PORT_FIELD_NUMBER: _ClassVar[int]
    TARGET_PORT_FIELD_NUMBER: _ClassVar[int]
    protocol: Protocol
    published_port: int
    target_port: int
    def __init__(self, protocol: _Optional[_Union[Protocol, str]] = ..., published_port: _Optional[int] = ..., target_port: _Optional[int] = ...) -> None: ...

class Backend(_message.Message):
    __slots__ = ("task_id", "node_id", "address", "ports")
    TASK_ID_FIELD_NUMBER: _ClassVar[int]
    NODE_ID_FIELD_NUMBER: _ClassVar[int]
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    PORTS_FIELD_NUMBER: _ClassVar[int]
    task_id: str
    node_id: str
    address: str
    ports: _containers.RepeatedCompositeFieldContainer[PortMapping]
    def __init__(self, task_id: _Optional[str] = ..., node_id: _Optional[str] = ..., address: _Optional[str] = ..., ports: _Optional[_Iterable[_Union[PortMapping, _Mapping]]] = ...) -> None: ...

class PortMapping(_message.Message):
    __slots__ = ("protocol", "target_port", "host_port")
    PROTOCOL_FIELD_NUMBER: _ClassVar[int]
    TARGET_PORT_FIELD_NUMBER: _ClassVar[int]
    HOST_PORT_FIELD_NUMBER: _ClassVar[int]
    protocol: Protocol
    target_port: int
    host_port: int
    def __init__(self, protocol: _Optional[_Union[Protocol, str]] = ..., target_port: _Optional[int] = ..., host_port: _Optional[int] = ...) -> None: ...
