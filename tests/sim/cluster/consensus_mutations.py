"""Mistakes in consensus, in the store, and in how both are asked."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from swarmd.dispatcher import dispatcher
from swarmd.dispatcher.core import reports
from swarmd.manager import consensus, replica, writer
from swarmd.manager.control import services
from swarmd.model.errors import Code, Rejection
from swarmd.model.states import TaskState
from swarmd.orchestrator import supervisor
from swarmd.raft import receiver, wal
from swarmd.raft.errors import OutcomeUnknown
from swarmd.store import store
from swarmd.store.changes import Change, Kind, SetDesiredState
from tests.sim.cluster.mutation import Patch, everywhere


def vote_forgotten(patch: Patch) -> None:
    """A member votes again in a term in which it has voted."""
    vote = receiver.Receiver._vote

    def forgetful(self: Any, sender: str, message: Any) -> None:
        self._core._SyncObj__votedForNodeId = None
        vote(self, sender, message)

    patch.setattr(receiver.Receiver, "_vote", forgetful)


def sync_skipped(patch: Patch) -> None:
    """Writes count as durable before they are."""
    patch.setattr(wal.Wal, "write", _without_sync(wal.Wal.write))


def _without_sync(write: Callable[..., None]) -> Callable[..., None]:
    def unsynced(self: Any, *args: Any, **kwargs: Any) -> None:
        disk = self._disk
        disk.lying = True
        try:
            write(self, *args, **kwargs)
        finally:
            disk.lying = disk.has_lied = False

    return unsynced


def wrong_quorum(patch: Patch) -> None:
    """What one follower has stored counts as stored by all."""
    reply = receiver.Receiver._append_reply

    def credulous(self: Any, sender: str, message: Any) -> None:
        reply(self, sender, message)
        matches = self._core._SyncObj__raftMatchIndex
        furthest = max(matches.values(), default=0)
        for node in matches:
            matches[node] = furthest

    patch.setattr(receiver.Receiver, "_append_reply", credulous)


def duplicate_apply(patch: Patch) -> None:
    """Now and then an entry is applied twice."""
    apply = replica.Replica.apply

    def twice(self: Any, index: int, data: bytes) -> Any:
        applied = apply(self, index, data)
        if index % 50 == 0:
            apply(self, index + 1, data)
            self.store._index = index
        return applied

    patch.setattr(replica.Replica, "apply", twice)


def stale_read(patch: Patch) -> None:
    """A manager answers reads without asking whether it still leads."""

    async def at_once(self: Any) -> int:
        return 0

    patch.setattr(consensus.Consensus, "read_barrier", at_once)


def snapshot_incomplete(patch: Patch) -> None:
    """A snapshot lacks the newest record."""
    freeze = replica.Replica.freeze

    def lacking(self: Any) -> Any:
        frozen = freeze(self)
        frozen._records.pop()
        return frozen

    patch.setattr(replica.Replica, "freeze", lacking)


def outcome_denied(patch: Patch) -> None:
    """A write that may have happened is said not to have."""
    translate = consensus.as_rejection

    def certain(error: Any) -> Rejection:
        if isinstance(error, OutcomeUnknown):
            return Rejection(Code.FAILED_PRECONDITION, "nothing was written")
        return translate(error)

    patch.setattr(consensus, "as_rejection", certain)


def acknowledged_early(patch: Patch) -> None:
    """A write is acknowledged when it is on its way, not when it is committed."""
    submit = writer.Writer.submit

    async def impatient(self: Any, transaction: Any) -> int:
        if not transaction.atomic:
            return await submit(self, transaction)
        loop = asyncio.get_running_loop()
        task = loop.create_task(submit(self, transaction))
        task.add_done_callback(lambda t: t.cancelled() or t.exception())
        await asyncio.sleep(0.001)
        return 0

    patch.setattr(writer.Writer, "submit", impatient)


def base_ignored(patch: Patch) -> None:
    """A write over an old version is accepted."""
    update = services.ServiceCalls.UpdateService

    async def careless(self: Any, call: Any, request: Any) -> Any:
        service = self._view.find_service(request.service_id)
        if service is not None:
            request.service_version.index = service.version
        return await update(self, call, request)

    patch.setattr(services.ServiceCalls, "UpdateService", careless)


def stale_status_accepted(patch: Patch) -> None:
    """A report that comes late overwrites what was seen since."""

    def believing(self: Any, action: Any, entry: Any, index: int) -> Any:
        task = self._tasks.find(action.id)
        if task is None or task.status.state == action.status.state:
            return None
        status = replace(action.status, applied_by=entry.proposer, applied_at=entry.now)
        new = replace(task, status=status, version=index, updated_at=entry.now)
        self._tasks.put(task.id, new)
        return Change(Kind.TASK, task.id, task, new, status.message)

    patch.setattr(store.Store, "_set_status", believing)
    patch.setattr(reports, "is_news", lambda task, status: task.status.state != status.state)
    patch.setattr(dispatcher, "is_news", lambda task, status: task.status.state != status.state)


def desired_state_regresses(patch: Patch) -> None:
    """A task that was told to end before it ran is wanted again."""

    def any_state(self: Any, action: Any, now: Any, index: int) -> Any:
        task = self._tasks.find(action.id)
        if task is None or action.state == task.desired_state:
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

    patch.setattr(store.Store, "_set_desired", any_state)
    begin = supervisor.supervise

    def eager(judge: Any, key: Any, history: Any, work: Any) -> Any:
        for task in history[-1:]:
            if task.desired_state is TaskState.SHUTDOWN and task.status.state < TaskState.RUNNING:
                action = SetDesiredState(task.id, TaskState.RUNNING, "its turn to start has come")
                work.plan.actions.append(action)
        return begin(judge, key, history, work)

    everywhere(patch, "supervise", begin, eager)


def reason_dropped(patch: Patch) -> None:
    """Nobody says why a task has to end."""
    wanted = store.Store._set_desired

    def silent(self: Any, action: Any, now: Any, index: int) -> Any:
        return wanted(self, replace(action, reason=""), now, index)

    patch.setattr(store.Store, "_set_desired", silent)
