"""The agent's side of being a node: always in a session with the leader, or on the way to one.

Managers that don't lead name the leader instead of relaying, so that a session costs one machine
only. A lost session never touches the tasks; reports wait, and assignments begin with the complete
set when the next session opens (docs/design/dispatcher.md).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import NamedTuple

from swarmd.agent.conversation import Channel, Conversation, News, Redescribed, Worker
from swarmd.agent.core.patience import retry_delay_ns
from swarmd.agent.files import NodeFiles
from swarmd.agent.leases import Leases
from swarmd.agent.log_publisher import LogPublisher
from swarmd.agent.remotes import FAILURE, SUCCESS, Remotes
from swarmd.agent.reporter import Reporter
from swarmd.model.env import Rng
from swarmd.model.errors import Code, Rejection
from swarmd.model.ids import NodeId, ServiceId, TaskId
from swarmd.model.instant import SECOND
from swarmd.model.node import NodeDescription
from swarmd.model.task import Task
from swarmd.rpc.errors import RpcError

log = logging.getLogger(__name__)

LEADER = "swarmd-leader"  # trailer with the leader's address
REDIRECTS_IN_A_ROW_MAX = 3
NO_SERVICE = ServiceId("")


class Manager(NamedTuple):
    """The manager of the open session."""

    addr: str
    channel: Channel
    session_id: str


class AgentSession:
    """Keeps the node in session.

    Args:
        dial: opens a channel to host:port, with the node's current certificate. Must not block.
        describe: the node's description, as of now.
        on_message: called with every message of the manager.
        leases: hears of every heartbeat that a leader answers.
        files: is given the secrets and configs of the node's tasks.
        on_manager: called when a session has opened, and with None when it has ended.
    """

    def __init__(
        self,
        *,
        node_id: NodeId,
        worker: Worker,
        remotes: Remotes,
        dial: Callable[[str], Channel],
        describe: Callable[[], NodeDescription],
        rng: Rng,
        on_message: Callable[[News], None],
        on_manager: Callable[[Manager | None], None] = lambda _: None,
        leases: Leases | None = None,
        files: NodeFiles | None = None,
    ) -> None:
        self._leases = leases or Leases()
        self._files = files if files is not None else NodeFiles()
        self.manager: Manager | None = None
        self.error = "not connected yet"  # why there is no session; empty while there is one
        self._worker = worker
        self._remotes = remotes
        self._dial = dial
        self._describe = describe
        self._rng = rng
        self._on_message = on_message
        self._on_manager = on_manager
        self._services: dict[TaskId, ServiceId] = {}
        self._reporter = Reporter()
        self._publisher = LogPublisher(
            worker,
            node_id=node_id,
            service_of=lambda task_id: self._services.get(task_id, NO_SERVICE),
        )
        self._session_id = ""
        self._hint = ""
        self._hints_followed = 0
        self._failures = 0
        self._changed = asyncio.Event()
        worker.on_status = self._reporter.put

    async def run(self) -> None:
        """Stay in session until cancelled."""
        while True:
            addr = self._next_addr()
            if addr is None:
                self.error = "no manager is known; join the swarm again"
            else:
                await self._converse(addr)
            if self._failures:
                await asyncio.sleep(retry_delay_ns(self._failures, self._rng) / SECOND)

    async def wait_for_manager(self) -> Manager:
        """The manager of the open session, as soon as there is one."""
        while self.manager is None:
            await self.changed()
        return self.manager

    async def changed(self) -> None:
        """Return when a session has opened or ended."""
        await self._changed.wait()

    def _next_addr(self) -> str | None:
        if self._hint:
            addr, self._hint = self._hint, ""
            return addr
        remote = self._remotes.select()
        if remote is None:
            self._failures += 1
            return None
        return remote.addr

    async def _converse(self, addr: str) -> None:
        """Be in session with the manager at `addr`; returns when that is over, whatever the reason.

        A session that is opened again because the node's description has changed goes over the
        same connection, so that nothing else is cut off: orders, watches, somebody's terminal.
        """
        channel = self._dial(addr)
        conversation = Conversation(
            channel,
            worker=self._worker,
            reporter=self._reporter,
            publisher=self._publisher,
            describe=self._describe,
            on_news=lambda news: self._on_news(addr, channel, news),
            on_tasks=self._on_tasks,
            leases=self._leases,
            files=self._files,
        )
        try:
            while True:
                try:
                    await conversation.run(self._session_id)
                except Redescribed:
                    log.info("session.reopened reason=the description of the node has changed")
        except RpcError as error:
            self._failed(addr, error)
        except Rejection as rejection:
            self._failed(addr, RpcError(rejection.code, rejection.message))
        finally:
            self._set_manager(None)
            await channel.close()

    def _failed(self, addr: str, error: RpcError) -> None:
        leader = error.trailers.get(LEADER)
        if leader and leader != addr and self._hints_followed < REDIRECTS_IN_A_ROW_MAX:
            # Not a failure: the manager told where to go.
            self._hint = leader
            self._hints_followed += 1
            return
        self._hints_followed = 0
        if error.code in (Code.NOT_FOUND, Code.INVALID_ARGUMENT):
            self._session_id = ""
        self._remotes.observe(addr, FAILURE)
        self._failures += 1
        self.error = f"no session with a manager; {addr} answered: {error.message}"
        log.warning(
            "session.lost manager=%s code=%s reason=%s", addr, error.code.name, error.message
        )

    def _on_news(self, addr: str, channel: Channel, news: News) -> None:
        if self.manager is None:
            self._failures = 0
            self._hints_followed = 0
            self.error = ""
            log.info("session.opened manager=%s", addr)
        self._session_id = news.session_id
        self._remotes.replace(news.managers)
        self._remotes.observe(addr, SUCCESS)
        self._on_message(news)
        if self.manager is None or self.manager.session_id != news.session_id:
            self._set_manager(Manager(addr, channel, news.session_id))

    def _set_manager(self, manager: Manager | None) -> None:
        if manager is None and self.manager is None:
            return
        self.manager = manager
        self._on_manager(manager)
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    def _on_tasks(
        self, updates: tuple[Task, ...], removed: tuple[TaskId, ...], complete: bool
    ) -> None:
        """Remember the services of tasks, for the context of their log lines."""
        if complete:
            self._services.clear()
        for task in updates:
            self._services[task.id] = task.service_id
        for task_id in removed:
            self._services.pop(task_id, None)
