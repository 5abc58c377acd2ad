from swarmd.rpc.pb.docker.swarmkit.v1 import types_pb2 as _types_pb2
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class AttachNetworkRequest(_message.Message):
    __slots__ = ("config", "container_id")
    CONFIG_FIELD_NUMBER: _ClassVar[int]
    CONTAINER_ID_FIELD_NUMBER: _ClassVar[int]
    config: _types_pb2.NetworkAttachmentConfig
    container_id: str
    def __init__(self, config: _Optional[_Union[_types_pb2.NetworkAttachmentConfig, _Mapping]] = ..., container_id: _Optional[str] = ...) -> None: ...

class AttachNetworkResponse(_message.Message):
    __slots__ = ("attachment_id",)
    ATTACHMENT_ID_FIELD_NUMBER: _ClassVar[int]
    attachment_id: str
    def __init__(self, attachment_id: _Optional[str] = ...) -> None: ...

class DetachNetworkRequest(_message.Message):
    __slots__ = ("attachment_id",)
    ATTACHMENT_ID_FIELD_NUMBER: _ClassVar[int]
    attachment_id: str
    def __init__(self, attachment_id: _Optional[str] = ...) -> None: ...

class DetachNetworkResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...
