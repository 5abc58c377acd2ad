"""Commands beside a process task: pipes or a terminal made here, the process made by the keeper."""

from __future__ import annotations

import asyncio
import fcntl
import os
import signal
import struct
import termios
from collections.abc import Mapping
from typing import Any

from swarmd.agent.executors.keeper_link import KeeperLink, KeeperLost
from swarmd.agent.executors.session import STDERR, STDOUT, Command, NoSession, Session
from swarmd.model.ids import TaskId
from swarmd.runtime.chance import RandomIds

SESSIONS_SINCE = 3  # version of the protocol with the keeper


async def run_beside(
    link: KeeperLink, task_id: TaskId, command: Command, launch: Mapping[str, Any], hostname: str
) -> Session:
    """Run a command beside a task.

    Args:
        launch: who runs it where and with which environment, in the keeper's words.

    Raises:
        NoSession
    """
    if link.facts.get("protocol", 0) < SESSIONS_SINCE:
        raise NoSession(
            "the keeper of this node's tasks is of an earlier version that runs no commands beside "
            "them; it is replaced when its tasks have ended"
        )
    streams = _Terminal(command) if command.tty else _Pipes(command)
    name = RandomIds().new()
    over = link.follow(name)
    process = _KeptProcess(link, name, over, terminal=streams.terminal)
    session = Session(process, inlet=streams.inlet, outlets=streams.outlets, tty=command.tty)
    started = False
    try:
        answer = await link.request(
            "exec",
            id=task_id,
            session=name,
            argv=command.argv,
            streams=streams.theirs,
            tty=command.tty,
            **launch,
        )
        if "error" in answer:
            raise NoSession(_failure(answer["error"], command, hostname))
        started = True
    except KeeperLost as error:
        raise NoSession(str(error)) from None
    finally:
        streams.close_theirs()
        if not started:
            await session.close()
            link.unfollow(name)
    return session


class _Pipes:
    """Separate streams; without input the command finds its end at once."""

    terminal: int | None = None

    def __init__(self, command: Command) -> None:
        self._theirs: list[int] = []
        self.inlet: int | None = None
        self.outlets: dict[int, int] = {}
        self.theirs: list[tuple[str, str]] = [("/dev/null", "r")]
        if command.stdin:
            theirs, self.inlet = os.pipe()
            self._theirs.append(theirs)
            self.theirs = [(_path(theirs), "r")]
        for stream in (STDOUT, STDERR):
            self.outlets[stream], theirs = os.pipe()
            self._theirs.append(theirs)
            self.theirs.append((_path(theirs), "w"))
        for descriptor in (*self.outlets.values(), *([self.inlet] if command.stdin else [])):
            if descriptor is not None:
                os.set_blocking(descriptor, False)

    def close_theirs(self) -> None:
        for descriptor in self._theirs:
            os.close(descriptor)


class _Terminal:
    """One pseudo-terminal for everything."""

    def __init__(self, command: Command) -> None:
        self.terminal, self._slave = os.openpty()
        if command.rows and command.columns:
            set_size(self.terminal, command.rows, command.columns)
        os.set_blocking(self.terminal, False)
        self.inlet: int | None = self.terminal
        self.outlets = {STDOUT: self.terminal}
        self.theirs = [(_path(self._slave), "rw")] * 3

    def close_theirs(self) -> None:
        os.close(self._slave)


class _KeptProcess:
    """Implements `session.Process` for a child of the keeper."""

    def __init__(
        self, link: KeeperLink, name: str, over: asyncio.Future[int], *, terminal: int | None
    ) -> None:
        self.over = over
        self._link = link
        self._name = name
        self._terminal = terminal

    async def signal(self, number: int) -> None:
        self._link.tell("signal", session=self._name, signal=number)

    async def resize(self, rows: int, columns: int) -> None:
        if self._terminal is not None:
            set_size(self._terminal, rows, columns)

    async def end_input(self) -> None:
        """Closing the pipe says it all."""

    async def close(self) -> None:
        if not self.over.done():
            await self.signal(signal.SIGKILL)


def set_size(terminal: int, rows: int, columns: int) -> None:
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


def _path(descriptor: int) -> str:
    return f"/proc/{os.getpid()}/fd/{descriptor}"


def _failure(report: Mapping[str, Any], command: Command, hostname: str) -> str:
    step, number, about = report["step"], report["errno"], report["about"]
    reason = os.strerror(number) if number else about
    if step == "task":
        return "the task does not run"
    if step == "command":
        return f"command {command.argv[0]} cannot be run on node {hostname}: {reason}"
    return f"the command could not be started on node {hostname} ({step} {about}): {reason}"
