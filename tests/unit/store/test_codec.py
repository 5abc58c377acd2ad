"""Bytes of entries and snapshots: faithful, compact, and refused when they are not ours."""

from __future__ import annotations

from contextlib import suppress

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from swarmd.model.cluster import Cluster
from swarmd.model.ids import NodeId, TaskId
from swarmd.model.instant import Instant
from swarmd.model.node import Node
from swarmd.model.service import Service
from swarmd.model.task import Task, TaskStatus
from swarmd.store.changes import (
    Create,
    Delete,
    Entry,
    Kind,
    Object,
    SetDesiredState,
    SetTaskStatus,
    Transaction,
    Update,
)
from swarmd.store.codec import (
    RECORDS_PER_CHUNK,
    SPECS_INTERNED_MAX,
    Decoder,
    UnknownFormat,
    encode_entry,
    encode_records,
)
from tests.support.cluster import a_task_spec
from tests.support.records import WORDS, records

KINDS: tuple[type, ...] = (Cluster, Node, Service, Task)
objects: st.SearchStrategy[Object] = st.one_of(*(records(kind) for kind in KINDS))
versions = st.integers(0, 2**40)
actions = st.one_of(
    st.builds(Create, objects, WORDS),
    st.builds(Update, objects, versions, WORDS),
    st.builds(Delete, st.sampled_from(list(Kind)), WORDS, st.none() | versions, WORDS),
    st.builds(SetTaskStatus, WORDS, records(TaskStatus)),
    records(SetDesiredState),
)
entries = st.builds(
    Entry,
    now=versions,
    proposer=WORDS,
    transactions=st.lists(
        st.builds(Transaction, st.lists(actions, max_size=3).map(tuple), st.booleans()), max_size=2
    ).map(tuple),
)
SLOW = settings(
    deadline=None,
    max_examples=50,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


@SLOW
@given(entries)
def test_an_entry_comes_back_as_it_was(entry: Entry) -> None:
    assert Decoder().entry(encode_entry(entry)) == entry


@SLOW
@given(st.lists(objects, max_size=4))
def test_a_snapshot_comes_back_as_it_was(listed: list[Object]) -> None:
    decoder = Decoder()
    assert [row for chunk in encode_records(listed) for row in decoder.records(chunk)] == listed


def tasks_of_one_spec(count: int) -> list[Object]:
    spec = a_task_spec(image="registry.example.com/" + "x" * 500)
    return [Task(id=TaskId(f"t{number}"), spec=spec) for number in range(count)]


def test_a_spec_shared_by_tasks_is_written_once() -> None:
    creates = tuple(Create(task) for task in tasks_of_one_spec(1000))
    data = encode_entry(Entry(Instant(0), NodeId("n"), (Transaction(creates),)))
    assert data.count(b"registry.example.com") == 1
    assert len(data) < 100 * 1000


def test_equal_specs_become_one_object_across_entries_and_chunks() -> None:
    decoder = Decoder()
    rows = [
        row
        for _ in range(2)
        for chunk in encode_records(tasks_of_one_spec(2))
        for row in decoder.records(chunk)
    ]
    assert len({id(row.spec) for row in rows if isinstance(row, Task)}) == 1


def test_only_so_many_specs_are_remembered() -> None:
    decoder = Decoder()
    first: Object = Task(id=TaskId("t"), spec=a_task_spec(image="first"))
    others = [
        Task(id=TaskId(f"t{number}"), spec=a_task_spec(image=str(number)))
        for number in range(SPECS_INTERNED_MAX)
    ]
    before = read(decoder, [first])
    read(decoder, list(others))
    after = read(decoder, [first])
    assert before == after
    assert before[0].spec is not after[0].spec  # type: ignore[union-attr]


def read(decoder: Decoder, listed: list[Object]) -> list[Object]:
    return [row for chunk in encode_records(listed) for row in decoder.records(chunk)]


def test_snapshots_are_cut_into_chunks_of_bounded_length() -> None:
    chunks = list(encode_records(tasks_of_one_spec(RECORDS_PER_CHUNK + 1)))
    assert [len(Decoder().records(chunk)) for chunk in chunks] == [RECORDS_PER_CHUNK, 1]
    assert list(encode_records([])) == []


def of_another_format(data: bytes) -> bytes:
    fields = msgspec.msgpack.decode(data)
    return msgspec.msgpack.encode([fields[0] + 1, *fields[1:]])


def test_entries_and_snapshots_of_another_format_are_refused_with_advice() -> None:
    entry = encode_entry(Entry(Instant(0), NodeId("n"), ()))
    (chunk,) = encode_records(tasks_of_one_spec(1))
    with pytest.raises(UnknownFormat, match="format 2, this swarmd reads 1; run the version"):
        Decoder().entry(of_another_format(entry))
    with pytest.raises(UnknownFormat, match="format 2"):
        Decoder().records(of_another_format(chunk))


AN_ENTRY = encode_entry(
    Entry(Instant(5), NodeId("n"), (Transaction(tuple(map(Create, tasks_of_one_spec(2)))),))
)


@pytest.mark.parametrize("length", range(0, len(AN_ENTRY), 37))
def test_truncated_bytes_are_refused(length: int) -> None:
    with pytest.raises(UnknownFormat):
        Decoder().entry(AN_ENTRY[:length])
    with pytest.raises(UnknownFormat):
        Decoder().records(AN_ENTRY[:length])


@given(st.binary(max_size=60))
def test_foreign_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(UnknownFormat):
        Decoder().entry(data)
    with pytest.raises(UnknownFormat):
        Decoder().records(data)


@settings(max_examples=200, deadline=None)
@given(st.integers(0, len(AN_ENTRY) * 8 - 1))
def test_a_flipped_bit_gives_an_entry_or_a_refusal_and_nothing_else(bit: int) -> None:
    """The journal's checksum catches flips; the codec must merely not fail in another way."""
    data = bytearray(AN_ENTRY)
    data[bit // 8] ^= 1 << (bit % 8)
    with suppress(UnknownFormat):
        assert isinstance(Decoder().entry(bytes(data)), Entry)
