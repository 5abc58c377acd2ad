"""A person at a terminal: a program started on one, what it shows, and keys."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import subprocess
import termios
import time
from types import TracebackType

PATIENCE_S = 60.0


class Person:
    """Runs a program on a terminal of its own; ends it when the block is left."""

    def __init__(self, argv: list[str], *, rows: int = 33, columns: int = 99) -> None:
        self._master, self._slave = pty.openpty()
        self._unread = b""
        self.resize(rows, columns)
        self._modes = termios.tcgetattr(self._slave)
        self.program = subprocess.Popen(
            argv,
            stdin=self._slave,
            stdout=self._slave,
            stderr=self._slave,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )

    def __enter__(self) -> Person:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is not None:
            while select.select([self._master], [], [], 0)[0]:
                self._unread += os.read(self._master, 4096)
            error.add_note(f"on the terminal: {self._unread!r}, left with {self.program.poll()}")
        if self.program.poll() is None:
            self.program.kill()
        self.program.wait()
        os.close(self._slave)
        os.close(self._master)

    def resize(self, rows: int, columns: int) -> None:
        """As the window's edge does; the program gets its signal."""
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def types(self, keys: bytes) -> None:
        os.write(self._master, keys)

    def sees(self, text: bytes, *, after: bytes | None = None, every_s: float = 0.5) -> None:
        """Wait for a text, and forget what was shown up to its end.

        Args:
            after: typed again and again until then.
        """
        deadline = time.monotonic() + PATIENCE_S
        typed = 0.0
        while text not in self._unread:
            assert time.monotonic() < deadline, f"no {text!r} in {self._unread!r}"
            if after is not None and time.monotonic() > typed + every_s:
                self.types(after)
                typed = time.monotonic()
            if select.select([self._master], [], [], 0.1)[0]:
                self._unread += os.read(self._master, 4096)
        self._unread = self._unread.partition(text)[2]

    def leaves(self) -> int:
        """How the program ends; the terminal is as it was before."""
        deadline = time.monotonic() + PATIENCE_S
        while (code := self.program.poll()) is None:
            assert time.monotonic() < deadline, f"it goes on: {self._unread[-1000:]!r}"
            if select.select([self._master], [], [], 0.1)[0]:
                self._unread += os.read(self._master, 4096)
        assert termios.tcgetattr(self._slave) == self._modes
        return code
