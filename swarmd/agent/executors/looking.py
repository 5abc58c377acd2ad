"""Sessions without a command of the user's: what a task uses, its processes, its files."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import swarmd
from swarmd.agent.executors.session import STDERR, STDOUT, Chunk, NoSession, Session
from swarmd.agent.executors.usage import Subject, processes, subject, usage
from swarmd.runtime.supervise import Supervisor

INTERVAL_S = 1.0


class Telling:
    """Implements the session of a client that is only told something, in lines of JSON."""

    def __init__(self, lines: AsyncIterator[object]) -> None:
        self._lines = lines

    async def read(self) -> Chunk | None:
        async for line in self._lines:
            return Chunk(STDOUT, json.dumps(line).encode() + b"\n")
        return None

    async def wait(self) -> int:
        return 0

    async def write(self, data: bytes) -> None:
        """There is nobody to read it."""

    async def end_input(self) -> None: ...

    async def signal(self, number: int) -> None: ...

    async def resize(self, rows: int, columns: int) -> None: ...

    async def close(self) -> None: ...


async def stats(pid: int, task_id: str, *, once: bool) -> AsyncIterator[object]:
    """What a task uses: at once, and then each second for as long as it is asked for."""
    of = await asyncio.to_thread(subject, pid, task_id)
    while Path(f"/proc/{pid}").exists():
        yield await asyncio.to_thread(usage, of)
        if once:
            return
        await asyncio.sleep(INTERVAL_S)


async def top(pid: int, task_id: str) -> AsyncIterator[object]:
    """The task's processes."""

    def look() -> object:
        of: Subject = subject(pid, task_id)
        return processes(of)

    yield await asyncio.to_thread(look)


async def copy(
    pid: int, path: str, *, into: bool, keep_owner: bool, follow: bool, ended: Supervisor
) -> Session:
    """A program that copies files as the task sees them.

    Args:
        ended: sees the program to its end.

    Raises:
        NoSession
    """
    request = {
        "root": f"/proc/{pid}/root",
        "path": path,
        "into": into,
        "keep_owner": keep_owner,
        "follow": follow,
    }
    pairs = [os.pipe() for _ in range(3)]
    (their_in, inlet), (out, their_out), (err, their_err) = pairs
    try:
        program = await asyncio.create_subprocess_exec(
            sys.executable, "-I", "-c",
            f"import sys; sys.path.insert(0, {str(Path(swarmd.__file__).parents[1])!r}); "
            "from swarmd.agent.executors.copier import main; main()",
            json.dumps(request),
            stdin=their_in, stdout=their_out, stderr=their_err,
            env={"PATH": os.defpath, "LC_ALL": "C.UTF-8"},
        )  # fmt: skip
    except OSError as error:
        for descriptor in (inlet, out, err):
            os.close(descriptor)
        raise NoSession(f"files cannot be copied: {error}") from None
    finally:
        for descriptor in (their_in, their_out, their_err):
            os.close(descriptor)
    for descriptor in (inlet, out, err):
        os.set_blocking(descriptor, False)
    process = _Program(program)
    ended.spawn(process.see_out(), name=f"copy.{program.pid}")
    return Session(process, inlet=inlet, outlets={STDOUT: out, STDERR: err}, tty=False)


class _Program:
    """Implements `session.Process` for a child of this process."""

    def __init__(self, program: asyncio.subprocess.Process) -> None:
        self.over: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._program = program

    async def see_out(self) -> None:
        try:
            code = await self._program.wait()
            self.over.set_result(code if code >= 0 else 128 - code)
        finally:
            await self.close()

    async def signal(self, number: int) -> None:
        if self._program.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._program.send_signal(number)

    async def resize(self, rows: int, columns: int) -> None: ...

    async def end_input(self) -> None: ...

    async def close(self) -> None:
        await self.signal(signal.SIGKILL)
