from swarmd.rpc.pb.swarmd.v1 import extensions_pb2 as _extensions_pb2
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
    __slots__ = ("published", "networks", "left_network_ids", "more")
    PUBLISHED_FIELD_NUMBER: _ClassVar[int]
    NETWORKS_FIELD_NUMBER: _ClassVar[int]
    LEFT_NETWORK_IDS_FIELD_NUMBER: _ClassVar[int]
    MORE_FIELD_NUMBER: _ClassVar[int]
    published: _containers.RepeatedCompositeFieldContainer[PublishedDelta]
    networks: _containers.RepeatedCompositeFieldContainer[NetworkDelta]
    left_network_ids: _containers.RepeatedScalarFieldContainer[str]
    more: bool
    def __init__(self, published: _Optional[_Iterable[_Union[PublishedDelta, _Mapping]]] = ..., networks: _Optional[_Iterable[_Union[NetworkDelta, _Mapping]]] = ..., left_network_ids: _Optional[_Iterable[str]] = ..., more: _Optional[bool] = ...) -> None: ...

class PublishedDelta(_message.Message):
    __slots__ = ("type", "applies_to", "results_in", "services", "removed_service_ids", "changes")
    class Type(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        COMPLETE: _ClassVar[PublishedDelta.Type]
        INCREMENTAL: _ClassVar[PublishedDelta.Type]
    COMPLETE: PublishedDelta.Type
    INCREMENTAL: PublishedDelta.Type
    TYPE_FIELD_NUMBER: _ClassVar[int]
    APPLIES_TO_FIELD_NUMBER: _ClassVar[int]
    RESULTS_IN_FIELD_NUMBER: _ClassVar[int]
    SERVICES_FIELD_NUMBER: _ClassVar[int]
    REMOVED_SERVICE_IDS_FIELD_NUMBER: _ClassVar[int]
    CHANGES_FIELD_NUMBER: _ClassVar[int]
    type: PublishedDelta.Type
    applies_to: int
    results_in: int
    services: _containers.RepeatedCompositeFieldContainer[ServiceEndpoints]
    removed_service_ids: _containers.RepeatedScalarFieldContainer[str]
    changes: _containers.RepeatedCompositeFieldContainer[BackendChange]
    def __init__(self, type: _Optional[_Union[PublishedDelta.Type, str]] = ..., applies_to: _Optional[int] = ..., results_in: _Optional[int] = ..., services: _Optional[_Iterable[_Union[ServiceEndpoints, _Mapping]]] = ..., removed_service_ids: _Optional[_Iterable[str]] = ..., changes: _Optional[_Iterable[_Union[BackendChange, _Mapping]]] = ...) -> None: ...

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
    __slots__ = ("service_id", "service_name", "ports", "backends", "balance")
    SERVICE_ID_FIELD_NUMBER: _ClassVar[int]
    SERVICE_NAME_FIELD_NUMBER: _ClassVar[int]
    PORTS_FIELD_NUMBER: _ClassVar[int]
    BACKENDS_FIELD_NUMBER: _ClassVar[int]
    BALANCE_FIELD_NUMBER: _ClassVar[int]
    service_id: str
    service_name: str
    ports: _containers.RepeatedCompositeFieldContainer[Port]
    backends: _containers.RepeatedCompositeFieldContainer[Backend]
    balance: _extensions_pb2.Balance
    def __init__(self, service_id: _Optional[str] = ..., service_name: _Optional[str] = ..., ports: _Optional[_Iterable[_Union[Port, _Mapping]]] = ..., backends: _Optional[_Iterable[_Union[Backend, _Mapping]]] = ..., balance: _Optional[_Union[_extensions_pb2.Balance, str]] = ...) -> None: ...

class Port(_message.Message):
    __slots__ = ("protocol", "published_port", "target_port", "policy", "address")
    PROTOCOL_FIELD_NUMBER: _ClassVar[int]
    PUBLISHED_PORT_FIELD_NUMBER: _ClassVar[int]
    TARGET_PORT_FIELD_NUMBER: _ClassVar[int]
    POLICY_FIELD_NUMBER: _ClassVar[int]
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    protocol: Protocol
    published_port: int
    target_port: int
    policy: _extensions_pb2.PortPolicy
    address: str
    def __init__(self, protocol: _Optional[_Union[Protocol, str]] = ..., published_port: _Optional[int] = ..., target_port: _Optional[int] = ..., policy: _Optional[_Union[_extensions_pb2.PortPolicy, str]] = ..., address: _Optional[str] = ...) -> None: ...

class Backend(_message.Message):
    __slots__ = ("task_id", "node_id", "address", "ports", "ingress_address", "weight")
    TASK_ID_FIELD_NUMBER: _ClassVar[int]
    NODE_ID_FIELD_NUMBER: _ClassVar[int]
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    PORTS_FIELD_NUMBER: _ClassVar[int]
    INGRESS_ADDRESS_FIELD_NUMBER: _ClassVar[int]
    WEIGHT_FIELD_NUMBER: _ClassVar[int]
    task_id: str
    node_id: str
    address: str
    ports: _containers.RepeatedCompositeFieldContainer[PortMapping]
    ingress_address: str
    weight: int
    def __init__(self, task_id: _Optional[str] = ..., node_id: _Optional[str] = ..., address: _Optional[str] = ..., ports: _Optional[_Iterable[_Union[PortMapping, _Mapping]]] = ..., ingress_address: _Optional[str] = ..., weight: _Optional[int] = ...) -> None: ...

class PortMapping(_message.Message):
    __slots__ = ("protocol", "target_port", "host_port", "ipv6")
    PROTOCOL_FIELD_NUMBER: _ClassVar[int]
    TARGET_PORT_FIELD_NUMBER: _ClassVar[int]
    HOST_PORT_FIELD_NUMBER: _ClassVar[int]
    IPV6_FIELD_NUMBER: _ClassVar[int]
    protocol: Protocol
    target_port: int
    host_port: int
    ipv6: bool
    def __init__(self, protocol: _Optional[_Union[Protocol, str]] = ..., target_port: _Optional[int] = ..., host_port: _Optional[int] = ..., ipv6: _Optional[bool] = ...) -> None: ...

class NetworkDelta(_message.Message):
    __slots__ = ("network_id", "complete", "applies_to", "results_in", "head", "peers", "services", "endpoints", "removed_node_ids", "removed_service_ids", "removed_task_ids")
    NETWORK_ID_FIELD_NUMBER: _ClassVar[int]
    COMPLETE_FIELD_NUMBER: _ClassVar[int]
    APPLIES_TO_FIELD_NUMBER: _ClassVar[int]
    RESULTS_IN_FIELD_NUMBER: _ClassVar[int]
    HEAD_FIELD_NUMBER: _ClassVar[int]
    PEERS_FIELD_NUMBER: _ClassVar[int]
    SERVICES_FIELD_NUMBER: _ClassVar[int]
    ENDPOINTS_FIELD_NUMBER: _ClassVar[int]
    REMOVED_NODE_IDS_FIELD_NUMBER: _ClassVar[int]
    REMOVED_SERVICE_IDS_FIELD_NUMBER: _ClassVar[int]
    REMOVED_TASK_IDS_FIELD_NUMBER: _ClassVar[int]
    network_id: str
    complete: bool
    applies_to: int
    results_in: int
    head: NetworkHead
    peers: _containers.RepeatedCompositeFieldContainer[NetworkPeer]
    services: _containers.RepeatedCompositeFieldContainer[NetworkService]
    endpoints: _containers.RepeatedCompositeFieldContainer[NetworkEndpoint]
    removed_node_ids: _containers.RepeatedScalarFieldContainer[str]
    removed_service_ids: _containers.RepeatedScalarFieldContainer[str]
    removed_task_ids: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, network_id: _Optional[str] = ..., complete: _Optional[bool] = ..., applies_to: _Optional[int] = ..., results_in: _Optional[int] = ..., head: _Optional[_Union[NetworkHead, _Mapping]] = ..., peers: _Optional[_Iterable[_Union[NetworkPeer, _Mapping]]] = ..., services: _Optional[_Iterable[_Union[NetworkService, _Mapping]]] = ..., endpoints: _Optional[_Iterable[_Union[NetworkEndpoint, _Mapping]]] = ..., removed_node_ids: _Optional[_Iterable[str]] = ..., removed_service_ids: _Optional[_Iterable[str]] = ..., removed_task_ids: _Optional[_Iterable[str]] = ...) -> None: ...

class NetworkHead(_message.Message):
    __slots__ = ("name", "subnets", "internal", "ingress", "attachable", "encrypted", "mtu", "mechanism")
    NAME_FIELD_NUMBER: _ClassVar[int]
    SUBNETS_FIELD_NUMBER: _ClassVar[int]
    INTERNAL_FIELD_NUMBER: _ClassVar[int]
    INGRESS_FIELD_NUMBER: _ClassVar[int]
    ATTACHABLE_FIELD_NUMBER: _ClassVar[int]
    ENCRYPTED_FIELD_NUMBER: _ClassVar[int]
    MTU_FIELD_NUMBER: _ClassVar[int]
    MECHANISM_FIELD_NUMBER: _ClassVar[int]
    name: str
    subnets: _containers.RepeatedCompositeFieldContainer[NetworkSubnet]
    internal: bool
    ingress: bool
    attachable: bool
    encrypted: bool
    mtu: int
    mechanism: str
    def __init__(self, name: _Optional[str] = ..., subnets: _Optional[_Iterable[_Union[NetworkSubnet, _Mapping]]] = ..., internal: _Optional[bool] = ..., ingress: _Optional[bool] = ..., attachable: _Optional[bool] = ..., encrypted: _Optional[bool] = ..., mtu: _Optional[int] = ..., mechanism: _Optional[str] = ...) -> None: ...

class NetworkSubnet(_message.Message):
    __slots__ = ("cidr", "gateway", "vxlan_id")
    CIDR_FIELD_NUMBER: _ClassVar[int]
    GATEWAY_FIELD_NUMBER: _ClassVar[int]
    VXLAN_ID_FIELD_NUMBER: _ClassVar[int]
    cidr: str
    gateway: str
    vxlan_id: int
    def __init__(self, cidr: _Optional[str] = ..., gateway: _Optional[str] = ..., vxlan_id: _Optional[int] = ...) -> None: ...

class NetworkPeer(_message.Message):
    __slots__ = ("node_id", "underlay", "addresses", "stream")
    NODE_ID_FIELD_NUMBER: _ClassVar[int]
    UNDERLAY_FIELD_NUMBER: _ClassVar[int]
    ADDRESSES_FIELD_NUMBER: _ClassVar[int]
    STREAM_FIELD_NUMBER: _ClassVar[int]
    node_id: str
    underlay: str
    addresses: _containers.RepeatedScalarFieldContainer[str]
    stream: str
    def __init__(self, node_id: _Optional[str] = ..., underlay: _Optional[str] = ..., addresses: _Optional[_Iterable[str]] = ..., stream: _Optional[str] = ...) -> None: ...

class NetworkService(_message.Message):
    __slots__ = ("service_id", "name", "aliases", "virtual_ips", "ports", "balance")
    SERVICE_ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    ALIASES_FIELD_NUMBER: _ClassVar[int]
    VIRTUAL_IPS_FIELD_NUMBER: _ClassVar[int]
    PORTS_FIELD_NUMBER: _ClassVar[int]
    BALANCE_FIELD_NUMBER: _ClassVar[int]
    service_id: str
    name: str
    aliases: _containers.RepeatedScalarFieldContainer[str]
    virtual_ips: _containers.RepeatedScalarFieldContainer[str]
    ports: _containers.RepeatedCompositeFieldContainer[NetworkServicePort]
    balance: _extensions_pb2.Balance
    def __init__(self, service_id: _Optional[str] = ..., name: _Optional[str] = ..., aliases: _Optional[_Iterable[str]] = ..., virtual_ips: _Optional[_Iterable[str]] = ..., ports: _Optional[_Iterable[_Union[NetworkServicePort, _Mapping]]] = ..., balance: _Optional[_Union[_extensions_pb2.Balance, str]] = ...) -> None: ...

class NetworkServicePort(_message.Message):
    __slots__ = ("protocol", "target_port", "published_port", "name")
    PROTOCOL_FIELD_NUMBER: _ClassVar[int]
    TARGET_PORT_FIELD_NUMBER: _ClassVar[int]
    PUBLISHED_PORT_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    protocol: Protocol
    target_port: int
    published_port: int
    name: str
    def __init__(self, protocol: _Optional[_Union[Protocol, str]] = ..., target_port: _Optional[int] = ..., published_port: _Optional[int] = ..., name: _Optional[str] = ...) -> None: ...

class NetworkEndpoint(_message.Message):
    __slots__ = ("task_id", "service_id", "node_id", "addresses", "names", "aliases", "ready", "weight")
    TASK_ID_FIELD_NUMBER: _ClassVar[int]
    SERVICE_ID_FIELD_NUMBER: _ClassVar[int]
    NODE_ID_FIELD_NUMBER: _ClassVar[int]
    ADDRESSES_FIELD_NUMBER: _ClassVar[int]
    NAMES_FIELD_NUMBER: _ClassVar[int]
    ALIASES_FIELD_NUMBER: _ClassVar[int]
    READY_FIELD_NUMBER: _ClassVar[int]
    WEIGHT_FIELD_NUMBER: _ClassVar[int]
    task_id: str
    service_id: str
    node_id: str
    addresses: _containers.RepeatedScalarFieldContainer[str]
    names: _containers.RepeatedScalarFieldContainer[str]
    aliases: _containers.RepeatedScalarFieldContainer[str]
    ready: bool
    weight: int
    def __init__(self, task_id: _Optional[str] = ..., service_id: _Optional[str] = ..., node_id: _Optional[str] = ..., addresses: _Optional[_Iterable[str]] = ..., names: _Optional[_Iterable[str]] = ..., aliases: _Optional[_Iterable[str]] = ..., ready: _Optional[bool] = ..., weight: _Optional[int] = ...) -> None: ...

class AppliedTable(_message.Message):
    __slots__ = ("network_id", "version", "problems", "repaired", "moving")
    NETWORK_ID_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    PROBLEMS_FIELD_NUMBER: _ClassVar[int]
    REPAIRED_FIELD_NUMBER: _ClassVar[int]
    MOVING_FIELD_NUMBER: _ClassVar[int]
    network_id: str
    version: int
    problems: _containers.RepeatedScalarFieldContainer[str]
    repaired: int
    moving: int
    def __init__(self, network_id: _Optional[str] = ..., version: _Optional[int] = ..., problems: _Optional[_Iterable[str]] = ..., repaired: _Optional[int] = ..., moving: _Optional[int] = ...) -> None: ...

class AcknowledgeRequest(_message.Message):
    __slots__ = ("tables",)
    TABLES_FIELD_NUMBER: _ClassVar[int]
    tables: _containers.RepeatedCompositeFieldContainer[AppliedTable]
    def __init__(self, tables: _Optional[_Iterable[_Union[AppliedTable, _Mapping]]] = ...) -> None: ...

class AcknowledgeResponse(_message.Message):
    __slots__ = ("pause",)
    PAUSE_FIELD_NUMBER: _ClassVar[int]
    pause: int
    def __init__(self, pause: _Optional[int] = ...) -> None: ...

class SettledRequest(_message.Message):
    __slots__ = ("version", "published", "network_ids", "moved")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    PUBLISHED_FIELD_NUMBER: _ClassVar[int]
    NETWORK_IDS_FIELD_NUMBER: _ClassVar[int]
    MOVED_FIELD_NUMBER: _ClassVar[int]
    version: int
    published: bool
    network_ids: _containers.RepeatedScalarFieldContainer[str]
    moved: bool
    def __init__(self, version: _Optional[int] = ..., published: _Optional[bool] = ..., network_ids: _Optional[_Iterable[str]] = ..., moved: _Optional[bool] = ...) -> None: ...

class SettledResponse(_message.Message):
    __slots__ = ("late_node_ids",)
    LATE_NODE_IDS_FIELD_NUMBER: _ClassVar[int]
    late_node_ids: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, late_node_ids: _Optional[_Iterable[str]] = ...) -> None: ...
