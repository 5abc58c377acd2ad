"""Asking the node of a task for something that it tells in lines of JSON."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from typing import Any

from swarmd.cli.client import Client
from swarmd.cli.errors import CliError
from swarmd.cli.exec_call import EXEC
from swarmd.rpc.pb import exec_ as pb


async def told(client: Client, start: pb.ExecStart) -> AsyncGenerator[Any, None]:
    """What the node says, line by line, until it ends or nobody asks any more.

    Raises:
        CliError: it can't say anything, and why.
    """
    rest = b""
    async with await client.stub(EXEC).Run() as call:
        await call.send(pb.ExecInput(start=start))
        async for message in call:
            match message.WhichOneof("what"):
                case "stdout":
                    *lines, rest = (rest + message.stdout).split(b"\n")
                    for line in lines:
                        yield json.loads(line)
                case "error":
                    raise CliError(message.error)
                case "exit_code":
                    return
