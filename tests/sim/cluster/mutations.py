"""Deliberate faults in the product, each of which some seed must catch.

A mutation replaces one decision by a wrong one, at the place where it is made. `plan` turns the
plan of a seed into one in which the mistake has occasion to matter.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
from msgspec.structs import replace

from swarmd.agent import reporter, worker
from swarmd.dispatcher import dispatcher
from swarmd.dispatcher.core import assignments, files, reports, sessions
from swarmd.manager import consensus, replica, writer
from swarmd.manager.control import services
from swarmd.model.errors import Code, Rejection
from swarmd.model.states import TaskState
from swarmd.orchestrator import fences, observer, planner, restart, supervisor, update_pass, updater
from swarmd.orchestrator.allocator import book, ports
from swarmd.raft import receiver, wal
from swarmd.raft.config import RaftConfig
from swarmd.raft.errors import OutcomeUnknown
from swarmd.sim.scenario import Plan
from swarmd.store import store
from swarmd.store.changes import Change, Kind, SetDesiredState

Patch = pytest.MonkeyPatch


class Mutation(NamedTuple):
    """A mistake, who notices, and the seed that showed it last."""

    name: str
    make: Callable[[Patch], None]
    plan: Callable[[Plan], Plan]
    first: int = 1


def _plan(*faults: str, **changes: Any) -> Callable[[Plan], Plan]:
    def adapt(plan: Plan) -> Plan:
        changed = {"managers": 3, "fault_every_s": 1.0, "turmoil_s": 25.0, **changes}
        return plan._replace(faults=faults or ("kill",), **changed)

    return adapt


# --- consensus


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


# --- the store


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
        new = replace(task, desired_state=action.state, version=index, updated_at=now)
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

    _everywhere(patch, "supervise", begin, eager)


# --- decisions


def double_assignment(patch: Patch) -> None:
    """A task that has a node is given another now and then."""
    from swarmd.orchestrator.scheduler import schedule

    plan = schedule.Scheduler.schedule

    def twice(self: Any, work: Any, view: Any, *rest: Any) -> Any:
        result = plan(self, work, view, *rest)
        nodes = view.nodes()
        for task in view.tasks():
            starting = task.status.state is TaskState.PREPARING
            if starting and not work.touches(task.id) and task.version % 5 == 0:
                other = next((n.id for n in nodes if n.id != task.node_id), None)
                if other is not None:
                    changed = replace(task, node_id=other)
                    work.actions.append(store.Update(changed, base=task.version))
        return result

    patch.setattr(schedule.Scheduler, "schedule", twice)


def leaked_port(patch: Patch) -> None:
    """The port of a service that is gone stays taken."""
    patch.setattr(ports.PortBook, "release", lambda self, service_id: None)


def leaked_address(patch: Patch) -> None:
    """The addresses of a task that is gone stay taken."""
    release = book.AddressBook.release

    def keeping(self: Any, holder: Any, **rest: Any) -> None:
        if holder[0] != "task":
            release(self, holder, **rest)

    patch.setattr(book.AddressBook, "release", keeping)


def lease_ignored(patch: Patch) -> None:
    """A successor of an ordinal does not wait for the lease of a node that was cut off."""
    patch.setattr(fences, "fence_ns", lambda task: 0)


def secret_kept(patch: Patch) -> None:
    """A node is not told to forget a secret."""
    step = files.FileUse.step

    def keeping(self: Any) -> Any:
        given, _ = step(self)
        return given, ()

    patch.setattr(files.FileUse, "step", keeping)


def lost_update_progress(patch: Patch) -> None:
    """A leader does not go on with updates that its predecessor began."""
    born = [0]
    recover = planner.Planner.__init__

    def recovering(self: Any, view: Any, env: Any) -> None:
        born[0] = env.now
        recover(self, view, env)

    advance = update_pass.advance

    def only_own(ledger: Any, judge: Any, busy: Any, work: Any) -> Any:
        status = judge.service.update_status
        if status is not None and status.state in updater.ACTIVE and status.started_at < born[0]:
            return None
        return advance(ledger, judge, busy, work)

    patch.setattr(planner.Planner, "__init__", recovering)
    _everywhere(patch, "advance", advance, only_own)


def restart_without_waiting(patch: Patch) -> None:
    """A replacement starts though the old task has not stopped."""
    stopped = restart.has_stopped
    _everywhere(patch, "has_stopped", stopped, lambda task, view: True, keep=("swarmd.sim",))


def node_changes_missed(patch: Patch) -> None:
    """The planner does not hear that a node is down."""
    patch.setattr(observer.Observer, "_observe_node", lambda self, node_id, old, new: None)


# --- between manager and node


def heartbeats_ignored(patch: Patch) -> None:
    """A heartbeat is answered but not noted."""
    beat = sessions.Sessions.beat

    def deaf(self: Any, node_id: Any, session_id: str, now: Any) -> int:
        entry = self._entries.get(node_id)
        deadline = entry.deadline if entry is not None else 0
        period = beat(self, node_id, session_id, now)
        entry.deadline = deadline
        return period

    patch.setattr(sessions.Sessions, "beat", deaf)


def session_not_fenced(patch: Patch) -> None:
    """A node that was given up goes on in its old session, unnoticed."""

    def lenient(self: Any, node_id: Any, session_id: str) -> None:
        return None

    def beat(self: Any, node_id: Any, session_id: str, now: Any) -> int:
        return int(self.period_ns)

    patch.setattr(sessions.Sessions, "check", lenient)
    patch.setattr(sessions.Sessions, "beat", beat)
    patch.setattr(dispatcher.Dispatcher, "_end", lambda self, node_id, reason: None)


def removal_not_propagated(patch: Patch) -> None:
    """Nodes are not told that a task is gone."""
    advance = assignments.AssignmentChain.advance

    def forgetful(self: Any, changed: Any, find: Any) -> Any:
        step = advance(self, changed, find)
        return step if step is None else step._replace(removed=())

    patch.setattr(assignments.AssignmentChain, "advance", forgetful)


def reports_lost(patch: Patch) -> None:
    """What could not be reported is not reported in the next session either."""
    run = reporter.Reporter.run

    async def forgetful(self: Any, known: Any, send: Any) -> None:
        self._waiting.clear()
        await run(self, (), send)

    patch.setattr(reporter.Reporter, "run", forgetful)


def unclaimed_kept(patch: Patch) -> None:
    """A worker leaves running what nobody assigns to it any more."""

    async def idle(self: Any) -> None:
        return None

    patch.setattr(worker.Worker, "_sweep", idle)
    patch.setattr(
        worker.assignment,
        "changes",
        _without_removals(worker.assignment.changes),
    )


def _without_removals(changes: Callable[..., Any]) -> Callable[..., Any]:
    def kept(*args: Any, **kwargs: Any) -> Any:
        result = changes(*args, **kwargs)
        return replace(result, removed=()) if kwargs.get("complete") else result

    return kept


def _everywhere(
    patch: Patch, name: str, old: object, new: object, keep: tuple[str, ...] = ()
) -> None:
    """Replace a function in every module that has imported it."""
    for module_name, module in list(sys.modules.items()):
        ours = module_name.startswith("swarmd.") and not module_name.startswith(keep or ("-",))
        if ours and getattr(module, name, None) is old:
            patch.setattr(module, name, new)


# Candidates that stand at the same moment.
CLOSE_RACES = RaftConfig(
    election_min_ns=500_000_000,
    election_max_ns=502_000_000,
    segment_bytes=32_768,
    reserve_bytes=4096,
)
BUSY: dict[str, Any] = {"operators": 2, "writers": 3, "fault_every_s": 2.0}
MUTATIONS = (
    Mutation(
        "vote forgotten",
        vote_forgotten,
        _plan("blackout", fault_every_s=1.5, managers=5, raft=CLOSE_RACES),
    ),
    Mutation("sync skipped", sync_skipped, _plan("power", "blackout")),
    Mutation(
        "wrong quorum",
        wrong_quorum,
        _plan("split", managers=5, **BUSY),
    ),
    Mutation("duplicate apply", duplicate_apply, _plan("kill")),
    Mutation("stale read", stale_read, _plan("split", "isolate", "pause")),
    Mutation("snapshot incomplete", snapshot_incomplete, _plan("kill")),
    Mutation("outcome denied", outcome_denied, _plan("deaf", "slow_disk", "split", **BUSY)),
    Mutation("acknowledged early", acknowledged_early, _plan("split", **BUSY)),
    Mutation("base version ignored", base_ignored, _plan("loss", writers=3)),
    Mutation("stale status accepted", stale_status_accepted, _plan("repeat")),
    Mutation("desired state regresses", desired_state_regresses, _plan("slow_link")),
    Mutation("double assignment", double_assignment, _plan("slow_link")),
    Mutation("leaked port", leaked_port, _plan("loss", operators=2, turmoil_s=60.0)),
    Mutation("leaked address", leaked_address, _plan("loss", operators=2, turmoil_s=60.0)),
    Mutation("lease ignored", lease_ignored, _plan("isolate", **BUSY)),
    Mutation("secret kept", secret_kept, _plan("loss", operators=2)),
    Mutation(
        "lost update progress",
        lost_update_progress,
        _plan("kill", "blackout", **BUSY),
    ),
    Mutation("restart without waiting", restart_without_waiting, _plan("executor")),
    Mutation("node changes missed", node_changes_missed, _plan("power", "isolate")),
    Mutation("heartbeats ignored", heartbeats_ignored, _plan("loss")),
    Mutation("session not fenced", session_not_fenced, _plan("pause", "isolate")),
    Mutation("removal not propagated", removal_not_propagated, _plan("loss")),
    Mutation("reports lost", reports_lost, _plan("isolate", "split", "kill")),
    Mutation("unclaimed tasks kept", unclaimed_kept, _plan("isolate", "power", "kill")),
)
