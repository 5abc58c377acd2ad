"""Commands beside a container's first process: made by containerd, their streams named pipes.

The pipes are held open at both ends, so they never seem to have ended; a session has ended when
containerd has deleted its process, which it does when all output is in the pipes. Whatever becomes
of the daemon, the directory of pipes goes with the container's; the next daemon ends what is left.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from swarmd.agent.executors.containerd.client import Client, is_missing
from swarmd.agent.executors.containerd.engine import Engine, EngineDown
from swarmd.agent.executors.containerd.files import ContainerFiles, layers, read_from_layers
from swarmd.agent.executors.session import STDERR, STDOUT, Command, NoSession, Session
from swarmd.agent.images.unpack import SNAPSHOTTER
from swarmd.agent.oci import users
from swarmd.model.ids import TaskId
from swarmd.rpc.errors import RpcError
from swarmd.rpc.pb.containerd import containers_pb2, snapshots_pb2
from swarmd.rpc.pb.containerd import tasks_pb2 as pb
from swarmd.runtime.chance import RandomIds

log = logging.getLogger(__name__)

PROCESS_TYPE_URL = "types.containerd.io/opencontainers/runtime-spec/1/Process"
SESSIONS = "sessions"
LOST = 128 + signal.SIGKILL
Spawn = Callable[..., "asyncio.Task[None]"]


class Sessions:
    """Runs commands in the containers of one node.

    Args:
        spawn: does work in the background for as long as the executor is open.
    """

    def __init__(
        self, engine: Engine, files: Callable[[TaskId], ContainerFiles], spawn: Spawn
    ) -> None:
        self._engine = engine
        self._files = files
        self._spawn = spawn

    async def run(self, task_id: TaskId, command: Command, groups: tuple[str, ...]) -> Session:
        """Run a command in a container; `groups` are those of the task besides its user's.

        Raises:
            NoSession
        """
        name = RandomIds().new()
        try:
            client = await self._engine.client()
            process = await _process(client, task_id, command, groups)
            pipes = await asyncio.to_thread(
                _Pipes, self._files(task_id).directory / SESSIONS / name, command
            )
        except (EngineDown, RpcError, OSError, users.UnknownUser) as error:
            raise NoSession(f"the command could not be started: {error}") from None
        handle = _ContainedProcess(self._engine, task_id, name)
        session = Session(handle, inlet=pipes.inlet, outlets=pipes.outlets, tty=command.tty)
        request = pb.ExecProcessRequest(
            container_id=task_id,
            exec_id=name,
            stdin=pipes.path("stdin") if command.stdin else "",
            stdout=pipes.path("stdout"),
            stderr="" if command.tty else pipes.path("stderr"),
            terminal=command.tty,
        )
        request.spec.type_url = PROCESS_TYPE_URL
        request.spec.value = json.dumps(process).encode()
        started = False
        try:
            await client.tasks.Exec(request)
            await client.tasks.Start(pb.StartRequest(container_id=task_id, exec_id=name))
            started = True
        except RpcError as error:
            raise NoSession(f"the command could not be started: {error.message}") from None
        finally:
            if started:
                self._spawn(self._see_out(handle, pipes), name=f"exec.{name}")
            else:
                handle.over.set_result(LOST)
                await session.close()
                pipes.remove()
                self._spawn(self._delete(task_id, name), name=f"exec.{name}")
        if command.rows and command.columns:
            await session.resize(command.rows, command.columns)
        return session

    def end_leftovers(self, task_id: TaskId) -> None:
        """End commands that an earlier run of the daemon did not live to see out."""
        directory = self._files(task_id).directory / SESSIONS
        for name in os.listdir(directory) if directory.exists() else ():
            self._spawn(self._end(task_id, name, directory / name), name=f"exec.{name}")

    async def _end(self, task_id: TaskId, name: str, directory: Path) -> None:
        process = _ContainedProcess(self._engine, task_id, name)
        await process.close()
        with contextlib.suppress(RpcError, EngineDown):  # it may be gone already
            client = await self._engine.client()
            await client.tasks.Wait(pb.WaitRequest(container_id=task_id, exec_id=name))
        await self._delete(task_id, name)
        await asyncio.to_thread(shutil.rmtree, directory, ignore_errors=True)

    async def _see_out(self, process: _ContainedProcess, pipes: _Pipes) -> None:
        code = LOST
        try:
            client = await self._engine.client()
            request = pb.WaitRequest(container_id=process.task_id, exec_id=process.name)
            code = (await client.tasks.Wait(request, timeout_s=None)).exit_status
            await self._delete(process.task_id, process.name)
        except (RpcError, EngineDown) as error:
            log.warning("exec.lost task.id=%s reason=%s", process.task_id, error)
        finally:
            if not process.over.done():
                process.over.set_result(code)
        # Not when cancelled: by these pipes the next daemon knows what there is to end.
        pipes.remove()

    async def _delete(self, task_id: TaskId, name: str) -> None:
        try:
            client = await self._engine.client()
            request = pb.DeleteProcessRequest(container_id=task_id, exec_id=name)
            await client.tasks.DeleteProcess(request)
        except EngineDown as error:
            log.warning("exec.undeleted task.id=%s reason=%s", task_id, error)
        except RpcError as error:
            if not is_missing(error):
                log.warning("exec.undeleted task.id=%s reason=%s", task_id, error.message)


class _Pipes:
    """A directory of named pipes; blocks a moment.

    Raises:
        OSError: nothing stays behind.
    """

    def __init__(self, directory: Path, command: Command) -> None:
        self._directory = directory
        self.inlet: int | None = None
        self.outlets: dict[int, int] = {}
        directory.mkdir(mode=0o700, parents=True)
        try:
            if command.stdin:
                self.inlet = self._make("stdin")
            self.outlets[STDOUT] = self._make("stdout")
            if not command.tty:
                self.outlets[STDERR] = self._make("stderr")
        except OSError:
            for descriptor in (self.inlet, *self.outlets.values()):
                if descriptor is not None:
                    os.close(descriptor)
            self.remove()
            raise

    def path(self, stream: str) -> str:
        return str(self._directory / stream)

    def remove(self) -> None:
        shutil.rmtree(self._directory, ignore_errors=True)

    def _make(self, stream: str) -> int:
        os.mkfifo(self.path(stream), 0o600)
        return os.open(self.path(stream), os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)


class _ContainedProcess:
    """Implements `session.Process` for a process that containerd made."""

    def __init__(self, engine: Engine, task_id: TaskId, name: str) -> None:
        self.over: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self.task_id = task_id
        self.name = name
        self._engine = engine

    async def signal(self, number: int) -> None:
        if not self.over.done():
            await self._ask("Kill", pb.KillRequest(**self._ids, signal=number))

    async def resize(self, rows: int, columns: int) -> None:
        await self._ask("ResizePty", pb.ResizePtyRequest(**self._ids, width=columns, height=rows))

    async def end_input(self) -> None:
        await self._ask("CloseIO", pb.CloseIORequest(**self._ids, stdin=True))

    async def close(self) -> None:
        await self.signal(signal.SIGKILL)

    @property
    def _ids(self) -> dict[str, Any]:
        return {"container_id": self.task_id, "exec_id": self.name}

    async def _ask(self, method: str, request: Any) -> None:
        """A request to a process that may be gone, or its containerd with it."""
        with contextlib.suppress(RpcError, EngineDown):
            client = await self._engine.client()
            await getattr(client.tasks, method)(request)


async def _process(
    client: Client, task_id: TaskId, command: Command, groups: tuple[str, ...]
) -> dict[str, Any]:
    """The container's own process with what the command has different."""
    request = containers_pb2.GetContainerRequest(id=task_id)
    container = (await client.containers.Get(request)).container
    process: dict[str, Any] = json.loads(container.spec.value)["process"]
    process["args"] = list(command.argv)
    process["terminal"] = command.tty
    process["env"] = [*process.get("env", ()), *command.env]
    if command.directory:
        process["cwd"] = command.directory
    if command.user:
        mounts = await client.snapshots.Mounts(
            snapshots_pb2.MountsRequest(snapshotter=SNAPSHOTTER, key=task_id)
        )
        found = await asyncio.to_thread(_account, command.user, groups, layers(mounts.mounts))
        process["user"] = {
            "uid": found.uid,
            "gid": found.gid,
            "additionalGids": list(found.groups),
        }
    return process


def _account(user: str, groups: tuple[str, ...], directories: list[str]) -> users.ImageAccount:
    return users.look_up(
        user,
        groups,
        passwd=read_from_layers(directories, "passwd"),
        group=read_from_layers(directories, "group"),
    )
