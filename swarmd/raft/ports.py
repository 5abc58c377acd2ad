"""The world a Raft member runs in: a loop, a worker for blocking calls, and a disk.

The daemon supplies asyncio, a thread and a directory; the simulator supplies virtual time and
a disk that forgets what was not synced. The consensus code cannot tell the difference.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol


class Timer(Protocol):
    """A scheduled call that may still be called off."""

    def cancel(self) -> None: ...


class Loop(Protocol):
    """Where everything but blocking calls runs, one callback at a time."""

    def call_soon(self, callback: Callable[[], None]) -> object:
        """Run `callback` after what is running now."""
        ...

    def call_later(self, delay: float, callback: Callable[[], None]) -> Timer:
        """Run `callback` in `delay` seconds."""
        ...


class Worker(Protocol):
    """Runs blocking calls in order, one at a time, beside the loop."""

    def submit(
        self, call: Callable[[], object], done: Callable[[BaseException | None], None]
    ) -> None:
        """Run `call` elsewhere, then `done` on the loop with what it raised, if anything."""
        ...


class DiskFile(Protocol):
    """One open file. Not safe for use by two threads at a time."""

    def size(self) -> int: ...

    def read(self, offset: int, length: int) -> bytes:
        """Up to `length` bytes from `offset`; fewer at the end of the file."""
        ...

    def write(self, offset: int, data: bytes) -> None:
        """Write all of `data` at `offset`; durable only after `sync`."""
        ...

    def sync(self) -> None:
        """Make the file's content durable, or raise. Must never be retried after a failure."""
        ...

    def close(self) -> None: ...


class Disk(Protocol):
    """One flat directory that belongs to one member."""

    def names(self) -> list[str]:
        """The names of all files, sorted."""
        ...

    def create(self, name: str, zeros: int) -> DiskFile:
        """Make a new file with `zeros` zero bytes; its name and size are durable on return."""
        ...

    def open(self, name: str) -> DiskFile: ...

    def read(self, name: str) -> bytes: ...

    def replace(self, name: str, data: bytes, *, durable: bool = True) -> None:
        """Give `name` the content `data`, all of it or, after a crash, none of it."""
        ...

    def rename(self, old: str, new: str) -> None:
        """Rename durably, replacing `new`."""
        ...

    def remove(self, name: str) -> None:
        """Remove a file durably if it is there, so that files vanish in the order of removal."""
        ...

    def free_bytes(self) -> int:
        """Space left for this member's files."""
        ...
