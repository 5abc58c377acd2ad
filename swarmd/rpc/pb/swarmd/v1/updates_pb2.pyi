from swarmd.rpc.pb.docker.swarmkit.v1 import types_pb2 as _types_pb2
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class PauseUpdateRequest(_message.Message):
    __slots__ = ("service_id", "service_version")
    SERVICE_ID_FIELD_NUMBER: _ClassVar[int]
    SERVICE_VERSION_FIELD_NUMBER: _ClassVar[int]
    service_id: str
    service_version: _types_pb2.Version
    def __init__(self, service_id: _Optional[str] = ..., service_version: _Optional[_Union[_types_pb2.Version, _Mapping]] = ...) -> None: ...

class PauseUpdateResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ResumeUpdateRequest(_message.Message):
    __slots__ = ("service_id", "service_version")
    SERVICE_ID_FIELD_NUMBER: _ClassVar[int]
    SERVICE_VERSION_FIELD_NUMBER: _ClassVar[int]
    service_id: str
    service_version: _types_pb2.Version
    def __init__(self, service_id: _Optional[str] = ..., service_version: _Optional[_Union[_types_pb2.Version, _Mapping]] = ...) -> None: ...

class ResumeUpdateResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class RollBackServiceRequest(_message.Message):
    __slots__ = ("service_id", "service_version", "spec_version")
    SERVICE_ID_FIELD_NUMBER: _ClassVar[int]
    SERVICE_VERSION_FIELD_NUMBER: _ClassVar[int]
    SPEC_VERSION_FIELD_NUMBER: _ClassVar[int]
    service_id: str
    service_version: _types_pb2.Version
    spec_version: _types_pb2.Version
    def __init__(self, service_id: _Optional[str] = ..., service_version: _Optional[_Union[_types_pb2.Version, _Mapping]] = ..., spec_version: _Optional[_Union[_types_pb2.Version, _Mapping]] = ...) -> None: ...

class RollBackServiceResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...
