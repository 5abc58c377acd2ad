"""The two ways of `swarmd cp`: a tar archive through a call, packed or unpacked as it passes.

Packing and unpacking block and are done in a thread, at the other end of a pipe, so that neither
side runs ahead of the other.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tarfile
from typing import Any

from swarmd.agent.executors.unpacking import Refused, unpack
from swarmd.cli.client import Client
from swarmd.cli.errors import CliError
from swarmd.cli.exec_call import EXEC, cause_of
from swarmd.rpc.pb import exec_ as pb

CHUNK_BYTES = 256 * 1024
STREAM = "-"


async def fetch(client: Client, start: pb.ExecStart, destination: str, *, keep_owner: bool) -> None:
    """Copy from a task to `destination`, a path or `-`.

    Raises:
        CliError: it could not be copied, or not wholly.
    """
    if destination == STREAM:
        await _receive(client, start, sys.stdout.fileno())
        return
    contents = start.copy.path.endswith("/.")
    reader, writer = os.pipe()
    try:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(
                asyncio.to_thread(
                    _unpack, reader, destination, contents=contents, keep_owner=keep_owner
                )
            )
            try:
                await _receive(client, start, writer)
            finally:
                os.close(writer)
    except BaseExceptionGroup as group:
        raise _problem(group) from None


async def hand_over(client: Client, start: pb.ExecStart, source: str, *, follow: bool) -> None:
    """Copy `source`, a path or `-`, into a task.

    Raises:
        CliError: it could not be copied, or not wholly.
    """
    if source == STREAM:
        await _send(client, start, sys.stdin.fileno())
        return
    reader, writer = os.pipe()
    try:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(asyncio.to_thread(_pack, writer, source, follow=follow))
            try:
                await _send(client, start, reader)
            finally:
                os.close(reader)
    except BaseExceptionGroup as group:
        raise _problem(group) from None


async def _receive(client: Client, start: pb.ExecStart, descriptor: int) -> None:
    async with await client.stub(EXEC).Run() as call:
        await call.send(pb.ExecInput(start=start))
        await _outcome(call, descriptor)


async def _send(client: Client, start: pb.ExecStart, descriptor: int) -> None:
    async with await client.stub(EXEC).Run() as call:
        await call.send(pb.ExecInput(start=start))
        async with asyncio.TaskGroup() as tasks:
            sending = tasks.create_task(_send_all(call, descriptor))
            await _outcome(call, -1)
            sending.cancel()


async def _send_all(call: Any, descriptor: int) -> None:
    while data := await asyncio.to_thread(os.read, descriptor, CHUNK_BYTES):
        await call.send(pb.ExecInput(data=data))
    await call.send(pb.ExecInput(end=True))


async def _outcome(call: Any, descriptor: int) -> None:
    """Write what comes to the descriptor until the end, which must be a good one."""
    said = b""
    async for message in call:
        match message.WhichOneof("what"):
            case "stdout":
                await asyncio.to_thread(_write_all, descriptor, message.stdout)
            case "stderr":
                said += message.stderr
            case "error":
                raise CliError(message.error)
            case "exit_code":
                if message.exit_code:
                    raise CliError(said.decode(errors="replace").strip() or "copying failed there")
                return
    raise CliError("the end of the copy was not told; it may be incomplete")


def _write_all(descriptor: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def _pack(descriptor: int, source: str, *, follow: bool) -> None:
    contents = source.endswith("/.")
    path = os.path.realpath(source) if follow or contents else source.rstrip("/") or "/"
    name = "." if contents else os.path.basename(os.path.abspath(source))
    with (
        open(descriptor, "wb") as out,
        tarfile.open(fileobj=out, mode="w|", format=tarfile.PAX_FORMAT) as archive,
    ):
        archive.add(path, name)


def _unpack(descriptor: int, destination: str, *, contents: bool, keep_owner: bool) -> None:
    """Unpack into a directory that is there, or as what `destination` names in one."""
    with open(descriptor, "rb") as source:
        directory, renamed = destination, ""
        if contents:
            os.makedirs(destination, exist_ok=True)
        elif not os.path.isdir(destination):
            directory, renamed = os.path.split(destination.rstrip("/"))
            directory = directory or "."
            if not os.path.isdir(directory):
                raise CliError(f"there is no directory {directory}")

        unpack(
            source,
            directory,
            renamed=renamed,
            through_links=False,
            keep_owner=keep_owner,
            mode_mask=0o755,
        )


def _problem(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The cause that says most: what either side refused, rather than the pipe that broke."""
    causes = [cause_of(error) for error in group.exceptions]
    for cause in causes:
        if isinstance(cause, CliError):
            return cause
    for cause in causes:
        if isinstance(cause, (OSError, tarfile.TarError, Refused)) and not isinstance(
            cause, BrokenPipeError
        ):
            return CliError(str(cause))
    return causes[0]
