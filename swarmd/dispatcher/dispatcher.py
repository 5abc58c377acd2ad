"""The dispatcher of one term of leadership: who is alive, who is to hear what, what to write down.

It ties the pure parts together: sessions and their deadlines, the streams of each node, and the
batches of reports. `service` puts gRPC in front of it. A new leader makes a new one; it knows
nothing but the store, and agents report everything again when they open their new session.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from msgspec.structs import replace

from swarmd.dispatcher.batch import Batch, Writer
from swarmd.dispatcher.core import timing
from swarmd.dispatcher.core.assignments import concerns_the_node
from swarmd.dispatcher.core.batching import Pacer
from swarmd.dispatcher.core.reports import (
    NodeWish,
    is_news,
    node_actions,
    orphaned,
    status_actions,
)
from swarmd.dispatcher.core.sessions import Lapse, Lapsed, Sessions, session_invalid
from swarmd.dispatcher.links import Link
from swarmd.dispatcher.messages import HeartbeatAnswers, ManagerPeer, session_message
from swarmd.model.cluster import DEFAULT_HEARTBEAT_NS, Cluster
from swarmd.model.defaults import HEARTBEAT_FLOOR_NS
from swarmd.model.env import Ids
from swarmd.model.errors import Code, Rejection, not_found
from swarmd.model.ids import NodeId, SessionId, TaskId
from swarmd.model.instant import HOUR, SECOND, Instant
from swarmd.model.mounts import images_of
from swarmd.model.node import Node, NodeDescription, NodeStatus
from swarmd.model.registry_login import login_id_for
from swarmd.model.secret import Secret
from swarmd.model.states import NodeState, TaskState
from swarmd.model.task import Task, TaskStatus
from swarmd.rpc.call import Line
from swarmd.rpc.pb import dispatcher as pb
from swarmd.rpc.relayed_line import RelayedLine
from swarmd.runtime.clock import Clock
from swarmd.store.changes import Change, Committed, Kind
from swarmd.store.store import Store

log = logging.getLogger(__name__)

STALL_S = 0.5


class Dispatcher:
    """Sessions, assignments and reports of all nodes while this manager leads.

    Args:
        managers: all managers that agents may call, this one included.
        leader_addr: where this manager serves its nodes, host:port.
    """

    def __init__(
        self,
        store: Store,
        writer: Writer,
        *,
        clock: Clock,
        ids: Ids,
        managers: Callable[[], Iterable[ManagerPeer]],
        leader_addr: Callable[[], str],
    ) -> None:
        self.store = store
        self.running = False
        self._clock = clock
        self._ids = ids
        self._managers = managers
        self._leader_addr = leader_addr
        self._sessions = Sessions(DEFAULT_HEARTBEAT_NS, heard=self._heard)
        self._answers = HeartbeatAnswers()
        self._links: dict[NodeId, Link] = {}
        self._dirty: dict[NodeId, int] = {}
        self._work = asyncio.Event()
        self._nodes: Batch[NodeId, NodeWish] = Batch(
            "dispatcher.nodes",
            lambda wishes: node_actions(wishes, store, Instant(clock.now())),
            writer=writer,
            clock=clock,
            pacer=Pacer(),
        )
        self._statuses: Batch[TaskId, TaskStatus] = Batch(
            "dispatcher.statuses",
            lambda statuses: status_actions(statuses, store),
            writer=writer,
            clock=clock,
            pacer=Pacer(),
        )

    async def run(self) -> None:
        """Dispatch until cancelled; then every stream ends and every call is refused."""
        self._recover()
        unsubscribe = self.store.subscribe(self._observe)
        self.running = True
        try:
            async with asyncio.TaskGroup() as loops:
                loops.create_task(self._nodes.run(), name="dispatcher.nodes")
                loops.create_task(self._statuses.run(), name="dispatcher.statuses")
                loops.create_task(self._watch_deadlines(), name="dispatcher.deadlines")
                loops.create_task(self._ring(), name="dispatcher.ring")
        finally:
            self.running = False
            unsubscribe()
            for link in self._links.values():
                link.end(Rejection(Code.ABORTED, "node must disconnect"))
            self._links.clear()

    def refresh(self) -> None:
        """The managers have changed: tell every node."""
        for link in self._links.values():
            link.tell()

    # --- what the service asks

    async def open(
        self, node_id: NodeId, session_id: str, *, addr: str, description: NodeDescription
    ) -> Link:
        """The node's session: the one it resumes, or a new one. Its READY is committed on return.

        Raises:
            Rejection: unknown node, too many registrations, or the dispatcher has stopped.
        """
        self.check_running()
        if self.store.find_node(node_id) is None:
            raise Rejection(Code.UNKNOWN, "node not found")
        if not self._sessions.holds(node_id, session_id):
            self._register(node_id)
        link = self._links[node_id]
        self._nodes.put(node_id, NodeWish(NodeState.READY, "", addr, description))
        await self._nodes.settled(node_id)
        if link.ended is not None:
            raise link.ended
        return link

    @contextmanager
    def attended(self, link: Link, line: Line | None) -> Iterator[None]:
        """The node has its Session stream open for as long as the block lasts.

        Args:
            line: the connection of the stream, if it can be watched.
        """
        attendance = object()
        link.attendance, link.line = attendance, line
        if line is not None:
            self._sessions.watch(link.node_id, link.session_id)
        try:
            yield
        finally:
            if link.attendance is attendance:
                last_sign = line.heard_at() if line is not None else None
                link.attendance = link.line = None
                self._sessions.hang_up(link.node_id, link.session_id, last_sign or self._now())

    def note_silence(self, node_id: NodeId, line: str, *, via: str, silent_ns: int) -> None:
        """The manager `via` tells of a machine whose session it relays; see `RelayedLine.note`.

        What concerns a stream that has ended by now is let pass.
        """
        link = self._links.get(node_id)
        known = link.line if link is not None else None
        if isinstance(known, RelayedLine) and known.is_called(line, via=via):
            known.note(silent_ns)
            self._sessions.look(node_id)

    def link_of(self, node_id: NodeId, session_id: str) -> Link:
        """Raises: Rejection when this is not the node's session."""
        self.check_running()
        self._sessions.check(node_id, session_id)
        return self._links[node_id]

    def beat(self, node_id: NodeId, session_id: str) -> bytes:
        """A heartbeat; the answer is a serialized `HeartbeatResponse`."""
        self.check_running()
        return self._answers.of(self._sessions.beat(node_id, session_id, self._now()))

    def report(self, node_id: NodeId, statuses: dict[TaskId, TaskStatus]) -> None:
        """Statuses of the node's tasks; they are committed soon.

        Raises:
            Rejection: PERMISSION_DENIED when a task isn't the node's; nothing is taken then.
        """
        tasks = {task_id: self.store.find_task(task_id) for task_id in statuses}
        for task in tasks.values():
            if task is not None and task.node_id != node_id:
                raise Rejection(
                    Code.PERMISSION_DENIED,
                    f"node {node_id} reported task {task.id}, which belongs to another node",
                )
        for task_id, status in statuses.items():
            task, waiting = tasks[task_id], self._statuses.find(task_id)
            if waiting is not None and waiting.state > status.state:
                continue
            if task is not None and is_news(task, status):
                self._statuses.put(task_id, status)

    async def leave(self, node_id: NodeId) -> None:
        """The node goes for good; its tasks are free to move when this returns."""
        self.check_running()
        if self.store.find_node(node_id) is None:
            raise not_found("node", node_id)
        self._sessions.leave(node_id, self._now())
        self._end(node_id, session_invalid())
        self._nodes.put(node_id, NodeWish(NodeState.DOWN, "left the swarm"))
        await self._nodes.settled(node_id)
        log.info("node.left node.id=%s", node_id)

    def message_for(self, link: Link) -> pb.SessionMessage:
        """What the node of a session has to know now."""
        cluster = self.store.find_cluster()
        node = self.store.find_node(link.node_id)
        if node is None:
            raise Rejection(Code.NOT_FOUND, "node not registered")
        return session_message(
            session_id=link.session_id,
            node=node,
            view=self.store,
            managers=self._managers(),
            root_ca=cluster.root_ca.ca_cert if cluster is not None else b"",
            leader_addr=self._leader_addr(),
        )

    def check_running(self) -> None:
        if not self.running:
            raise Rejection(Code.ABORTED, "dispatcher is stopped")

    # --- sessions

    def _now(self) -> Instant:
        return Instant(self._clock.monotonic())

    def _recover(self) -> None:
        """Expect the nodes of the former leader back, without writing anything yet."""
        now = self._now()
        self._sessions = Sessions(DEFAULT_HEARTBEAT_NS, heard=self._heard)
        self._set_period()
        for node in self.store.nodes():
            if node.status.state is NodeState.DOWN:
                self._sessions.expect_down(node.id, now)
            else:
                self._sessions.expect(node.id, now)

    def _register(self, node_id: NodeId) -> None:
        session_id = SessionId(self._ids.new())
        self._sessions.register(node_id, session_id, self._now())
        self._end(node_id, session_invalid())
        self._links[node_id] = Link(node_id, session_id)
        log.debug("session.opened node.id=%s", node_id)

    def _heard(self, node_id: NodeId) -> Instant | None:
        link = self._links.get(node_id)
        return link.line.heard_at() if link is not None and link.line is not None else None

    def _end(self, node_id: NodeId, reason: Rejection) -> None:
        link = self._links.pop(node_id, None)
        if link is not None:
            link.end(reason)

    def _set_period(self) -> None:
        cluster = self.store.find_cluster()
        period_ns = cluster.spec.dispatcher.heartbeat_period_ns if cluster else DEFAULT_HEARTBEAT_NS
        period_ns = timing.scaled_period_ns(
            max(period_ns, HEARTBEAT_FLOOR_NS), len(self.store.nodes())
        )
        self._sessions.set_period(period_ns)

    async def _watch_deadlines(self) -> None:
        """Notice silence, but never our own: time in which this process slept doesn't count.

        It looks when heartbeats are due as well, so that the process wakes once for both.
        """
        loop = asyncio.get_running_loop()
        while True:
            for lapsed in self._sessions.lapse(self._now()):
                self._lapse(lapsed)
            slot_ns = timing.slot_ns(self._sessions.period_ns)
            rest_s = (slot_ns - self._now() % slot_ns) / SECOND
            look_at = loop.time() + rest_s
            await asyncio.sleep(rest_s)
            late_s = loop.time() - look_at
            if late_s > STALL_S:
                log.warning("dispatcher.stalled seconds=%.1f", late_s)
                self._sessions.forgive(int(late_s * SECOND), self._now())

    def _lapse(self, lapsed: Lapsed) -> None:
        node_id = lapsed.node_id
        match lapsed.lapse:
            case Lapse.UNKNOWN:
                wish = NodeWish(NodeState.UNKNOWN, "not heard of since the leader changed")
                self._nodes.put(node_id, wish)
            case Lapse.DOWN:
                log.warning("node.down node.id=%s reason=heartbeat failure", node_id)
                self._end(node_id, session_invalid())
                self._nodes.put(node_id, NodeWish(NodeState.DOWN, "heartbeat failure"))
            case Lapse.ORPHANED:
                hours = timing.ORPHANED_AFTER_NS // HOUR
                log.warning("node.tasks_orphaned node.id=%s hours=%d", node_id, hours)
                status = TaskStatus(
                    state=TaskState.ORPHANED,
                    timestamp=Instant(self._clock.now()),
                    message="orphaned",
                    err=f"node {node_id} has been down for {hours} hours",
                )
                tasks = self.store.tasks_of_node(node_id)
                for task_id, orphan in orphaned(tasks, status).items():
                    self._statuses.put(task_id, orphan)

    # --- what was committed

    def _observe(self, committed: Committed) -> None:
        for change in committed.changes:
            match change.kind:
                case Kind.TASK:
                    self._task_changed(change)
                case Kind.NODE:
                    self._node_changed(change)
                case Kind.CLUSTER:
                    self._cluster_changed(change)
                case Kind.SECRET:
                    self._secret_changed(change)
                case Kind.SERVICE:
                    continue

    def _task_changed(self, change: Change) -> None:
        old = change.old if isinstance(change.old, Task) else None
        new = change.new if isinstance(change.new, Task) else None
        if (
            old is not None
            and new is not None
            and not concerns_the_node(old, new, self.store.login_version)
        ):
            return
        for task in (old, new):
            link = self._links.get(task.node_id) if task is not None and task.node_id else None
            if link is not None:
                link.note(TaskId(change.id))
                self._dirty[link.node_id] = self._dirty.get(link.node_id, 0) + 1
                self._work.set()

    def _secret_changed(self, change: Change) -> None:
        """Secrets don't change while tasks use them, but logins to registries do."""
        if not any(isinstance(row, Secret) and row.internal for row in (change.old, change.new)):
            return
        for link in self._links.values():
            for task in self.store.tasks_of_node(link.node_id):
                container = task.spec.container_spec
                images = images_of(container) if container is not None else ()
                if any(login_id_for(image) == change.id for image in images):
                    link.note(task.id)
                    self._dirty[link.node_id] = self._dirty.get(link.node_id, 0) + 1
                    self._work.set()

    def _node_changed(self, change: Change) -> None:
        node_id = NodeId(change.id)
        if change.new is None:
            self._sessions.forget(node_id)
            self._end(node_id, Rejection(Code.NOT_FOUND, "node not registered"))
        elif isinstance(change.old, Node) and isinstance(change.new, Node):
            link = self._links.get(node_id)
            if link is not None and _for_the_node(change.old) != _for_the_node(change.new):
                link.tell()
        if change.new is None or change.old is None:
            self._set_period()

    def _cluster_changed(self, change: Change) -> None:
        self._set_period()
        known = [
            (
                cluster.root_ca.ca_cert,
                cluster.spec.registry_mirrors,
                cluster.network_bootstrap_keys,
            )
            for cluster in (change.old, change.new)
            if isinstance(cluster, Cluster)
        ]
        if len(set(known)) > 1:
            self.refresh()

    async def _ring(self) -> None:
        """Wake streams with changed tasks: at once when little happens, together when much does."""
        pacer = Pacer()
        while True:
            await self._work.wait()
            due = pacer.due(self._now())
            await asyncio.sleep(max(due - self._now(), 0) / SECOND)
            self._work.clear()
            dirty, self._dirty = self._dirty, {}
            for node_id in dirty:
                link = self._links.get(node_id)
                if link is not None:
                    link.ring()
            pacer.sent(sum(dirty.values()), self._now())


def _for_the_node(node: Node) -> Node:
    """The part of a node object that its agent acts on; the rest came from itself."""
    return replace(node, version=0, updated_at=Instant(0), status=NodeStatus(), description=None)
