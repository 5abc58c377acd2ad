"""One session of the agent with one manager, from registration to the first error.

Five streams of work run side by side: news for the node, heartbeats, assignments, reports and log
orders. An error of any ends them all; what the tasks do goes on regardless.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from typing import Any, NamedTuple, Protocol

from swarmd.agent.core.patience import ANSWER_NS_MAX, answer_within_ns
from swarmd.agent.files import NodeFiles
from swarmd.agent.leases import Leases
from swarmd.agent.log_publisher import LogPublisher, LogSource
from swarmd.agent.remotes import Remote
from swarmd.agent.reporter import Report, Reporter
from swarmd.model.errors import Code, Rejection
from swarmd.model.ids import TaskId
from swarmd.model.instant import SECOND
from swarmd.model.mirrors import RegistryMirror
from swarmd.model.network_keys import NetworkKey
from swarmd.model.node import Node, NodeDescription
from swarmd.model.secret import Config, Secret
from swarmd.model.states import TaskState
from swarmd.model.task import Task, TaskStatus
from swarmd.rpc.convert import (
    description_to_pb,
    node_from_pb,
    task_from_pb,
    task_status_from_pb,
    task_status_to_pb,
)
from swarmd.rpc.convert.cluster import NETWORK_KEY, REGISTRY_MIRROR
from swarmd.rpc.convert.secret import CONFIG, SECRET
from swarmd.rpc.errors import RpcError
from swarmd.rpc.pb import dispatcher as pb
from swarmd.runtime.timeouts import cancellations, timeout

log = logging.getLogger(__name__)

DISPATCHER = "docker.swarmkit.v1.Dispatcher"
LOG_BROKER = "docker.swarmkit.v1.LogBroker"
REDIRECT = ("swarmd-redirect", "1")
DESCRIBE_S = 20.0
REOPEN_S = 0.1  # before assignments are asked for anew


class Channel(Protocol):
    """A connection to a manager."""

    def stub(self, service: str) -> Any:
        """An object with the methods of a service, by its full name."""
        ...

    async def close(self) -> None: ...


class Worker(LogSource, Protocol):
    """What runs the tasks; see `swarmd.agent.worker.Worker`."""

    on_status: Callable[[TaskId, TaskStatus], None]

    def assign(
        self, *, complete: bool, updates: tuple[Task, ...], removed: tuple[TaskId, ...]
    ) -> None:
        """Run these tasks; with `complete`, these and no others."""
        ...

    def statuses(self) -> tuple[Report, ...]:
        """The latest status of every task the worker knows."""
        ...


class News(NamedTuple):
    """What a manager tells a node about itself and the managers."""

    session_id: str
    node: Node
    managers: tuple[tuple[Remote, int], ...]  # with weights
    root_ca: bytes
    leader_addr: str
    registry_mirrors: tuple[RegistryMirror, ...] = ()
    network_keys: tuple[NetworkKey, ...] = ()


class Redescribed(Exception):
    """The node's description has changed; the session is opened again with the new one."""


class Conversation:
    """A session over `channel`. `on_news` hears every message, the first one included."""

    def __init__(
        self,
        channel: Channel,
        *,
        worker: Worker,
        reporter: Reporter,
        publisher: LogPublisher,
        describe: Callable[[], NodeDescription],
        on_news: Callable[[News], None],
        on_tasks: Callable[[tuple[Task, ...], tuple[TaskId, ...], bool], None],
        leases: Leases,
        files: NodeFiles,
    ) -> None:
        self._leases = leases
        self._files = files
        self._dispatcher = channel.stub(DISPATCHER)
        self._broker = channel.stub(LOG_BROKER)
        self._worker = worker
        self._reporter = reporter
        self._publisher = publisher
        self._describe = describe
        self._on_news = on_news
        self._on_tasks = on_tasks

    async def run(self, session_id: str) -> None:
        """Register, or resume `session_id`, and work until something fails.

        Raises:
            RpcError: the manager refused, answered wrongly or went away.
            Redescribed: the session is to be opened again.
        """
        description = self._describe()
        request = pb.SessionRequest(
            session_id=session_id, description=description_to_pb(description)
        )
        before = cancellations()
        try:
            async with aclosing(self._dispatcher.Session(request, metadata=(REDIRECT,))) as news:
                session_id = await self._begin(news)
                async with asyncio.TaskGroup() as work:
                    work.create_task(self._beat(session_id), name="session.heartbeat")
                    work.create_task(self._work(session_id), name="session.assignments")
                    work.create_task(self._report(session_id), name="session.reports")
                    work.create_task(self._publisher.run(self._broker), name="session.logs")
                    work.create_task(self._watch(description), name="session.description")
                    await self._listen(news)
        except BaseExceptionGroup as group:
            if cancellations() > before:
                # Told to end while it was failing, of which a group tells nothing.
                raise asyncio.CancelledError from group
            raise cause_of(group) from group

    async def _begin(self, news: AsyncIterator[Any]) -> str:
        try:
            async with timeout(ANSWER_NS_MAX / SECOND):
                message = await anext(news)
        except TimeoutError:
            raise _lost(f"no session within {ANSWER_NS_MAX // SECOND} seconds") from None
        except StopAsyncIteration:
            raise _lost("the manager ended the session before it began") from None
        return self._take(message).session_id

    async def _listen(self, news: AsyncIterator[Any]) -> None:
        async for message in news:
            self._take(message)
        raise _lost("the manager ended the session")

    def _take(self, message: pb.SessionMessage) -> News:
        news = News(
            session_id=message.session_id,
            node=node_from_pb(message.node),
            managers=tuple(
                (Remote(manager.peer.addr, manager.peer.node_id), manager.weight)
                for manager in message.managers
            ),
            root_ca=message.RootCA,
            leader_addr=message.leader_addr,
            registry_mirrors=tuple(map(REGISTRY_MIRROR.from_pb, message.registry_mirrors)),
            network_keys=tuple(map(NETWORK_KEY.from_pb, message.network_bootstrap_keys)),
        )
        self._on_news(news)
        return news

    async def _beat(self, session_id: str) -> None:
        request = pb.HeartbeatRequest(session_id=session_id)
        within_ns = ANSWER_NS_MAX
        while True:
            sent_at = self._leases.now()
            try:
                async with timeout(within_ns / SECOND):
                    answer = await self._dispatcher.Heartbeat(request)
            except TimeoutError:
                raise _lost("the manager doesn't answer heartbeats") from None
            period_ns = answer.period.seconds * SECOND + answer.period.nanos
            if period_ns <= 0:
                raise _lost("the manager wants heartbeats without a pause")
            self._leases.answered(sent_at)
            within_ns = answer_within_ns(period_ns)
            await asyncio.sleep(self._leases.beat_within_ns(period_ns) / SECOND)

    async def _work(self, session_id: str) -> None:
        """Follow the assignments; a broken chain is begun anew."""
        request = pb.AssignmentsRequest(session_id=session_id)
        while True:
            position = ""
            async with aclosing(self._dispatcher.Assignments(request)) as messages:
                async for message in messages:
                    complete = message.type == pb.AssignmentsMessage.COMPLETE
                    if not complete and message.applies_to != position:
                        log.warning(
                            "assignments.broken has=%s needs=%s", position, message.applies_to
                        )
                        await asyncio.sleep(REOPEN_S)
                        break
                    position = message.results_in
                    self._assign(message, complete=complete)
                else:
                    raise _lost("the manager ended the assignments")

    def _assign(self, message: pb.AssignmentsMessage, *, complete: bool) -> None:
        """Take the files first: tasks that come with them need them."""
        updates: list[Task] = []
        removed: list[TaskId] = []
        given, taken = _files(message)
        self._files.assign(complete=complete, given=given, removed=taken)
        for change in message.changes:
            if not change.assignment.HasField("task"):
                continue
            task = change.assignment.task
            if change.action == pb.AssignmentChange.REMOVE:
                removed.append(TaskId(task.id))
                continue
            try:
                updates.append(task_from_pb(task))
            except Rejection as rejection:
                self._reject(task, rejection.message)
        self._on_tasks(tuple(updates), tuple(removed), complete)
        self._worker.assign(complete=complete, updates=tuple(updates), removed=tuple(removed))

    def _reject(self, task: Any, reason: str) -> None:
        """A task this version can't make sense of is refused, and hides no other."""
        timestamp = task_status_from_pb(
            type(task.status)(timestamp=task.status.timestamp)
        ).timestamp
        status = TaskStatus(
            state=TaskState.REJECTED, timestamp=timestamp, message="not understood", err=reason
        )
        self._reporter.put(TaskId(task.id), status)

    async def _report(self, session_id: str) -> None:
        async def send(reports: tuple[Report, ...]) -> None:
            await self._send(session_id, reports)

        await self._reporter.run(self._worker.statuses(), send)

    async def _send(self, session_id: str, reports: tuple[Report, ...]) -> None:
        request = pb.UpdateTaskStatusRequest(session_id=session_id)
        for task_id, status in reports:
            update = request.updates.add(task_id=task_id)
            update.status.CopyFrom(task_status_to_pb(status))
        try:
            async with timeout(ANSWER_NS_MAX / SECOND):
                await self._dispatcher.UpdateTaskStatus(request)
        except TimeoutError:
            raise _lost("the manager doesn't take reports") from None
        except RpcError as error:
            if error.code is Code.PERMISSION_DENIED and len(reports) > 1:
                # One task that isn't ours any more would keep all others from being reported.
                middle = len(reports) // 2
                await self._send(session_id, reports[:middle])
                await self._send(session_id, reports[middle:])
            elif error.code in (Code.PERMISSION_DENIED, Code.NOT_FOUND):
                log.warning("report.refused task.id=%s reason=%s", reports[0][0], error.message)
            else:
                raise

    async def _watch(self, description: NodeDescription) -> None:
        while True:
            await asyncio.sleep(DESCRIBE_S)
            if self._describe() != description:
                raise Redescribed


def _files(message: pb.AssignmentsMessage) -> tuple[list[Secret | Config], list[str]]:
    """The secrets and configs that a message gives, and the ids of those it takes away."""
    given: list[Secret | Config] = []
    taken: list[str] = []
    for change in message.changes:
        kind = change.assignment.WhichOneof("item")
        if kind not in ("secret", "config"):
            continue
        file = getattr(change.assignment, kind)
        if change.action == pb.AssignmentChange.REMOVE:
            taken.append(file.id)
        else:
            given.append((SECRET if kind == "secret" else CONFIG).from_pb(file))
    return given, taken


def cause_of(error: BaseException) -> BaseException:
    """The error behind a group: the first that isn't a group itself."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _lost(message: str) -> RpcError:
    return RpcError(Code.UNAVAILABLE, message)
