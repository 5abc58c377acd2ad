"""What is done with this node's tasks for whoever asked the leader to: commands beside them, their
streams, what they use, their files.

The node listens at the manager of its session for orders; each is served by a call of its own. A
call that ends, for whatever reason, ends its command, and a command its call, unless the client has
let go of it: then it goes on for as long as the task and this daemon do. Nothing here touches the
task, but for what a client attached to it says and sends.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable
from typing import Any, Protocol

from swarmd.agent.executors.looking import Telling, copy, stats, top
from swarmd.agent.executors.session import STDERR, Access, Chunk, Command, NoSession
from swarmd.agent.listening import Listener
from swarmd.model.env import Rng
from swarmd.model.ids import TaskId
from swarmd.rpc.errors import RpcError
from swarmd.rpc.pb import exec_ as pb

log = logging.getLogger(__name__)

SIGNAL_MAX = 64
SIZE_MAX = 65_535


class Tasks(Protocol):
    """The tasks of the node; see `swarmd.agent.worker.Worker`."""

    def access(self, task_id: TaskId) -> Access:
        """The way into a task; raises NoSession."""
        ...


class Conversation(Protocol):
    """What a client speaks to; see `swarmd.agent.executors.session.Session`."""

    async def read(self) -> Chunk | None: ...
    async def write(self, data: bytes) -> None: ...
    async def end_input(self) -> None: ...
    async def signal(self, number: int) -> None: ...
    async def resize(self, rows: int, columns: int) -> None: ...
    async def wait(self) -> int: ...
    async def close(self) -> None: ...


class CommandServer:
    """Serves orders of whichever manager it follows; see `Listener` for `follow` and `run`."""

    def __init__(self, worker: Tasks, *, rng: Rng) -> None:
        self._worker = worker
        self._listener = Listener(
            "commands",
            listen=lambda broker: broker.Listen(pb.ExecListenRequest()),
            serve=self._serve,
            rng=rng,
        )
        self.follow = self._listener.follow
        self.run = self._listener.run

    async def _serve(self, broker: Any, order: pb.ExecOrder) -> None:
        log.info(
            "command.ordered session=%s task.id=%s caller=%s what=%s program=%s",
            order.session_id, order.task_id, order.caller,
            order.WhichOneof("what"), "".join(order.command.argv[:1]),
        )  # fmt: skip
        try:
            async with await broker.Serve() as call:
                await call.send(pb.ExecOutput(session_id=order.session_id))
                try:
                    session = await self._begin(order)
                except NoSession as error:
                    await _conclude(call, pb.ExecOutput(error=str(error)))
                    return
                detached = False
                try:
                    detached = await converse(session, call)
                finally:
                    if not detached:
                        await session.close()
                if detached:
                    name = f"left.{order.session_id}"
                    self._listener.tasks.spawn(_see_out(session), name=name)
        except RpcError as error:
            log.info("command.cut_off session=%s reason=%s", order.session_id, error.message)

    async def _begin(self, order: pb.ExecOrder) -> Conversation:
        task_id = TaskId(order.task_id)
        access = self._worker.access(task_id)
        what = order.WhichOneof("what")
        if what == "command":
            return await access.run(command_of(order.command))
        if not access.pid:
            raise NoSession("the task does not run")
        match what:
            case "attach":
                session = await access.attach(stdin=order.attach.stdin)
                rows, columns = order.attach.rows, order.attach.columns
                if rows and columns:
                    await session.resize(min(rows, SIZE_MAX), min(columns, SIZE_MAX))
                return session
            case "stats":
                return Telling(stats(access.pid, task_id, once=order.stats.once))
            case "top":
                return Telling(top(access.pid, task_id))
            case "copy":
                return await copy(
                    access.pid,
                    order.copy.path,
                    into=order.copy.into,
                    keep_owner=order.copy.keep_owner,
                    follow=order.copy.follow,
                    ended=self._listener.tasks,
                )
        raise NoSession("this node is of a version that can't do that")


async def converse(session: Conversation, call: Any) -> bool:
    """Pass everything both ways until the command or the call has ended.

    Returns:
        Whether the client has let go of the command, which goes on.

    Raises:
        RpcError: the call was lost.
    """
    await call.send(pb.ExecOutput(started=True))
    async with asyncio.TaskGroup() as tasks:
        hearing = tasks.create_task(_outcome(_hear(call, session)))
        speaking = tasks.create_task(_outcome(_speak(session, call)))
        await asyncio.wait({hearing, speaking}, return_when=asyncio.FIRST_COMPLETED)
        for task in (hearing, speaking):
            task.cancel()
    for task in (hearing, speaking):
        if task.cancelled():
            continue
        match task.result():
            case RpcError() as error:
                raise error
            case Detached():
                await _conclude(call, pb.ExecOutput(detached=True))
                return True
    if not speaking.cancelled():
        await _conclude(call, pb.ExecOutput(exit_code=await session.wait()))
    return False


class Detached(Exception):
    """The client lets go."""


async def _see_out(session: Conversation) -> None:
    """Let a command that nobody listens to come to its end."""
    try:
        while await session.read() is not None:
            continue
        await session.wait()
    finally:
        await session.close()


async def _speak(session: Conversation, call: Any) -> None:
    while (chunk := await session.read()) is not None:
        if chunk.stream == STDERR:
            await call.send(pb.ExecOutput(stderr=chunk.data))
        else:
            await call.send(pb.ExecOutput(stdout=chunk.data))
    await session.wait()


async def _hear(call: Any, session: Conversation) -> None:
    """Hand on what the client says; returns when the call is over."""
    async for message in call:
        match message.WhichOneof("what"):
            case "data":
                await session.write(message.data)
            case "end":
                await session.end_input()
            case "resize":
                rows, columns = message.resize.rows, message.resize.columns
                await session.resize(min(rows, SIZE_MAX), min(columns, SIZE_MAX))
            case "signal" if 0 < message.signal <= SIGNAL_MAX:
                await session.signal(message.signal)
            case "detach":
                raise Detached
            case _:
                continue  # of a later version


async def _outcome(work: Awaitable[None]) -> RpcError | Detached | None:
    """How the work ended; kept out of the group, which would wrap it."""
    try:
        await work
    except (RpcError, Detached) as error:
        return error
    return None


async def _conclude(call: Any, last: pb.ExecOutput) -> None:
    """Say the last word and wait until it was heard."""
    await call.send(last)
    call.done_sending()
    while await call.receive() is not None:
        continue  # input that came too late


def command_of(message: pb.ExecCommand) -> Command:
    return Command(
        argv=tuple(message.argv),
        env=tuple(message.env),
        directory=message.directory,
        user=message.user,
        tty=message.tty,
        stdin=message.stdin,
        rows=min(message.rows, SIZE_MAX),
        columns=min(message.columns, SIZE_MAX),
    )
