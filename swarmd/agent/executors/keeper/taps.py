"""Those who listen to a task's output as it comes, beside its log.

The pipes belong to the daemon, which reads them for a client. A listener that is slow misses output
rather than hold up the task, its log or the other listeners; how much is said in its stead as soon
as there is room again.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Mapping

PIPE_BYTES = 1024 * 1024
NOTICE = b"\nswarmd: %d bytes of output are missing here: they were not read in time\n"


class Taps:
    """The listeners of one task."""

    def __init__(self) -> None:
        self._taps: list[_Tap] = []

    def add(self, pipes: Mapping[str, bytes]) -> None:
        """Begin to pass output on; `pipes` names pipes and the stream each takes.

        Raises:
            OSError: there is no such pipe; nothing stays open.
        """
        opened: list[_Tap] = []
        try:
            opened.extend(_Tap(path, stream) for path, stream in pipes.items())
        except OSError:
            for tap in opened:
                tap.close()
            raise
        self._taps.extend(opened)

    def pass_on(self, stream: bytes, chunk: bytes) -> None:
        for tap in [tap for tap in self._taps if tap.stream == stream]:
            try:
                tap.write(chunk)
            except OSError:
                # Nobody listens any more.
                self._taps.remove(tap)
                tap.close()

    def close(self) -> None:
        for tap in self._taps:
            tap.close()
        self._taps.clear()


class _Tap:
    def __init__(self, path: str, stream: bytes) -> None:
        self.stream = stream
        self._missed = 0
        self._descriptor = os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with contextlib.suppress(OSError):  # more than this user may have
            fcntl.fcntl(self._descriptor, fcntl.F_SETPIPE_SZ, PIPE_BYTES)

    def write(self, chunk: bytes) -> None:
        text = NOTICE % self._missed + chunk if self._missed else chunk
        try:
            written = os.write(self._descriptor, text)
        except BlockingIOError:
            self._missed += len(chunk)
            return
        if written >= len(text) - len(chunk):
            self._missed = len(text) - written

    def close(self) -> None:
        os.close(self._descriptor)
