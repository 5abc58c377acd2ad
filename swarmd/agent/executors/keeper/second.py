"""The keeper's second: a process that carries out leases should the keeper be dead or hang.

    keeper ──contact, in shared memory──► second ──► cgroups
       └──────────────► ledger ◄────────────┘

It is forked with the first lease and leaves with the last. Its keeper starts another when it dies;
when the keeper dies, it goes on by the ledger until the next keeper's second relieves it. A
container on a lease is thus unguarded only while keeper, second and daemon are all dead. While all
is well it sleeps until a lease would end, and finds that contact has moved the end on.
"""

from __future__ import annotations

import contextlib
import fcntl
import mmap
import os
import select
import signal
import struct
import traceback

from swarmd.agent.executors.keeper import syscalls
from swarmd.agent.executors.keeper.guarded import KILL_AGAIN_NS, kill_all
from swarmd.agent.executors.keeper.ledger import Ledger, now

NAME = b"swarmd-second"
CONTACT = "q"
ORPHAN_LOOK_NS = 1_000_000_000
LATE_NS = 50_000_000  # the keeper comes first


class Second:
    """The second of one keeper, as the keeper sees it."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._pipe = -1
        self._shared = mmap.mmap(-1, struct.calcsize(CONTACT))
        self.pid = 0

    def ensure(self) -> None:
        """Have one at work that knows what is in the ledger now.

        Raises:
            OSError: no process could be made.
        """
        if self.pid:
            self.look_again()
            return
        former = _holder(self._ledger.lock)
        pipe_r, pipe_w = os.pipe()
        try:
            pid = os.fork()
        except OSError:
            os.close(pipe_r)
            os.close(pipe_w)
            raise
        if pid == 0:
            _run(self._ledger, pipe_r, self._shared)
        os.close(pipe_r)
        os.set_blocking(pipe_w, False)
        self._pipe, self.pid = pipe_w, pid
        if former:
            # The new one waits for its lock, so that there never is a moment without either.
            with contextlib.suppress(ProcessLookupError):
                os.kill(former, signal.SIGKILL)

    def contacted(self, sent_at: int) -> None:
        """A manager has answered a heartbeat of that time."""
        struct.pack_into(CONTACT, self._shared, 0, sent_at)

    def look_again(self) -> None:
        """Something has changed in the ledger."""
        if self.pid:
            # One that has just died is replaced when it is reaped; a full pipe wakes it anyway.
            with contextlib.suppress(BrokenPipeError, BlockingIOError):
                os.write(self._pipe, b".")

    def reaped(self) -> None:
        os.close(self._pipe)
        self._pipe, self.pid = -1, 0


def _holder(lock: str) -> int:
    """The process that holds the lock: the second of a keeper that died; 0 for none."""
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        text = os.pread(descriptor, 20, 0)
        return int(text) if text.strip().isdigit() else 0
    finally:
        os.close(descriptor)
    return 0


def _run(ledger: Ledger, pipe: int, shared: mmap.mmap) -> None:
    """What the forked child is from now on; never returns."""
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        syscalls.prctl_name(NAME)
        for name in os.listdir("/proc/self/fd"):
            # The keeper's lock and the pipes of containers among them must not be held open here.
            if int(name) > 2 and int(name) != pipe:
                with contextlib.suppress(OSError):
                    os.close(int(name))
        lock = os.open(ledger.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(lock, fcntl.LOCK_EX)
        os.ftruncate(lock, 0)
        os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
        _serve(ledger, pipe, shared)
        os._exit(0)
    except BaseException:
        traceback.print_exc()
        os._exit(1)


def _serve(ledger: Ledger, pipe: int, shared: mmap.mmap) -> None:
    orphaned = False
    ending: dict[str, tuple[str, ...]] = {}
    while True:
        # A next keeper writes to the ledger only.
        contact = max(ledger.contact, *struct.unpack_from(CONTACT, shared))
        waits: list[int] = []
        entries = ledger.entries()
        for task_id, entry in entries.items():
            left_ns = contact + entry.lease_ns + LATE_NS - now()
            if entry.lapsed:
                continue
            if left_ns > 0:
                waits.append(left_ns)
                continue
            ledger.lapsed(task_id)
            ending[task_id] = entry.directories
        ending = {
            task_id: directories
            for task_id, directories in ending.items()
            if task_id in entries and kill_all(directories)
        }
        if not waits and not ending:
            return
        wait_ns = KILL_AGAIN_NS if ending else min(waits)
        if orphaned:
            # Nobody wakes it any more, and the sleep of the machine doesn't count for select.
            wait_ns = min(wait_ns, ORPHAN_LOOK_NS)
        readable, _, _ = select.select([] if orphaned else [pipe], [], [], wait_ns / 1e9)
        if readable:
            orphaned = not os.read(pipe, 4096)
