"""Applying entries: versions, atomicity, undo, names, statuses that only go forward, restores."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from swarmd.model.errors import Code, Rejection
from swarmd.model.ids import NodeId, ServiceId, TaskId
from swarmd.model.instant import Instant
from swarmd.model.service import Service
from swarmd.model.states import TaskState
from swarmd.model.task import Task, TaskStatus
from swarmd.store.changes import (
    Action,
    Applied,
    Change,
    Committed,
    Create,
    Delete,
    Entry,
    Kind,
    SetDesiredState,
    SetTaskStatus,
    Transaction,
    Update,
    kind_of,
)
from swarmd.store.invariants import assert_sound
from swarmd.store.store import Store
from tests.support.cluster import a_node, a_service_spec

LEADER = NodeId("leader")


def apply(
    store: Store, *transactions: tuple[Action, ...], atomic: bool = True, now: int = 7
) -> Applied:
    index = store.index + 1
    listed = tuple(Transaction(actions, atomic) for actions in transactions)
    return store.apply(index, Entry(Instant(now), LEADER, listed))


def a_service(name: str, service_id: str | None = None) -> Service:
    return Service(id=ServiceId(service_id or name), spec=a_service_spec(name))


def a_task(name: str, **fields: object) -> Task:
    return Task(id=TaskId(name), service_id=ServiceId("s"), slot=1, **fields)  # type: ignore[arg-type]


def a_status(state: TaskState, message: str = "") -> TaskStatus:
    return TaskStatus(state=state, message=message)


def test_a_created_record_gets_its_version_and_times_from_the_entry() -> None:
    store = Store()
    apply(store, (Create(a_service("web")),), now=7)
    service = store.get_service("web")
    assert (service.version, service.created_at, service.updated_at) == (1, 7, 7)


def test_an_update_keeps_the_creation_time_and_raises_the_version() -> None:
    store = Store()
    apply(store, (Create(a_service("web")),), now=7)
    old = store.get_service("web")
    apply(
        store, (Update(replace(old, created_at=Instant(99), spec_version=4), old.version),), now=9
    )
    new = store.get_service("web")
    assert (new.version, new.created_at, new.updated_at, new.spec_version) == (2, 7, 9, 4)


def test_an_update_of_an_old_version_is_out_of_sequence() -> None:
    store = Store()
    apply(store, (Create(a_service("web")),))
    old = store.get_service("web")
    apply(store, (Update(old, old.version),))
    (refusal,) = apply(store, (Update(old, old.version),)).refusals
    assert refusal == Rejection(Code.UNKNOWN, "update out of sequence")


def test_updates_and_deletes_of_unknown_records_are_not_found() -> None:
    store = Store()
    service = a_service("web")
    applied = apply(store, (Update(service, 1),), (Delete(Kind.SERVICE, "web"),))
    assert [refusal and refusal.code for refusal in applied.refusals] == [Code.NOT_FOUND] * 2


def test_a_delete_may_insist_on_a_version() -> None:
    store = Store()
    apply(store, (Create(a_service("web")),))
    (refusal,) = apply(store, (Delete(Kind.SERVICE, "web", base=9),)).refusals
    assert refusal is not None
    assert store.find_service("web") is not None
    assert apply(store, (Delete(Kind.SERVICE, "web", base=1),)).refusals == (None,)
    assert store.find_service("web") is None


def test_ids_and_service_names_are_taken_once_whatever_the_case() -> None:
    store = Store()
    apply(store, (Create(a_service("web")),), (Create(a_service("db")),))
    applied = apply(store, (Create(a_service("web2", "web")),), (Create(a_service("WEB", "x")),))
    assert [refusal and refusal.code for refusal in applied.refusals] == [Code.ALREADY_EXISTS] * 2
    db = store.get_service("db")
    (refusal,) = apply(
        store, (Update(replace(db, spec=a_service_spec("Web")), db.version),)
    ).refusals
    assert refusal is not None
    assert "name conflicts with an existing object" in refusal.message


def test_a_slot_gets_no_second_task_that_may_run_unless_it_comes_to_replace_the_first() -> None:
    store = Store()
    running = TaskState.RUNNING
    apply(store, (Create(a_task("one", desired_state=running)),))
    newcomers = (
        a_task("twin", desired_state=running),
        a_task("heir", desired_state=running, replaces=TaskId("one")),
        a_task("late", desired_state=running, replaces=TaskId("gone")),
        a_task("next version", desired_state=running, spec_version=2),
        a_task("prepared", desired_state=TaskState.READY),
        a_task("run 2", desired_state=running, job_iteration=2),
    )
    applied = apply(store, *((Create(task),) for task in newcomers))
    assert [refusal is None for refusal in applied.refusals] == [
        *(False, True, False),
        *(True, True, True),
    ]
    apply(
        store, (SetDesiredState(TaskId("one"), TaskState.SHUTDOWN),), (Delete(Kind.TASK, "heir"),)
    )
    assert apply(store, (Create(newcomers[0]),)).refusals == (None,)


def test_one_refusal_undoes_an_atomic_transaction_and_no_other() -> None:
    store = Store()
    apply(store, (Create(a_service("old")), Create(a_task("t"))))
    before = store.records()
    old = store.get_service("old")
    applied = apply(
        store,
        (
            Create(a_service("new")),
            Update(replace(old, spec_version=9), old.version),
            SetDesiredState(TaskId("t"), TaskState.REMOVE),
            Delete(Kind.TASK, "t"),
            Delete(Kind.NODE, "missing"),
        ),
        (Create(a_service("other")),),
    )
    assert [refusal is None for refusal in applied.refusals] == [False, True]
    assert store.find_service("new") is None
    assert store.find_service("other") is not None
    apply(store, (Delete(Kind.SERVICE, "other"),))
    assert store.records() == before
    assert store.tasks_of_slot(ServiceId("s"), 1) == (store.get_task("t"),)


def test_a_deletion_undone_leaves_the_record_in_its_place() -> None:
    store = Store()
    apply(store, (Create(a_task("old")), Create(a_task("new"))))
    (refusal,) = apply(store, (Delete(Kind.TASK, "old"), Delete(Kind.NODE, "missing"))).refusals
    assert refusal is not None
    assert [task.id for task in store.tasks_of_slot(ServiceId("s"), 1)] == ["old", "new"]
    assert [task.id for task in store.tasks()] == ["old", "new"]


def test_without_atomicity_only_the_refused_actions_are_dropped() -> None:
    store = Store()
    applied = apply(
        store,
        (Create(a_service("a")), Delete(Kind.NODE, "missing"), Create(a_service("b"))),
        atomic=False,
    )
    assert applied.refusals[0] is not None
    assert [service.id for service in store.services()] == ["a", "b"]


def test_a_status_is_stamped_with_who_recorded_it_and_never_goes_back() -> None:
    store = Store()
    apply(store, (Create(a_task("t")),))
    apply(store, (SetTaskStatus(TaskId("t"), a_status(TaskState.RUNNING)),), now=8)
    status = store.get_task("t").status
    assert (status.state, status.applied_by, status.applied_at) == (TaskState.RUNNING, LEADER, 8)
    apply(store, (SetTaskStatus(TaskId("t"), a_status(TaskState.STARTING)),), now=9)
    assert store.get_task("t").status == status


def test_a_task_remembers_when_it_was_first_recorded_as_running() -> None:
    store = Store()
    apply(store, (Create(a_task("t")),))
    apply(store, (SetTaskStatus(TaskId("t"), a_status(TaskState.STARTING)),), now=7)
    assert store.get_task("t").ran_at == 0
    apply(store, (SetTaskStatus(TaskId("t"), a_status(TaskState.RUNNING)),), now=8)
    apply(store, (SetTaskStatus(TaskId("t"), a_status(TaskState.RUNNING, "healthy")),), now=9)
    apply(store, (SetTaskStatus(TaskId("t"), a_status(TaskState.FAILED)),), now=10)
    assert store.get_task("t").ran_at == 8


def test_repeating_a_status_is_no_change_but_a_new_message_is() -> None:
    store = Store()
    apply(store, (Create(a_task("t")),))
    running = SetTaskStatus(TaskId("t"), a_status(TaskState.RUNNING))
    heard: list[Committed] = []
    store.subscribe(heard.append)
    apply(store, (running,), now=8)
    apply(store, (running,), now=9)
    apply(store, (SetTaskStatus(TaskId("t"), a_status(TaskState.RUNNING, "healthy")),), now=10)
    assert [len(committed.changes) for committed in heard] == [1, 0, 1]


def test_a_desired_state_only_rises_and_unknown_tasks_are_ignored() -> None:
    store = Store()
    apply(store, (Create(a_task("t", desired_state=TaskState.SHUTDOWN)),))
    applied = apply(
        store,
        (
            SetDesiredState(TaskId("t"), TaskState.RUNNING),
            SetDesiredState(TaskId("gone"), TaskState.REMOVE),
            SetTaskStatus(TaskId("gone"), a_status(TaskState.RUNNING)),
        ),
    )
    assert applied.refusals == (None,)
    assert store.get_task("t").desired_state is TaskState.SHUTDOWN
    assert store.get_task("t").version == 1


def test_listeners_hear_every_entry_in_order_until_they_leave() -> None:
    store = Store()
    heard: list[tuple[str, Committed]] = []
    leave = store.subscribe(lambda committed: heard.append(("a", committed)))
    store.subscribe(lambda committed: heard.append(("b", committed)))
    apply(store, (Create(a_service("web"), "a reason"),))
    leave()
    leave()
    apply(store, (Delete(Kind.SERVICE, "web"),))
    assert [(name, committed.index) for name, committed in heard] == [("a", 1), ("b", 1), ("b", 2)]
    created, deleted = heard[0][1].changes[0], heard[2][1].changes[0]
    assert (created.old, created.new, created.reason) == (None, deleted.old, "a reason")
    assert deleted.new is None


def test_an_entry_is_applied_once() -> None:
    store = Store()
    store.skip(4)
    with pytest.raises(AssertionError, match="applied before"):
        store.apply(4, Entry(Instant(0), LEADER, ()))
    store.skip(2)
    assert store.index == 4


def test_a_restore_tells_the_differences_and_nothing_else() -> None:
    source, target = Store(), Store()
    apply(source, (Create(a_service("kept")), Create(a_service("gone"))))
    target.restore(1, source.records())
    apply(source, (Delete(Kind.SERVICE, "gone"), Create(a_service("new"))))
    heard: list[Committed] = []
    target.subscribe(heard.append)
    target.restore(source.index, source.records())
    (committed,) = heard
    assert [
        (change.id, change.old is None, change.new is None) for change in committed.changes
    ] == [
        ("gone", False, True),
        ("new", True, False),
    ]
    assert target.records() == source.records()
    assert target.index == source.index


def test_indexes_answer_by_node_service_and_slot() -> None:
    store = Store()
    apply(store, (Create(a_node("n1")), Create(a_task("a")), Create(a_task("b"))))
    a = store.get_task("a")
    moved = replace(a, node_id=NodeId("n1"), status=a_status(TaskState.ASSIGNED))
    apply(store, (Update(moved, a.version),))
    assert [task.id for task in store.tasks_of_node(NodeId("n1"))] == ["a"]
    assert [task.id for task in store.tasks_of_slot(ServiceId("s"), 1)] == ["a", "b"]
    assert store.services_with_tasks() == ("s",)
    assert store.nodes_with_tasks() == ("n1",)
    assert [node.id for node in store.nodes_by_hostname("n1")] == ["n1"]
    apply(store, (Delete(Kind.TASK, "a"), Delete(Kind.TASK, "b")))
    assert store.services_with_tasks() == ()
    assert store.task_count() == 0


names = st.sampled_from(["a", "b", "c"])
versions = st.integers(0, 6)
actions = st.one_of(
    st.builds(lambda name: Create(a_service(name)), names),
    st.builds(lambda i, name: Create(a_service(name, i)), names, names),
    st.builds(lambda i, name, base: Update(a_service(name, i), base), names, names, versions),
    st.builds(lambda i, base: Delete(Kind.SERVICE, i, base), names, st.none() | versions),
    st.builds(lambda i: Create(replace(a_task(i), slot=ord(i))), names),
    st.builds(lambda i: Delete(Kind.TASK, i), names),
    st.builds(
        lambda i, state: SetTaskStatus(TaskId(i), a_status(state)),
        names,
        st.sampled_from([TaskState.PENDING, TaskState.COMPLETE]),
    ),
    st.builds(
        lambda i, state: SetDesiredState(TaskId(i), state),
        names,
        st.sampled_from([TaskState.RUNNING, TaskState.REMOVE]),
    ),
)
transactions = st.builds(Transaction, st.lists(actions, max_size=5).map(tuple), st.booleans())


@given(st.lists(st.lists(transactions, max_size=3), max_size=8))
def test_changes_told_are_exactly_the_changes_made(entries: list[list[Transaction]]) -> None:
    store = Store()
    mirror: dict[tuple[Kind, str], object] = {}

    def listen(committed: Committed) -> None:
        for change in committed.changes:
            assert isinstance(change, Change)
            key = (change.kind, change.id)
            assert mirror.get(key) == change.old
            if change.new is None:
                del mirror[key]
            else:
                mirror[key] = change.new

    store.subscribe(listen)
    for number, listed in enumerate(entries, start=1):
        store.apply(number, Entry(Instant(number), LEADER, tuple(listed)))
        assert_sound(store)
    assert {(kind_of(row), row.id): row for row in store.records()} == mirror


@given(st.lists(st.lists(transactions, max_size=3), max_size=8))
def test_a_refused_atomic_transaction_leaves_no_trace(entries: list[list[Transaction]]) -> None:
    """Applying only what was accepted gives the same records."""
    everything, accepted = Store(), Store()
    for number, listed in enumerate(entries, start=1):
        applied = everything.apply(number, Entry(Instant(number), LEADER, tuple(listed)))
        kept = tuple(
            transaction
            for transaction, refusal in zip(listed, applied.refusals, strict=True)
            if refusal is None or not transaction.atomic
        )
        accepted.apply(number, Entry(Instant(number), LEADER, kept))
    assert accepted.records() == everything.records()
