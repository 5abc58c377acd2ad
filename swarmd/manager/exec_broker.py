"""What is done with running tasks, on the leader: a client's call tied to one of the task's node.

    client ── Run ──► session ──order──► Listen ── node
              ◄──────────┴───────────── Serve ────┘

Nodes call managers and are not called, so the node is told by its `Listen` stream and calls back.
Messages pass through two short pipes: who reads slowly slows down who writes, on all three
machines. Either call's end ends the other. When leadership ends, so do all sessions.

Every command leaves a line in the log and an event on its task before it runs; without the event
it doesn't run. So does attaching to a task, looking at what it does, and copying its files.
"""

from __future__ import annotations

import asyncio
import logging
import shlex
from collections.abc import AsyncIterator
from typing import Any

from swarmd.dispatcher.batch import Writer
from swarmd.manager.pipe import Pipe
from swarmd.model.env import Ids
from swarmd.model.errors import Code, Rejection, invalid, out_of_sequence
from swarmd.model.ids import NodeId, TaskId
from swarmd.model.states import TaskState
from swarmd.model.task import Task
from swarmd.rpc.call import Call
from swarmd.rpc.pb import exec_ as pb
from swarmd.runtime.supervise import Supervisor
from swarmd.runtime.timeouts import timeout
from swarmd.store.changes import Transaction, Update
from swarmd.store.store import Store

log = logging.getLogger(__name__)

EXEC = "swarmd.v1.Exec"
EXEC_BROKER = "swarmd.v1.ExecBroker"
SESSIONS_MAX = 256
CALL_BACK_S = 10.0
AUDIT_ATTEMPTS = 5
COMMAND_LENGTH_MAX = 200


class _Session:
    """One command, from a client's call to the end of the node's."""

    def __init__(self, session_id: str, node_id: NodeId) -> None:
        self.id = session_id
        self.node_id = node_id
        self.served = asyncio.Event()
        self.inputs: Pipe[pb.ExecInput] = Pipe()
        self.outputs: Pipe[pb.ExecOutput] = Pipe()


class ExecBroker:
    """Implements `swarmd.v1.Exec` and `swarmd.v1.ExecBroker`."""

    def __init__(self, store: Store, writer: Writer, *, ids: Ids, own_node_id: NodeId) -> None:
        self._store = store
        self._writer = writer
        self._ids = ids
        self._own_node_id = own_node_id
        self._sessions: dict[str, _Session] = {}
        self._listeners: dict[NodeId, list[Pipe[pb.ExecOrder]]] = {}
        self._pumps = Supervisor("exec")

    def stop(self) -> None:
        """End all sessions and streams: clients and agents have to find the next leader."""
        reason = Rejection(Code.ABORTED, "the leader of the swarm has changed; run it again")
        for session in self._sessions.values():
            session.inputs.end(reason)
            session.outputs.end(reason)
        for listeners in self._listeners.values():
            for listener in listeners:
                listener.end(reason)

    # --- Exec: clients

    async def Run(
        self, call: Call, requests: AsyncIterator[pb.ExecInput]
    ) -> AsyncIterator[pb.ExecOutput]:
        """Do something with a running task, and pass streams both ways until it ends."""
        start = (await _first(requests)).start
        words = _words(start)
        task = self._find(TaskId(start.task_id))
        caller = self._caller(call)
        if len(self._sessions) >= SESSIONS_MAX:
            raise Rejection(
                Code.RESOURCE_EXHAUSTED,
                f"{SESSIONS_MAX} clients are busy with tasks already; end one and try again",
            )
        session = _Session(self._ids.new(), task.node_id)
        self._sessions[session.id] = session
        pump = None
        try:
            await self._note(task.id, caller, words)
            log.info(
                "exec.began session=%s task.id=%s node.id=%s caller=%s what=%s",
                session.id, task.id, task.node_id, caller, words,
            )  # fmt: skip
            await self._order(session, task, start, caller)
            pump = self._pumps.spawn(_pump(requests, session.inputs), name=f"in.{session.id}")
            async for output in session.outputs:
                yield output
                if output.WhichOneof("what") in ("exit_code", "error", "detached"):
                    return
            raise Rejection(
                Code.UNAVAILABLE, f"node {task.node_id} was lost, and the command with it"
            )
        finally:
            del self._sessions[session.id]
            session.inputs.end()
            session.outputs.end()
            if pump is not None:
                pump.cancel()
            log.info("exec.ended session=%s task.id=%s", session.id, task.id)

    # --- ExecBroker: nodes

    async def Listen(
        self, call: Call, request: pb.ExecListenRequest
    ) -> AsyncIterator[pb.ExecOrder]:
        """Orders for the calling node."""
        node_id = self._caller(call)
        orders: Pipe[pb.ExecOrder] = Pipe()
        self._listeners.setdefault(node_id, []).append(orders)
        try:
            async for order in orders:
                yield order
        finally:
            remaining = self._listeners[node_id]
            remaining.remove(orders)
            if not remaining:
                del self._listeners[node_id]

    async def Serve(
        self, call: Call, requests: AsyncIterator[pb.ExecOutput]
    ) -> AsyncIterator[pb.ExecInput]:
        """One order, carried out by the calling node."""
        session_id = (await _first(requests)).session_id
        session = self._sessions.get(session_id)
        node_id = self._caller(call)
        if session is None or session.node_id != node_id or session.served.is_set():
            raise Rejection(Code.NOT_FOUND, f"session {session_id} not found")
        session.served.set()
        pump = self._pumps.spawn(_pump(requests, session.outputs), name=f"out.{session.id}")
        try:
            async for message in session.inputs:
                yield message
            # The command may still have something to say after its input has ended.
            await session.outputs.ended()
        finally:
            session.outputs.end()
            pump.cancel()

    # --- inside

    def _find(self, task_id: TaskId) -> Task:
        task = self._store.find_task(task_id)
        if task is None:
            raise Rejection(Code.NOT_FOUND, f"task {task_id} not found")
        if not TaskState.STARTING <= task.status.state <= TaskState.RUNNING:
            raise Rejection(
                Code.FAILED_PRECONDITION,
                f"task {task_id} is {task.status.state.word}, and this takes one that runs",
            )
        return task

    async def _order(
        self, session: _Session, task: Task, start: pb.ExecStart, caller: NodeId
    ) -> None:
        """Tell the node, and wait until it has called back."""
        listeners = self._listeners.get(task.node_id)
        if not listeners:
            raise Rejection(
                Code.UNAVAILABLE, f"node {task.node_id} is not connected to the leader just now"
            )
        order = pb.ExecOrder(session_id=session.id, task_id=task.id, caller=caller)
        what = start.WhichOneof("what")
        getattr(order, what).CopyFrom(getattr(start, what))
        await listeners[-1].put(order)
        try:
            async with timeout(CALL_BACK_S):
                await session.served.wait()
        except TimeoutError:
            raise Rejection(
                Code.UNAVAILABLE, f"node {task.node_id} did not answer within {CALL_BACK_S:g} s"
            ) from None

    async def _note(self, task_id: TaskId, caller: NodeId, words: str) -> None:
        """Put what is done among the events of the swarm."""
        what, _, details = words.partition(": ")
        reason = f"{what} from node {caller}" + (f": {details}" if details else "")
        for attempt in range(AUDIT_ATTEMPTS):
            task = self._find(task_id)
            try:
                await self._writer.submit(
                    Transaction((Update(task, base=task.version, reason=reason),))
                )
            except Rejection as rejection:
                # The task may have changed meanwhile, as it does when it has just started.
                if attempt == AUDIT_ATTEMPTS - 1 or rejection != out_of_sequence():
                    raise
            else:
                return

    def _caller(self, call: Call) -> NodeId:
        return NodeId(call.node_id) if call.node_id else self._own_node_id


async def _first(requests: AsyncIterator[Any]) -> Any:
    async for request in requests:
        return request
    raise invalid("the call ended before it had begun")


async def _pump(requests: AsyncIterator[Any], pipe: Pipe[Any]) -> None:
    try:
        async for request in requests:
            await pipe.put(request)
    except Rejection as rejection:
        pipe.end(rejection)
    else:
        pipe.end()


def _words(start: pb.ExecStart) -> str:
    """What is done with a task, and after a colon the details, for events and the log.

    Raises:
        Rejection: it is nothing that can be done.
    """
    match start.WhichOneof("what"):
        case "command":
            if not start.command.argv or not start.command.argv[0]:
                raise invalid("there is no command to run")
            return f"command run beside it: {_shown(shlex.join(start.command.argv))}"
        case "attach":
            return "attached to"
        case "stats":
            return "looked at what it uses"
        case "top":
            return "looked at its processes"
        case "copy":
            if not start.copy.path:
                raise invalid("no path was given to copy from or to")
            way = "into it" if start.copy.into else "from it"
            return f"files copied {way}: {_shown(start.copy.path)}"
    raise invalid("there is nothing to do with the task; is the client of a later version?")


def _shown(words: str) -> str:
    return words if len(words) <= COMMAND_LENGTH_MAX else words[: COMMAND_LENGTH_MAX - 1] + "…"
