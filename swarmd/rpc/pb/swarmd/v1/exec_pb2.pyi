from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ExecListenRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ExecOrder(_message.Message):
    __slots__ = ("session_id", "task_id", "caller", "command", "attach", "stats", "top", "copy")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    TASK_ID_FIELD_NUMBER: _ClassVar[int]
    CALLER_FIELD_NUMBER: _ClassVar[int]
    COMMAND_FIELD_NUMBER: _ClassVar[int]
    ATTACH_FIELD_NUMBER: _ClassVar[int]
    STATS_FIELD_NUMBER: _ClassVar[int]
    TOP_FIELD_NUMBER: _ClassVar[int]
    COPY_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    task_id: str
    caller: str
    command: ExecCommand
    attach: ExecAttach
    stats: ExecStats
    top: ExecTop
    copy: ExecCopy
    def __init__(self, session_id: _Optional[str] = ..., task_id: _Optional[str] = ..., caller: _Optional[str] = ..., command: _Optional[_Union[ExecCommand, _Mapping]] = ..., attach: _Optional[_Union[ExecAttach, _Mapping]] = ..., stats: _Optional[_Union[ExecStats, _Mapping]] = ..., top: _Optional[_Union[ExecTop, _Mapping]] = ..., copy: _Optional[_Union[ExecCopy, _Mapping]] = ...) -> None: ...

class ExecCommand(_message.Message):
    __slots__ = ("argv", "env", "directory", "user", "tty", "stdin", "rows", "columns")
    ARGV_FIELD_NUMBER: _ClassVar[int]
    ENV_FIELD_NUMBER: _ClassVar[int]
    DIRECTORY_FIELD_NUMBER: _ClassVar[int]
    USER_FIELD_NUMBER: _ClassVar[int]
    TTY_FIELD_NUMBER: _ClassVar[int]
    STDIN_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    COLUMNS_FIELD_NUMBER: _ClassVar[int]
    argv: _containers.RepeatedScalarFieldContainer[str]
    env: _containers.RepeatedScalarFieldContainer[str]
    directory: str
    user: str
    tty: bool
    stdin: bool
    rows: int
    columns: int
    def __init__(self, argv: _Optional[_Iterable[str]] = ..., env: _Optional[_Iterable[str]] = ..., directory: _Optional[str] = ..., user: _Optional[str] = ..., tty: _Optional[bool] = ..., stdin: _Optional[bool] = ..., rows: _Optional[int] = ..., columns: _Optional[int] = ...) -> None: ...

class ExecAttach(_message.Message):
    __slots__ = ("stdin", "rows", "columns")
    STDIN_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    COLUMNS_FIELD_NUMBER: _ClassVar[int]
    stdin: bool
    rows: int
    columns: int
    def __init__(self, stdin: _Optional[bool] = ..., rows: _Optional[int] = ..., columns: _Optional[int] = ...) -> None: ...

class ExecStats(_message.Message):
    __slots__ = ("once",)
    ONCE_FIELD_NUMBER: _ClassVar[int]
    once: bool
    def __init__(self, once: _Optional[bool] = ...) -> None: ...

class ExecTop(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ExecCopy(_message.Message):
    __slots__ = ("path", "into", "keep_owner", "follow")
    PATH_FIELD_NUMBER: _ClassVar[int]
    INTO_FIELD_NUMBER: _ClassVar[int]
    KEEP_OWNER_FIELD_NUMBER: _ClassVar[int]
    FOLLOW_FIELD_NUMBER: _ClassVar[int]
    path: str
    into: bool
    keep_owner: bool
    follow: bool
    def __init__(self, path: _Optional[str] = ..., into: _Optional[bool] = ..., keep_owner: _Optional[bool] = ..., follow: _Optional[bool] = ...) -> None: ...

class ExecStart(_message.Message):
    __slots__ = ("task_id", "command", "attach", "stats", "top", "copy")
    TASK_ID_FIELD_NUMBER: _ClassVar[int]
    COMMAND_FIELD_NUMBER: _ClassVar[int]
    ATTACH_FIELD_NUMBER: _ClassVar[int]
    STATS_FIELD_NUMBER: _ClassVar[int]
    TOP_FIELD_NUMBER: _ClassVar[int]
    COPY_FIELD_NUMBER: _ClassVar[int]
    task_id: str
    command: ExecCommand
    attach: ExecAttach
    stats: ExecStats
    top: ExecTop
    copy: ExecCopy
    def __init__(self, task_id: _Optional[str] = ..., command: _Optional[_Union[ExecCommand, _Mapping]] = ..., attach: _Optional[_Union[ExecAttach, _Mapping]] = ..., stats: _Optional[_Union[ExecStats, _Mapping]] = ..., top: _Optional[_Union[ExecTop, _Mapping]] = ..., copy: _Optional[_Union[ExecCopy, _Mapping]] = ...) -> None: ...

class ExecSize(_message.Message):
    __slots__ = ("rows", "columns")
    ROWS_FIELD_NUMBER: _ClassVar[int]
    COLUMNS_FIELD_NUMBER: _ClassVar[int]
    rows: int
    columns: int
    def __init__(self, rows: _Optional[int] = ..., columns: _Optional[int] = ...) -> None: ...

class ExecInput(_message.Message):
    __slots__ = ("start", "data", "end", "resize", "signal", "detach")
    START_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    END_FIELD_NUMBER: _ClassVar[int]
    RESIZE_FIELD_NUMBER: _ClassVar[int]
    SIGNAL_FIELD_NUMBER: _ClassVar[int]
    DETACH_FIELD_NUMBER: _ClassVar[int]
    start: ExecStart
    data: bytes
    end: bool
    resize: ExecSize
    signal: int
    detach: bool
    def __init__(self, start: _Optional[_Union[ExecStart, _Mapping]] = ..., data: _Optional[bytes] = ..., end: _Optional[bool] = ..., resize: _Optional[_Union[ExecSize, _Mapping]] = ..., signal: _Optional[int] = ..., detach: _Optional[bool] = ...) -> None: ...

class ExecOutput(_message.Message):
    __slots__ = ("session_id", "stdout", "stderr", "exit_code", "error", "started", "detached")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    STDOUT_FIELD_NUMBER: _ClassVar[int]
    STDERR_FIELD_NUMBER: _ClassVar[int]
    EXIT_CODE_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    STARTED_FIELD_NUMBER: _ClassVar[int]
    DETACHED_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    stdout: bytes
    stderr: bytes
    exit_code: int
    error: str
    started: bool
    detached: bool
    def __init__(self, session_id: _Optional[str] = ..., stdout: _Optional[bytes] = ..., stderr: _Optional[bytes] = ..., exit_code: _Optional[int] = ..., error: _Optional[str] = ..., started: _Optional[bool] = ..., detached: _Optional[bool] = ...) -> None: ...
