"""Applying log entries: the replicated state machine, deterministic to the bit.

Given the same entries in the same order every manager holds the same records with the same
versions. Nothing here reads a clock or draws a number; refusals are answers, never exceptions
(docs/design/store.md).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from msgspec.structs import replace

from swarmd.model.errors import Code, Rejection, not_found, out_of_sequence
from swarmd.model.instant import Instant
from swarmd.model.states import TaskState
from swarmd.store.changes import (
    Action,
    Applied,
    Change,
    Committed,
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
from swarmd.store.integrity import create_refusal, delete_refusal, put_refusal
from swarmd.store.view import View

Listener = Callable[[Committed], None]


class Store(View):
    """The tables, and the only way to change them: applying an entry or restoring a snapshot.

    Listeners are called after every entry, in the order they subscribed, synchronously; they must
    not raise and must not write. After a restore they receive the differences as changes.
    """

    def __init__(self) -> None:
        super().__init__()
        self._listeners: list[Listener] = []

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Call `listener` after every commit from now on; the answer ends the subscription."""
        self._listeners.append(listener)

        def unsubscribe() -> None:
            if listener in self._listeners:
                self._listeners.remove(listener)

        return unsubscribe

    def apply(self, index: int, entry: Entry) -> Applied:
        """Apply one entry at its log index and tell the listeners.

        An entry at or below the current index has been applied before (a replay after a restored
        snapshot) and is refused as a whole, since its effects are already part of the state.
        """
        if index <= self._index:
            raise AssertionError(
                f"log entry {index} was applied before; the store is at {self._index}"
            )
        changes: list[Change] = []
        refusals = tuple(
            self._apply_transaction(transaction, entry, index, changes)
            for transaction in entry.transactions
        )
        self._index = index
        self._tell(Committed(index=index, now=entry.now, changes=tuple(changes)))
        return Applied(index=index, refusals=refusals)

    def skip(self, index: int) -> None:
        """Note that the log has advanced to `index` by an entry that isn't for the store."""
        self._index = max(self._index, index)

    def restore(self, index: int, records: Iterable[Object]) -> None:
        """Become the state of a snapshot taken at `index`; listeners get the differences."""
        fresh = {(kind_of(record), record.id): record for record in records}
        changes: list[Change] = []
        for kind in Kind:
            for old in self._tables[kind].all():
                if (kind, old.id) not in fresh:
                    self._tables[kind].drop(old.id)
                    changes.append(Change(kind, old.id, old, None, "snapshot installed"))
        for (kind, object_id), record in fresh.items():
            before = self.find(kind, object_id)
            if before != record:
                self._tables[kind].put(object_id, record)
                changes.append(Change(kind, object_id, before, record, "snapshot installed"))
        self._index = index
        self._tell(Committed(index, Instant(0), tuple(changes), restored=True))

    def records(self) -> list[Object]:
        """Every record, by kind and then by creation: the content of a snapshot."""
        return [record for kind in Kind for record in self._tables[kind].all()]

    def _tell(self, committed: Committed) -> None:
        for listener in tuple(self._listeners):
            listener(committed)

    def _apply_transaction(
        self, transaction: Transaction, entry: Entry, index: int, changes: list[Change]
    ) -> Rejection | None:
        start = len(changes)
        orders = self._orders_at_risk(transaction)
        first_refusal: Rejection | None = None
        for action in transaction.actions:
            outcome = self._apply_action(action, entry, index)
            if isinstance(outcome, Rejection):
                first_refusal = first_refusal or outcome
                if transaction.atomic:
                    self._undo(changes[start:], orders)
                    del changes[start:]
                    return outcome
            elif outcome is not None:
                changes.append(outcome)
        return first_refusal

    def _orders_at_risk(self, transaction: Transaction) -> dict[Kind, tuple[str, ...]]:
        """The order of tables from which rows may be taken out and have to be put back."""
        if not transaction.atomic or len(transaction.actions) < 2:
            return {}
        kinds = {action.kind for action in transaction.actions if isinstance(action, Delete)}
        return {kind: self._tables[kind].order() for kind in kinds}

    def _undo(self, changes: list[Change], orders: dict[Kind, tuple[str, ...]]) -> None:
        for change in reversed(changes):
            if change.old is None:
                self._tables[change.kind].drop(change.id)
            else:
                self._tables[change.kind].put(change.id, change.old)
        for kind in {change.kind for change in changes if change.new is None}:
            self._tables[kind].reorder(orders[kind])

    def _apply_action(self, action: Action, entry: Entry, index: int) -> Change | Rejection | None:
        match action:
            case Create():
                return self._create(action, entry.now, index)
            case Update():
                return self._update(action, entry.now, index)
            case Delete():
                return self._delete(action)
            case SetTaskStatus():
                return self._set_status(action, entry, index)
            case SetDesiredState():
                return self._set_desired(action, entry.now, index)

    def _create(self, action: Create, now: Instant, index: int) -> Change | Rejection:
        record, kind = action.record, kind_of(action.record)
        if self.find(kind, record.id) is not None:
            return Rejection(Code.ALREADY_EXISTS, f"{kind.value} {record.id} already exists")
        refusal = create_refusal(record, self)
        if refusal is not None:
            return refusal
        record = replace(record, version=index, created_at=now, updated_at=now)
        self._tables[kind].put(record.id, record)
        return Change(kind, record.id, None, record, action.reason)

    def _update(self, action: Update, now: Instant, index: int) -> Change | Rejection:
        record, kind = action.record, kind_of(action.record)
        old = self.find(kind, record.id)
        if old is None:
            return not_found(kind.value, record.id)
        if old.version != action.base:
            return out_of_sequence()
        refusal = put_refusal(record, self)
        if refusal is not None:
            return refusal
        record = replace(record, version=index, created_at=old.created_at, updated_at=now)
        self._tables[kind].put(record.id, record)
        return Change(kind, record.id, old, record, action.reason)

    def _delete(self, action: Delete) -> Change | Rejection:
        old = self.find(action.kind, action.id)
        if old is None:
            return not_found(action.kind.value, action.id)
        if action.base is not None and old.version != action.base:
            return out_of_sequence()
        refusal = delete_refusal(action, self)
        if refusal is not None:
            return refusal
        self._tables[action.kind].drop(action.id)
        return Change(action.kind, action.id, old, None, action.reason)

    def _set_status(self, action: SetTaskStatus, entry: Entry, index: int) -> Change | None:
        task = self._tasks.find(action.id)
        if task is None or action.status.state < task.status.state:
            return None
        status = replace(action.status, applied_by=entry.proposer, applied_at=entry.now)
        if status == replace(task.status, applied_by=entry.proposer, applied_at=entry.now):
            return None
        ran_at = task.ran_at
        if not ran_at and status.state is TaskState.RUNNING:
            ran_at = entry.now
        new = replace(task, status=status, ran_at=ran_at, version=index, updated_at=entry.now)
        self._tasks.put(task.id, new)
        return Change(Kind.TASK, task.id, task, new, status.message)

    def _set_desired(self, action: SetDesiredState, now: Instant, index: int) -> Change | None:
        task = self._tasks.find(action.id)
        if task is None or action.state <= task.desired_state:
            return None
        new = replace(
            task,
            desired_state=action.state,
            desired_reason=action.reason,
            version=index,
            updated_at=now,
        )
        self._tasks.put(task.id, new)
        return Change(Kind.TASK, task.id, task, new, action.reason)
