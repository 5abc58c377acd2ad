"""One task in the keeper: started, its output logged, stopped with grace, its end recorded.

    starting ──exec──► running ──leader exits──► emptying ──group empty, output read──► exited
        └──exec failed──► (answered with the reason, forgotten)

The leader's exit is the task's exit. What the leader leaves behind is stopped with what remains of
the grace period if the task was being stopped, else killed at once.
"""

from __future__ import annotations

import functools
import json
import os
import signal
import time
from collections.abc import Callable
from typing import Any

from swarmd.agent.executors import groups
from swarmd.agent.executors.keeper import child
from swarmd.agent.executors.keeper.logfile import TaskLog
from swarmd.agent.executors.keeper.loop import Loop, Timer
from swarmd.agent.executors.keeper.taps import Taps

CHUNK_BYTES = 64 * 1024
SWEEP_NS = 10_000_000
# Processes that neither die nor end their output (stuck in the kernel) delay the report this long.
EMPTYING_NS_MAX = 5_000_000_000


class Place:
    """What all tasks of a keeper share."""

    def __init__(
        self,
        *,
        loop: Loop,
        directory: str,
        hierarchies: tuple[groups.Hierarchy, ...],
        files_max: tuple[int, int],
        now: Callable[[], int],
        ended: Callable[[Kept], None],
    ) -> None:
        self.loop = loop
        self.directory = directory
        self.hierarchies = hierarchies
        self.files_max = files_max
        self.now = now
        self.ended = ended


class Kept:
    """A task from its fork to the moment the daemon has recorded its end."""

    def __init__(self, place: Place, task_id: str) -> None:
        self.id = task_id
        self.state = "starting"
        self.pid = 0
        self.exit: dict[str, Any] | None = None
        self.unapplied: tuple[str, ...] = ()
        self.lease_ns = 0  # 0: it may run for good
        self.lapsed = False  # it was ended because its lease had run out
        self.memo: Any = None  # the daemon's own words, handed back to it after a restart
        self._place = place
        self._group = groups.Group(task_id, (), groups.Limits(), ())
        self.taps = Taps()
        self._log: TaskLog | None = None
        self._streams: dict[int, bytes] = {}
        self._started: Callable[[dict[str, Any]], None] | None = None
        self._failure = b""
        self._status: int | None = None
        self._stop_signal = 0
        self._kill_timer: Timer | None = None
        self._kill_at = 0
        self._emptying_since = 0
        self._swept_signal = False

    def start(self, launch: dict[str, Any], answer: Callable[[dict[str, Any]], None]) -> None:
        """Fork; `answer` is called once exec has succeeded or a step before it has failed.

        Raises:
            OSError: no process, pipe or group could be made.
        """
        place = self._place
        self._group = groups.create(place.hierarchies, self.id, groups.Limits(*launch["limits"]))
        self.unapplied, self.memo = self._group.unapplied, launch.get("memo")
        self.lease_ns = launch.get("lease_ns", 0)
        log = launch["log"]
        self._log = TaskLog(
            log["directory"], max_bytes=log["max_bytes"], max_files=log["max_files"]
        )
        opened: list[int] = []
        try:
            for _ in range(3):
                opened.extend(os.pipe())
            out_r, out_w, err_r, err_w, report_r, report_w = opened
            keeper = os.getpid()
            pid = os.fork()
        except OSError:
            for descriptor in opened:
                os.close(descriptor)
            groups.remove(self._group)
            raise
        if pid == 0:
            child.run(
                launch,
                keeper=keeper,
                groups=self._group.directories,
                stdout=out_w,
                stderr=err_w,
                report=report_w,
                files_max=place.files_max,
            )
        self.pid = pid
        self._started = answer
        for descriptor in (out_w, err_w, report_w):
            os.close(descriptor)
        for descriptor, stream in ((out_r, b"o"), (err_r, b"e")):
            os.set_blocking(descriptor, False)
            self._streams[descriptor] = stream
            place.loop.reads(descriptor, functools.partial(self._pump, descriptor))
        place.loop.reads(report_r, lambda: self._exec_report(report_r))

    def stop(self, *, number: int, grace_ns: int) -> None:
        """Ask the leader to end with signal `number`; kill all that is left after `grace_ns`.

        Asking again can only bring the end nearer.
        """
        if self.state == "exited":
            return
        self._stop_signal = number
        kill_at = time.monotonic_ns() + grace_ns
        if self._kill_timer is None or kill_at < self._kill_at:
            if self._kill_timer is not None:
                self._kill_timer.cancel()
            self._kill_at = kill_at
            self._kill_timer = self._place.loop.after(grace_ns, self._kill)
        if self._status is None:
            groups.send_signal(self.pid, number)
        if grace_ns == 0:
            self._kill()

    @property
    def group_directories(self) -> tuple[str, ...]:
        """Where processes that belong to the task are entered."""
        return self._group.directories

    @property
    def over(self) -> bool:
        return self.state == "exited"

    def lapse(self) -> None:
        """Its lease has run out: kill it, whatever it is doing, and say so in the record."""
        if self.state != "exited" and not self.lapsed:
            self.lapsed = True
            self.stop(number=signal.SIGKILL, grace_ns=0)

    def reaped(self, status: int) -> None:
        """The leader has ended; `status` is what waitpid said."""
        self._status = status
        if self.state == "starting":
            return  # the exec report, still in its pipe, says what became of it
        self._begin_emptying()

    def summary(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "state": self.state,
            "pid": self.pid,
            "exit": self.exit,
            "memo": self.memo,
            "unapplied": list(self.unapplied),
        }

    def restore(self, exit_record: dict[str, Any]) -> None:
        """Become the exited task that an earlier keeper recorded."""
        self.state, self.exit = "exited", exit_record
        self.pid, self.memo = exit_record["pid"], exit_record.get("memo")

    def forget(self) -> None:
        """Delete the record of an exited task."""
        try:
            os.unlink(self._exit_path())
        except FileNotFoundError:
            return

    def _exec_report(self, descriptor: int) -> None:
        self._failure += os.read(descriptor, 4096)
        if not self._at_end(descriptor):
            return
        self._place.loop.forget(descriptor)
        os.close(descriptor)
        self.state = "running"
        answer, self._started = self._started, None
        if answer is None:
            raise AssertionError(f"task {self.id} was answered for twice")
        if self._failure:
            step, number, about = self._failure.decode(errors="replace").split("\0", 2)
            answer({"error": {"step": step, "errno": int(number), "about": about}})
        else:
            answer({"pid": self.pid, "unapplied": list(self.unapplied)})
        if self._status is not None:
            self._begin_emptying()

    @staticmethod
    def _at_end(descriptor: int) -> bool:
        """Whether a pipe whose writer sends one message and exits has nothing more to give."""
        return os.read(descriptor, 1) == b""

    @property
    def never_ran(self) -> bool:
        """Whether exec failed, which the answer to `start` has told already."""
        return bool(self._failure)

    def _pump(self, descriptor: int) -> None:
        try:
            chunk = os.read(descriptor, CHUNK_BYTES)
        except BlockingIOError:
            return
        if chunk and self._log is not None:
            self._log.write(self._streams[descriptor], chunk, self._place.now())
        if chunk:
            self.taps.pass_on(self._streams[descriptor], chunk)
        else:
            self._close_stream(descriptor)

    def _close_stream(self, descriptor: int) -> None:
        self._place.loop.forget(descriptor)
        del self._streams[descriptor]
        os.close(descriptor)

    def _kill(self) -> None:
        self._kill_timer = None
        self._stop_signal = signal.SIGKILL
        groups.kill(self._group)
        if self._status is None:
            groups.send_signal(self.pid, signal.SIGKILL)

    def _begin_emptying(self) -> None:
        self.state = "emptying"
        self._emptying_since = time.monotonic_ns()
        self._sweep()

    def _sweep(self) -> None:
        """End what the leader left behind; once nothing is left, the task has ended."""
        if self.state == "exited":
            return
        graceful = self._kill_timer is not None
        if graceful:
            left = groups.members(self._group)
            if not self._swept_signal:
                self._swept_signal = True
                for pid in left:
                    groups.send_signal(pid, self._stop_signal)
        else:
            left = [] if groups.kill(self._group) else [self.pid]
        waited_ns = time.monotonic_ns() - self._emptying_since
        overdue = not graceful and waited_ns > EMPTYING_NS_MAX
        if overdue or (not left and not self._streams):
            self._finish()
        else:
            self._place.loop.after(SWEEP_NS, self._sweep)

    def _finish(self) -> None:
        if self._kill_timer is not None:
            self._kill_timer.cancel()
        for descriptor in list(self._streams):
            self._close_stream(descriptor)
        now = self._place.now()
        self.taps.close()
        if self._log is not None:
            self._log.close(now)
        status = self._status
        if status is None:
            raise AssertionError(f"task {self.id} ended without an exit status")
        self.state = "exited"
        self.exit = {
            "id": self.id,
            "pid": self.pid,
            "code": os.WEXITSTATUS(status) if os.WIFEXITED(status) else 0,
            "signal": os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0,
            "oom": groups.oom_kills(self._group) > 0,
            "time": now,
            "lapsed": self.lapsed,
            "memo": self.memo,
        }
        if not self.never_ran:
            self._record_exit()
        self._remove_group()
        self._place.ended(self)

    def _record_exit(self) -> None:
        """Leave the exit in a file, in case this process dies before the daemon has heard."""
        path = self._exit_path()
        try:
            with open(f"{path}.new", "w") as file:
                json.dump(self.exit, file)
            os.rename(f"{path}.new", path)
        except OSError:
            return  # the disk is full: the exit stays in memory, which suffices while we live

    def _exit_path(self) -> str:
        return f"{self._place.directory}/exits/{self.id}"

    def _remove_group(self) -> None:
        if not groups.remove(self._group):
            self._place.loop.after(SWEEP_NS * 10, self._remove_group)
