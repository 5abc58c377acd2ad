"""The end of commands that change services: waiting, and saying so when it is given up."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from swarmd.cli.client import Client
from swarmd.cli.display import choose
from swarmd.cli.progress import Awaited, Waiter, stopped_waiting
from swarmd.runtime.clock import Clock


def waiting(flags: dict[str, Any]) -> dict[str, Any]:
    """The arguments of `awaiting` that are flags of a command."""
    return {"timeout_ns": flags["timeout"], "quiet": flags["quiet"]}


async def awaiting(
    client: Client,
    awaited: Sequence[Awaited],
    clock: Clock,
    *,
    timeout_ns: int | None,
    quiet: bool,
) -> None:
    """Wait until the services have converged; Ctrl-C ends the waiting without an error.

    Raises:
        CliError: a service failed, or time is up.
    """
    waiter = Waiter(client, choose(quiet=quiet), clock)
    try:
        await waiter.wait(awaited, timeout_ns=timeout_ns)
    except asyncio.CancelledError:
        # Ctrl-C cancels the main task of `asyncio.run`; this is what it was meant for.
        task = asyncio.current_task()
        if task is not None:
            task.uncancel()
        stopped_waiting(awaited)
