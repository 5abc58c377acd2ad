"""The end of commands that change services: waiting, and saying so when it is given up."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import click

from swarmd.cli import render
from swarmd.cli.client import Client
from swarmd.cli.display import choose
from swarmd.cli.progress import Awaited, Waiter, stopped_waiting
from swarmd.runtime.clock import Clock


async def conclude(
    client: Client, awaited: Sequence[Awaited], clock: Clock, flags: dict[str, Any]
) -> None:
    """End a command as its `WAITING` flags say: name the services, or wait for them and show it.

    Ctrl-C ends the waiting without an error.

    Raises:
        CliError: a service failed, or time is up.
    """
    as_json = flags["output"] == render.JSON
    if flags["detach"] and as_json:
        render.json_lines(
            [{"ID": item.service.id, "Name": item.service.spec.name} for item in awaited]
        )
    elif (flags["detach"] or flags["quiet"]) and not as_json:
        for item in awaited:
            click.echo(item.service.id)
    if flags["detach"]:
        return
    waiter = Waiter(client, choose(quiet=flags["quiet"], as_json=as_json), clock)
    try:
        await waiter.wait(awaited, timeout_ns=flags["timeout"])
    except asyncio.CancelledError:
        # Ctrl-C cancels the main task of `asyncio.run`; this is what it was meant for.
        task = asyncio.current_task()
        if task is not None:
            task.uncancel()
        stopped_waiting(awaited)
