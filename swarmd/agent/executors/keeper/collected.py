"""The output of a container, which comes through two named pipes; the shim holds their other ends.

The pipes are opened for writing as well, so that they never seem to have ended: the daemon says
when the container is gone and everything it said is in them. When a keeper dies, what is unread
stays in the pipes, which the shim keeps open, and the next keeper reads on.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import os
from collections.abc import Callable, Iterable, Mapping

from swarmd.agent.executors.keeper.logfile import TaskLog
from swarmd.agent.executors.keeper.loop import Loop
from swarmd.agent.executors.keeper.taps import Taps

CHUNK_BYTES = 256 * 1024
PIPE_BYTES = 1024 * 1024


class Collected:
    """Reads the pipes of one container into its log until it is released."""

    def __init__(
        self,
        loop: Loop,
        log: TaskLog,
        pipes: Mapping[str, bytes],
        *,
        held: Iterable[str] = (),
        now: Callable[[], int],
    ) -> None:
        """`pipes` names the pipes and the stream each carries: `b"o"` or `b"e"`.

        Pipes that are `held` are only kept open: what reads from them never finds their end.

        Raises:
            OSError: a pipe is missing; nothing stays open.
        """
        self._loop = loop
        self._log = log
        self._now = now
        self.taps = Taps()
        self._streams: dict[int, bytes] = {}
        self._held: list[int] = []
        try:
            for path in held:
                self._held.append(os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC))
            for path, stream in pipes.items():
                descriptor = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
                self._streams[descriptor] = stream
                with contextlib.suppress(OSError):  # more than this user may have
                    fcntl.fcntl(descriptor, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        except OSError:
            for descriptor in (*self._streams, *self._held):
                os.close(descriptor)
            raise
        for descriptor in self._streams:
            loop.reads(descriptor, functools.partial(self._pump, descriptor))

    def release(self) -> None:
        """Read what is left, and let go; the container must have ended."""
        for descriptor in self._streams:
            self._empty(descriptor)
            self._loop.forget(descriptor)
            os.close(descriptor)
        for descriptor in self._held:
            os.close(descriptor)
        self._streams.clear()
        self._held.clear()
        self.taps.close()
        self._log.close(self._now())

    def _pump(self, descriptor: int) -> None:
        try:
            chunk = os.read(descriptor, CHUNK_BYTES)
        except BlockingIOError:
            return
        self._write(self._streams[descriptor], chunk)

    def _empty(self, descriptor: int) -> None:
        while True:
            try:
                chunk = os.read(descriptor, CHUNK_BYTES)
            except BlockingIOError:
                return
            self._write(self._streams[descriptor], chunk)

    def _write(self, stream: bytes, chunk: bytes) -> None:
        self._log.write(stream, chunk, self._now())
        self.taps.pass_on(stream, chunk)
