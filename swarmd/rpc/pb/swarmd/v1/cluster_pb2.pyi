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
