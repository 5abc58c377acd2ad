"""Commands run beside a task, as the agent sees them: streams, an end, a terminal if wanted.

Nothing is read from a command before `read` asks, and `write` returns when the command has taken
what it was given, so whoever is slow at either end slows the other and no memory fills. The output
ends with the command, also when something it left behind keeps the streams open.
"""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import NamedTuple, Protocol

from swarmd.model.record import Record
from swarmd.model.spec import HealthConfig

CHUNK_BYTES = 64 * 1024
STDOUT, STDERR = 1, 2
END_OF_INPUT = b"\x04"  # what a terminal takes for it


class Command(Record, frozen=True):
    """What to run; what is empty is as for the task itself."""

    argv: tuple[str, ...]
    env: tuple[str, ...] = ()  # NAME=value, added to the task's
    directory: str = ""
    user: str = ""
    tty: bool = False
    stdin: bool = False
    rows: int = 0
    columns: int = 0


class NoSession(Exception):
    """The command could not be run; the message says why."""


class Chunk(NamedTuple):
    """A piece of output. A terminal has one stream only."""

    stream: int
    data: bytes


class Process(Protocol):
    """The command itself, wherever it runs."""

    @property
    def over(self) -> asyncio.Future[int]:
        """Its exit code once it has ended: 128 and the number of a signal that killed it."""
        ...

    async def signal(self, number: int) -> None: ...

    async def resize(self, rows: int, columns: int) -> None: ...

    async def end_input(self) -> None:
        """There is no more input; the stream for it is closed already."""
        ...

    async def close(self) -> None:
        """Kill what still runs and delete what is left; safe to call twice."""
        ...


class Access(Protocol):
    """The way into a running task."""

    @property
    def image_health(self) -> HealthConfig | None:
        """The health check that the task's image brings along."""
        ...

    @property
    def pid(self) -> int:
        """The task's first process, as the node sees it; 0 when there is none."""
        ...

    async def attach(self, *, stdin: bool) -> Session:
        """The task's own streams from now on; closing them leaves the task alone.

        Raises:
            NoSession: it has no such streams.
        """
        ...

    async def run(self, command: Command) -> Session:
        """Run a command beside the task, to be closed by the caller.

        Raises:
            NoSession: it could not be started.
        """
        ...

    def address_of(self, port: int) -> tuple[str, int]:
        """Where the agent itself reaches a TCP port of the task."""
        ...


class Session:
    """A command that runs.

    Args:
        inlet: a descriptor that takes its input; None where it has none.
        outlets: descriptors of its output, by stream; of a terminal the same as `inlet`.
            All of them are non-blocking and belong to the session from now on.
    """

    def __init__(
        self, process: Process, *, inlet: int | None, outlets: Mapping[int, int], tty: bool
    ) -> None:
        self._process = process
        self._inlet = inlet
        self._outlets = dict(outlets)
        self._tty = tty
        self._open = {*outlets.values(), *([] if inlet is None else [inlet])}

    async def read(self) -> Chunk | None:
        """The next output; None when there is no more. Cancelling loses nothing."""
        loop = asyncio.get_running_loop()
        while self._outlets:
            over = self._process.over.done()
            chunk = self._take()
            if chunk is not None:
                return chunk
            if over:
                break
            descriptors = tuple(self._outlets.values())
            with self._woken() as (ready, wake):
                for descriptor in descriptors:
                    loop.add_reader(descriptor, wake)
                try:
                    await ready
                finally:
                    for descriptor in descriptors:
                        loop.remove_reader(descriptor)
        return None

    async def write(self, data: bytes) -> None:
        """Hand input to the command; what it does not want any more is dropped."""
        loop = asyncio.get_running_loop()
        rest = memoryview(data)
        while rest and self._inlet is not None and not self._process.over.done():
            try:
                rest = rest[os.write(self._inlet, rest) :]
            except BlockingIOError:
                inlet = self._inlet
                with self._woken() as (ready, wake):
                    loop.add_writer(inlet, wake)
                    try:
                        await ready
                    finally:
                        loop.remove_writer(inlet)
            except OSError:
                return  # it has closed its input

    async def end_input(self) -> None:
        """There is no more input."""
        if self._inlet is None:
            return
        if self._tty:
            await self.write(END_OF_INPUT)
            return
        inlet, self._inlet = self._inlet, None
        self._shut(inlet)
        await self._process.end_input()

    async def signal(self, number: int) -> None:
        await self._process.signal(number)

    async def resize(self, rows: int, columns: int) -> None:
        """The size of the terminal, if it is one."""
        if self._tty and not self._process.over.done():
            await self._process.resize(rows, columns)

    async def wait(self) -> int:
        """The exit code, as shells give it."""
        return await asyncio.shield(self._process.over)

    async def close(self) -> None:
        """End the command if it still runs, and free everything."""
        try:
            await self._process.close()
        finally:
            self._outlets.clear()
            self._inlet = None
            for descriptor in tuple(self._open):
                self._shut(descriptor)

    @contextmanager
    def _woken(self) -> Iterator[tuple[asyncio.Future[None], Callable[..., None]]]:
        """A future, and what completes it; the end of the command does, too."""
        ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def wake(*_: object) -> None:
            if not ready.done():
                ready.set_result(None)

        self._process.over.add_done_callback(wake)
        try:
            yield ready, wake
        finally:
            self._process.over.remove_done_callback(wake)

    def _take(self) -> Chunk | None:
        for stream, descriptor in tuple(self._outlets.items()):
            try:
                data = os.read(descriptor, CHUNK_BYTES)
            except BlockingIOError:
                continue
            except OSError as error:
                if error.errno != errno.EIO:  # how a terminal ends
                    raise
                data = b""
            if data:
                return Chunk(stream, data)
            del self._outlets[stream]
            if descriptor != self._inlet:
                self._shut(descriptor)
        return None

    def _shut(self, descriptor: int) -> None:
        if descriptor in self._open:
            self._open.discard(descriptor)
            os.close(descriptor)
