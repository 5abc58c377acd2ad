"""The call behind `swarmd exec` and `attach`: input and signals there, output and its end back."""

from __future__ import annotations

import asyncio
import contextlib
import io
import os
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from typing import IO, Any, NamedTuple

from swarmd.cli.client import Client
from swarmd.cli.detaching import DetachKeys
from swarmd.cli.errors import CliError
from swarmd.cli.subject import find_subject
from swarmd.cli.terminal import terminal_size
from swarmd.model.states import TaskState
from swarmd.rpc.pb import exec_ as pb

EXEC = "swarmd.v1.Exec"
NOT_RUN = 126
CHUNK_BYTES = 64 * 1024
DETACH_S = 5.0  # for the node to agree
# Passed on to a command without a terminal; with one, the terminal makes them of keys.
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)


async def find_task(client: Client, word: str) -> str:
    """The task that a person means; a service will do if it has one running task.

    Raises:
        CliError: nothing is meant, or several things are.
    """
    subject = await find_subject(client, word)
    if subject.task_id:
        return subject.task_id
    running = [
        task
        for task in await client.tasks(service_ids=(subject.service_id,))
        if task.status.state is TaskState.RUNNING
    ]
    if len(running) == 1:
        return running[0].id
    raise CliError(
        f"service {word} has {len(running)} running tasks",
        hint=f"name one, such as {word}.1; `swarmd service ps {word}` lists them",
    )


class Manner(NamedTuple):
    """How a client speaks to a task."""

    stdin: bool = False
    tty: bool = False
    signals: bool = True  # pass on those that this program gets
    detach_keys: bytes = b""  # let go when they are typed into a terminal
    leave: bool = False  # let go as soon as it runs


async def converse(client: Client, start: pb.ExecStart, manner: Manner) -> int:
    """Speak with the task to the end; returns the exit code, or 0 when detached.

    Raises:
        CliError: it could not be done.
    """
    call = await client.stub(EXEC).Run()
    async with call:
        await call.send(pb.ExecInput(start=start))
        try:
            last = await _converse(call, manner)
        except BaseExceptionGroup as group:
            raise cause_of(group) from None
    if last.WhichOneof("what") == "error":
        raise CliError(last.error, exit_code=NOT_RUN)
    code: int = last.exit_code  # 0 when detached
    return code


async def _converse(call: Any, manner: Manner) -> pb.ExecOutput:
    # At most a few of them wait: a person makes them.
    events: asyncio.Queue[pb.ExecInput] = asyncio.Queue()
    with _signals(events, manner):
        async with asyncio.TaskGroup() as tasks:
            talking = [tasks.create_task(_pass_on(events, call))]
            if manner.stdin:
                talking.append(tasks.create_task(_send_input(call, manner)))
            last = await _show(call, manner)
            for task in talking:
                task.cancel()
    return last


def cause_of(error: BaseException) -> BaseException:
    """The error behind a group: the first that isn't a group itself."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


async def _show(call: Any, manner: Manner) -> pb.ExecOutput:
    """Print what comes; returns the last message, which says how it ended."""
    out, err = sys.stdout.buffer, sys.stderr.buffer
    async for message in call:
        match message.WhichOneof("what"):
            case "stdout":
                await asyncio.to_thread(_write, out, message.stdout)
            case "stderr":
                await asyncio.to_thread(_write, err, message.stderr)
            case "started" if manner.leave:
                await call.send(pb.ExecInput(detach=True))
            case "exit_code" | "error" | "detached":
                return message  # type: ignore[no-any-return]
    return pb.ExecOutput(error="the command's end was not told")


def _write(stream: IO[bytes], data: bytes) -> None:
    stream.write(data)
    stream.flush()


async def _send_input(call: Any, manner: Manner) -> None:
    keys = DetachKeys(manner.detach_keys if manner.tty else b"")
    async for data in _input():
        passed, detach = keys.typed(data)
        if passed:
            await call.send(pb.ExecInput(data=passed))
        if detach:
            await _detach(call)
    if rest := keys.rest():
        await call.send(pb.ExecInput(data=rest))
    await call.send(pb.ExecInput(end=True))


async def _detach(call: Any) -> None:
    """Ask to be let go; whoever reads the answers learns of it."""
    await call.send(pb.ExecInput(detach=True))
    await asyncio.sleep(DETACH_S)
    raise CliError(
        "the node did not let go",
        hint="it may be of an earlier version; what runs there ends with this command",
    )


async def _pass_on(events: asyncio.Queue[pb.ExecInput], call: Any) -> None:
    while True:
        await call.send(await events.get())


async def _input() -> AsyncIterator[bytes]:
    """What is typed or piped in. Waiting for it never outlasts the program."""
    stream = sys.stdin.buffer
    loop = asyncio.get_running_loop()
    try:
        descriptor = stream.fileno()
        loop.add_reader(descriptor, lambda: None)
        loop.remove_reader(descriptor)
    except (PermissionError, io.UnsupportedOperation):
        # A file, which never makes anybody wait.
        while data := await asyncio.to_thread(stream.read, CHUNK_BYTES):
            yield data
        return
    while True:
        ready = asyncio.Event()
        loop.add_reader(descriptor, ready.set)
        try:
            await ready.wait()
        finally:
            loop.remove_reader(descriptor)
        data = os.read(descriptor, CHUNK_BYTES)
        if not data:
            return
        yield data


@contextlib.contextmanager
def _signals(events: asyncio.Queue[pb.ExecInput], manner: Manner) -> Iterator[None]:
    """Make messages of signals, and of changes of the terminal's size."""
    loop = asyncio.get_running_loop()

    def resized() -> None:
        rows, columns = terminal_size()
        events.put_nowait(pb.ExecInput(resize=pb.ExecSize(rows=rows, columns=columns)))

    def signalled(number: int) -> None:
        events.put_nowait(pb.ExecInput(signal=number))

    wanted = [*([signal.SIGWINCH] if manner.tty else SIGNALS if manner.signals else ())]
    for number in wanted:
        if manner.tty:
            loop.add_signal_handler(number, resized)
        else:
            loop.add_signal_handler(number, signalled, number)
    try:
        yield
    finally:
        for number in wanted:
            loop.remove_signal_handler(number)
