"""Containers as processes: created, started, signalled, waited for, deleted.

Every method may be called again after a failure; what is there already, or gone already, is fine.
"""

from __future__ import annotations

from collections.abc import Callable

from swarmd.agent.executors.containerd.client import Client, is_missing, is_there_already
from swarmd.agent.executors.containerd.engine import Engine
from swarmd.agent.executors.containerd.files import STDERR, STDIN, STDOUT, ContainerFiles
from swarmd.agent.images.unpack import SNAPSHOTTER
from swarmd.model.errors import Code
from swarmd.model.ids import TaskId
from swarmd.rpc.errors import RpcError
from swarmd.rpc.pb.containerd import process_pb2, snapshots_pb2
from swarmd.rpc.pb.containerd import tasks_pb2 as pb

SIGKILL = 9


class RunningTasks:
    """The task service of a node's containerd, by task.

    Raises:
        RpcError, EngineDown: from any method.
    """

    def __init__(self, engine: Engine, files: Callable[[TaskId], ContainerFiles]) -> None:
        self._engine = engine
        self._files = files

    async def create(self, task_id: TaskId, *, tty: bool, open_stdin: bool = False) -> int:
        """Make the first process, which waits for `start`; returns its id.

        Args:
            open_stdin: what it reads from stays open, and is not at its end at once.
        """
        client = await self._engine.client()
        mounts = await client.snapshots.Mounts(
            snapshots_pb2.MountsRequest(snapshotter=SNAPSHOTTER, key=task_id)
        )
        files = self._files(task_id)
        request = pb.CreateTaskRequest(
            container_id=task_id,
            rootfs=mounts.mounts,
            stdin=files.pipe(STDIN) if open_stdin else "",
            stdout=files.pipe(STDOUT),
            stderr="" if tty else files.pipe(STDERR),
            terminal=tty,
        )
        try:
            answer = await client.tasks.Create(request)
        except RpcError as error:
            if not is_there_already(error):
                raise
            # Of an attempt that the daemon did not live to complete.
            await self.end_at_once(task_id)
            answer = await client.tasks.Create(request)
        pid: int = answer.pid
        return pid

    async def start(self, task_id: TaskId) -> None:
        client = await self._engine.client()
        await client.tasks.Start(pb.StartRequest(container_id=task_id))

    async def wait(self, task_id: TaskId) -> int:
        """Return the exit status, 128 and the number for a signal, once there is one."""
        client = await self._engine.client()
        answer = await client.tasks.Wait(pb.WaitRequest(container_id=task_id), timeout_s=None)
        code: int = answer.exit_status
        return code

    async def kill(self, task_id: TaskId, number: int, *, everything: bool = False) -> None:
        """Signal the first process, or everything in the container."""
        client = await self._engine.client()
        request = pb.KillRequest(container_id=task_id, signal=number, all=everything)
        try:
            await client.tasks.Kill(request)
        except RpcError as error:
            if not _is_over(error):
                raise

    async def resize(self, task_id: TaskId, rows: int, columns: int) -> None:
        """The size of the first process's terminal."""
        client = await self._engine.client()
        request = pb.ResizePtyRequest(container_id=task_id, width=columns, height=rows)
        await client.tasks.ResizePty(request)

    async def delete(self, task_id: TaskId) -> None:
        """End the shim of a task that has ended."""
        client = await self._engine.client()
        try:
            await client.tasks.Delete(pb.DeleteTaskRequest(container_id=task_id))
        except RpcError as error:
            if not is_missing(error):
                raise

    async def end_at_once(self, task_id: TaskId) -> None:
        """Kill and delete, in whatever state the task is; there may be none."""
        client = await self._engine.client()
        process = await self.find(client, task_id)
        if process is None:
            return
        if process.status != process_pb2.STOPPED:
            await self.kill(task_id, SIGKILL, everything=True)
            try:
                await client.tasks.Wait(pb.WaitRequest(container_id=task_id))
            except RpcError as error:
                if not is_missing(error):
                    raise
        await self.delete(task_id)

    async def find(self, client: Client, task_id: TaskId) -> process_pb2.Process | None:
        try:
            answer = await client.tasks.Get(pb.GetRequest(container_id=task_id))
        except RpcError as error:
            if is_missing(error):
                return None
            raise
        process: process_pb2.Process = answer.process
        return process


def _is_over(error: RpcError) -> bool:
    """Whether there was nothing left to signal."""
    finished = "process already finished" in error.message
    return is_missing(error) or (error.code is Code.FAILED_PRECONDITION) or finished
