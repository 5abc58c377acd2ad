from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Optional as _Optional

DESCRIPTOR: _descriptor.FileDescriptor

class LogBulk(_message.Message):
    __slots__ = ("service_id", "node_id", "task_id", "lines")
    SERVICE_ID_FIELD_NUMBER: _ClassVar[int]
    NODE_ID_FIELD_NUMBER: _ClassVar[int]
    TASK_ID_FIELD_NUMBER: _ClassVar[int]
    LINES_FIELD_NUMBER: _ClassVar[int]
    service_id: str
    node_id: str
    task_id: str
    lines: bytes
    def __init__(self, service_id: _Optional[str] = ..., node_id: _Optional[str] = ..., task_id: _Optional[str] = ..., lines: _Optional[bytes] = ...) -> None: ...

class LogReached(_message.Message):
    __slots__ = ("node_id", "task_id", "time", "lines")
    NODE_ID_FIELD_NUMBER: _ClassVar[int]
    TASK_ID_FIELD_NUMBER: _ClassVar[int]
    TIME_FIELD_NUMBER: _ClassVar[int]
    LINES_FIELD_NUMBER: _ClassVar[int]
    node_id: str
    task_id: str
    time: int
    lines: int
    def __init__(self, node_id: _Optional[str] = ..., task_id: _Optional[str] = ..., time: _Optional[int] = ..., lines: _Optional[int] = ...) -> None: ...
