"""Bytes of log entries and snapshots: msgpack, versioned, task specs written once.

All tasks of a service version share one `TaskSpec`. An encoder writes each spec once per entry or
chunk and refers to it by position; a decoder interns specs by their bytes, so that the sharing
survives the log and comparing the specs of two tasks is comparing two pointers.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from swarmd.model.ids import NodeId
from swarmd.model.instant import Instant
from swarmd.model.spec import TaskSpec
from swarmd.model.task import Task
from swarmd.store.changes import (
    KIND_OF,
    Action,
    Create,
    Delete,
    Entry,
    Kind,
    Object,
    SetDesiredState,
    SetTaskStatus,
    Transaction,
    Update,
    kind_of,
)

FORMAT_VERSION = 1
RECORDS_PER_CHUNK = 1000
SPECS_INTERNED_MAX = 4096
_NO_SPEC = TaskSpec()
T = TypeVar("T")


class UnknownFormat(Exception):
    """The bytes were written by a version of swarmd that this one can't read."""


class _Row(Struct, frozen=True, array_like=True, gc=False):
    """A record with its kind; for tasks, the position of the spec that was taken out."""

    kind: Kind
    data: msgspec.Raw
    spec: int | None = None


class _Create(Struct, frozen=True, array_like=True, tag=1, gc=False):
    row: _Row
    reason: str


class _Update(Struct, frozen=True, array_like=True, tag=2, gc=False):
    row: _Row
    base: int
    reason: str


class _DeleteRow(Struct, frozen=True, array_like=True, tag=3, gc=False):
    action: Delete


class _StatusRow(Struct, frozen=True, array_like=True, tag=4, gc=False):
    action: SetTaskStatus


class _DesiredRow(Struct, frozen=True, array_like=True, tag=5, gc=False):
    action: SetDesiredState


_ActionRow = _Create | _Update | _DeleteRow | _StatusRow | _DesiredRow


class _EntryRow(Struct, frozen=True, array_like=True, gc=False):
    format: int
    now: Instant
    proposer: NodeId
    specs: tuple[msgspec.Raw, ...]
    transactions: tuple[tuple[bool, tuple[_ActionRow, ...]], ...]


class _ChunkRow(Struct, frozen=True, array_like=True, gc=False):
    format: int
    specs: tuple[msgspec.Raw, ...]
    rows: tuple[_Row, ...]


_encoder = msgspec.msgpack.Encoder()
_entry_decoder = msgspec.msgpack.Decoder(_EntryRow)
_chunk_decoder = msgspec.msgpack.Decoder(_ChunkRow)


class _SpecWriter:
    """Collects the distinct specs of one entry or chunk, by identity and then by bytes."""

    def __init__(self) -> None:
        self._by_identity: dict[int, int] = {}
        self._by_bytes: dict[bytes, int] = {}
        self._kept: list[TaskSpec] = []  # keeps identities alive while they are keys

    def position(self, spec: TaskSpec) -> int:
        position = self._by_identity.get(id(spec))
        if position is None:
            position = self._by_bytes.setdefault(_encoder.encode(spec), len(self._by_bytes))
            self._by_identity[id(spec)] = position
            self._kept.append(spec)
        return position

    def specs(self) -> tuple[msgspec.Raw, ...]:
        return tuple(msgspec.Raw(data) for data in self._by_bytes)

    def row(self, record: Object) -> _Row:
        if isinstance(record, Task):
            position = self.position(record.spec)
            stripped = replace(record, spec=_NO_SPEC)
            return _Row(Kind.TASK, msgspec.Raw(_encoder.encode(stripped)), position)
        return _Row(kind_of(record), msgspec.Raw(_encoder.encode(record)))


def encode_entry(entry: Entry) -> bytes:
    """The bytes of a log entry."""
    specs = _SpecWriter()

    def row_of(action: Action) -> _ActionRow:
        match action:
            case Create():
                return _Create(specs.row(action.record), action.reason)
            case Update():
                return _Update(specs.row(action.record), action.base, action.reason)
            case Delete():
                return _DeleteRow(action)
            case SetTaskStatus():
                return _StatusRow(action)
            case SetDesiredState():
                return _DesiredRow(action)

    transactions = tuple(
        (transaction.atomic, tuple(row_of(action) for action in transaction.actions))
        for transaction in entry.transactions
    )
    return _encoder.encode(
        _EntryRow(FORMAT_VERSION, entry.now, entry.proposer, specs.specs(), transactions)
    )


def encode_records(records: Iterable[Object]) -> Iterator[bytes]:
    """A snapshot's records in chunks of bounded size."""
    batch: list[Object] = []
    for record in records:
        batch.append(record)
        if len(batch) == RECORDS_PER_CHUNK:
            yield _encode_chunk(batch)
            batch = []
    if batch:
        yield _encode_chunk(batch)


def _encode_chunk(records: list[Object]) -> bytes:
    specs = _SpecWriter()
    rows = tuple(specs.row(record) for record in records)
    return _encoder.encode(_ChunkRow(FORMAT_VERSION, specs.specs(), rows))


class Decoder:
    """Reads entries and chunks, sharing equal task specs among everything it has read."""

    def __init__(self) -> None:
        self._interned: OrderedDict[bytes, TaskSpec] = OrderedDict()
        self._by_kind: dict[Kind, msgspec.msgpack.Decoder[Any]] = {
            kind: msgspec.msgpack.Decoder(record) for record, kind in KIND_OF.items()
        }
        self._spec = msgspec.msgpack.Decoder(TaskSpec)

    def entry(self, data: bytes) -> Entry:
        """Raises UnknownFormat for bytes of another version or of no version at all."""
        return _reading("a log entry", lambda: self._entry(data))

    def records(self, chunk: bytes) -> list[Object]:
        """Raises UnknownFormat like `entry`."""
        return _reading("a snapshot", lambda: self._records_of(chunk))

    def _entry(self, data: bytes) -> Entry:
        row = _entry_decoder.decode(data)
        _check_format(row.format)
        specs = [self._intern(raw) for raw in row.specs]
        return Entry(
            now=row.now,
            proposer=row.proposer,
            transactions=tuple(
                Transaction(tuple(self._action(action, specs) for action in actions), atomic)
                for atomic, actions in row.transactions
            ),
        )

    def _records_of(self, chunk: bytes) -> list[Object]:
        row = _chunk_decoder.decode(chunk)
        _check_format(row.format)
        specs = [self._intern(raw) for raw in row.specs]
        return [self._record(item, specs) for item in row.rows]

    def _action(self, row: _ActionRow, specs: list[TaskSpec]) -> Action:
        match row:
            case _Create():
                return Create(self._record(row.row, specs), row.reason)
            case _Update():
                return Update(self._record(row.row, specs), row.base, row.reason)
            case _DeleteRow() | _StatusRow() | _DesiredRow():
                return row.action

    def _record(self, row: _Row, specs: list[TaskSpec]) -> Object:
        record: Object = self._by_kind[row.kind].decode(row.data)
        if isinstance(record, Task) and row.spec is not None:
            return replace(record, spec=specs[row.spec])
        return record

    def _intern(self, raw: msgspec.Raw) -> TaskSpec:
        key = bytes(raw)
        spec = self._interned.get(key)
        if spec is None:
            spec = self._interned[key] = self._spec.decode(raw)
            if len(self._interned) > SPECS_INTERNED_MAX:
                self._interned.popitem(last=False)
        else:
            self._interned.move_to_end(key)
        return spec


def _reading(what: str, decode: Callable[[], T]) -> T:
    """Turn every way in which foreign bytes fail to decode into `UnknownFormat`."""
    try:
        return decode()
    except (msgspec.MsgspecError, UnicodeDecodeError, IndexError) as error:
        raise UnknownFormat(f"{what} can't be read: {error}") from error


def _check_format(found: int) -> None:
    if found != FORMAT_VERSION:
        raise UnknownFormat(
            f"the state was written in format {found}, this swarmd reads {FORMAT_VERSION}; "
            "run the version of swarmd that wrote it"
        )
