"""A command run beside a task: in its namespaces and cgroup, as its user, on streams of the daemon.

    starting ──exec──► running ──exit──► over (told to the connection that asked)
        └──exec failed──► (answered with the reason)

The streams stay the daemon's: the child opens them below /proc, so they have no name that could be
left behind. A session ends with its task, by the task's cgroup or mark, and with the connection
that asked for it.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable
from typing import Any

from swarmd.agent.executors.keeper import child
from swarmd.agent.executors.keeper.loop import Loop

Send = Callable[[dict[str, Any]], None]


class Session:
    """One command. `owner` is the connection that asked, `tell` how it hears of the end."""

    def __init__(self, loop: Loop, name: str, *, owner: object, tell: Send) -> None:
        self.name = name
        self.owner = owner
        self.pid = 0
        self._loop = loop
        self._tell = tell
        self._answer: Send | None = None
        self._failure = b""
        self._status: int | None = None

    def start(
        self,
        request: dict[str, Any],
        answer: Send,
        *,
        leader: int,
        groups: tuple[str, ...],
        files_max: tuple[int, int],
    ) -> None:
        """Fork; `answer` is called once exec has succeeded or a step before it has failed.

        Raises:
            OSError: no process or pipe could be made.
        """
        report_r, report_w = os.pipe()
        keeper = os.getpid()
        try:
            pid = os.fork()
        except OSError:
            os.close(report_r)
            os.close(report_w)
            raise
        if pid == 0:
            child.run_beside(
                request,
                keeper=keeper,
                leader=leader,
                groups=groups,
                report=report_w,
                files_max=files_max,
            )
        os.close(report_w)
        self.pid = pid
        self._answer = answer
        self._loop.reads(report_r, lambda: self._exec_report(report_r))

    def signal(self, number: int) -> None:
        """Signal the command's process group; without effect once the command has ended."""
        if self._status is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, number)

    def end(self) -> None:
        self.signal(signal.SIGKILL)

    def reaped(self, status: int) -> None:
        """The command has ended; `status` is what waitpid said."""
        self._status = status
        if self._answer is None:
            self._report_end(status)

    def _exec_report(self, descriptor: int) -> None:
        chunk = os.read(descriptor, 4096)
        if chunk:
            self._failure += chunk
            return
        self._loop.forget(descriptor)
        os.close(descriptor)
        answer, self._answer = self._answer, None
        if answer is None:
            raise AssertionError(f"session {self.name} was answered for twice")
        if self._failure:
            step, number, about = self._failure.decode(errors="replace").split("\0", 2)
            answer({"error": {"step": step, "errno": int(number), "about": about}})
            return
        answer({"pid": self.pid})
        if self._status is not None:
            self._report_end(self._status)

    def _report_end(self, status: int) -> None:
        if self._failure:
            return
        code = os.WEXITSTATUS(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status)
        self._tell({"over": {"session": self.name, "code": code}})
