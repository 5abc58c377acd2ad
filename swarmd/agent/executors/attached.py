"""Clients attached to a task: its own output as it comes, its input if it is open, its end.

The keeper passes output on (`keeper/taps.py`). Letting go of the session lets go of the task and
does nothing to it.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable

from swarmd.agent.executors.keeper_link import KeeperLink, KeeperLost
from swarmd.agent.executors.session import STDERR, STDOUT, NoSession, Session
from swarmd.model.ids import TaskId

LETTERS = {STDOUT: "o", STDERR: "e"}
LOST = 128 + signal.SIGKILL  # the exit code of a task that ended unseen


class Ending:
    """The end of a task, told to all who want to know."""

    def __init__(self) -> None:
        self._code: int | None = None
        self._waiting: list[asyncio.Future[int]] = []

    def told(self) -> asyncio.Future[int]:
        """The exit code, once there is one."""
        future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        if self._code is None:
            self._waiting = [one for one in self._waiting if not one.done()] + [future]
        else:
            future.set_result(self._code)
        return future

    def tell(self, code: int) -> None:
        self._code = code
        for future in self._waiting:
            if not future.done():
                future.set_result(code)
        self._waiting.clear()


class AttachedProcess:
    """Implements `session.Process` for the task itself, which the session may not end."""

    def __init__(
        self,
        over: asyncio.Future[int],
        *,
        send: Callable[[int], Awaitable[None]],
        resize: Callable[[int, int], Awaitable[None]] | None = None,
    ) -> None:
        self.over = over
        self._send = send
        self._resize = resize

    async def signal(self, number: int) -> None:
        if not self.over.done():
            await self._send(number)

    async def resize(self, rows: int, columns: int) -> None:
        if self._resize is not None:
            await self._resize(rows, columns)

    async def end_input(self) -> None:
        """Never asked for, see below."""

    async def close(self) -> None:
        """The task goes on; nobody waits for its end any more."""
        self.over.cancel()


async def attach(
    link: KeeperLink, task_id: TaskId, process: AttachedProcess, *, stdin: str, tty: bool
) -> Session:
    """Attach to a task whose output the keeper logs.

    Args:
        stdin: the pipe that the task reads from, to be written to; empty for none.

    Raises:
        NoSession
    """
    if "taps" not in link.facts.get("can", ()):
        raise NoSession(
            "the keeper of this node's tasks is of an earlier version that attaches nobody; it is "
            "replaced when its tasks have ended"
        )
    outlets: dict[int, int] = {}
    theirs: dict[str, int] = {}
    inlet: int | None = None
    try:
        for stream in (STDOUT,) if tty else (STDOUT, STDERR):
            outlets[stream], writer = os.pipe()
            os.set_blocking(outlets[stream], False)
            theirs[LETTERS[stream]] = writer
        if stdin:
            inlet = os.open(stdin, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        pipes = {f"/proc/{os.getpid()}/fd/{writer}": name for name, writer in theirs.items()}
        answer = await link.request("tap", id=task_id, pipes=pipes)
        if "error" in answer:
            raise NoSession(f"it cannot be attached to: {answer['error']['about']}")
    except BaseException as error:
        for descriptor in (*outlets.values(), *([] if inlet is None else [inlet])):
            os.close(descriptor)
        if isinstance(error, (OSError, KeeperLost)):
            raise NoSession(f"it cannot be attached to: {error}") from None
        raise
    finally:
        for descriptor in theirs.values():
            os.close(descriptor)
    return _Attached(process, inlet=inlet, outlets=outlets, tty=tty)


class _Attached(Session):
    """A session whose input never ends the task's."""

    async def end_input(self) -> None:
        """The task's input stays open for whoever attaches next."""
