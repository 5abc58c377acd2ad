"""`swarmd events`: what changes in the swarm, as it happens or since some time."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from swarmd.cli.target import Target
from swarmd.model.errors import Code
from swarmd.runtime.timeouts import timeout

if TYPE_CHECKING:
    from swarmd.rpc.errors import RpcError
    from swarmd.rpc.pb import watch

# Events of the past come at once; who asked for nothing else waits no longer than this for them.
PAST_S = 1.0
RETRY_S = 0.5


@click.command()
@click.option("--since", metavar="VERSION|DURATION|TIME", help="Begin then; 0: at the oldest.")
@click.option("--until", metavar="DURATION|TIME", help="End then, instead of going on.")
@click.option(
    "-f",
    "--filter",
    "filters",
    multiple=True,
    metavar="KEY=VALUE[,...]",
    help="type, event, id, name, service, node or label; values of a key are alternatives.",
)
@click.option("--format", "output", type=click.Choice(["text", "json"]), default="text")
@click.pass_obj
def events(
    target: Target,
    /,
    since: str | None,
    until: str | None,
    filters: tuple[str, ...],
    output: str,
) -> None:
    """Show what changes in the swarm, and why. Each line begins with its time and version.

    When the manager goes away, it goes on where it was as soon as the manager is back.

    \b
    swarmd events --filter type=task,service=web
    swarmd events --since 4711 --format json
    swarmd events --since 1h --until 0s
    """
    import asyncio

    from swarmd.cli import event_lines

    now = target.clock.now()
    try:
        wanted = event_lines.split_filters(filters)
        request = _request(since, wanted, now)
        end = event_lines.point_in_time(until, now) if until is not None else None
    except ValueError as error:
        raise click.UsageError(str(error)) from None

    async def work() -> None:
        try:
            async with timeout(_seconds_left(end, now)) as limit:
                await _follow(target, request, lambda message: _show(message, wanted, output, end))
        except TimeoutError:
            if not limit.expired():
                raise
        except asyncio.CancelledError:
            # Ctrl-C is how watching ends.
            task = asyncio.current_task()
            if task is None:
                raise
            task.uncancel()

    asyncio.run(work())


def _seconds_left(end: int | None, now: int) -> float | None:
    return None if end is None else max((end - now) / 1e9, 0.0) + PAST_S


def _request(since: str | None, wanted: dict[str, list[str]], now: int) -> watch.WatchRequest:
    from swarmd.cli.event_lines import EVERY_ACTION, KINDS, beginning
    from swarmd.model.instant import SECOND
    from swarmd.rpc.pb import watch

    request = watch.WatchRequest(include_old_object=True)
    for kind in wanted.get("type") or KINDS:
        request.entries.add(kind=kind, action=EVERY_ACTION)
    if since is None:
        return request
    word, value = beginning(since, now)
    if word == "version" and value:
        request.resume_from.index = value
    else:  # nothing precedes version 0, so it stands for the oldest event that is kept
        request.since.seconds, request.since.nanos = divmod(value, SECOND)
    return request


async def _follow(
    target: Target, request: watch.WatchRequest, show: Callable[[watch.WatchMessage], bool]
) -> None:
    """Show events until `show` has seen enough, going on by itself after every break.

    `request` is moved along, so that nothing is shown twice and nothing is left out that the
    manager still has. What keeps the first watch from beginning is an error.
    """
    import asyncio

    from swarmd.cli.client import connected
    from swarmd.rpc.errors import RpcError

    begun = broken = False
    while True:
        if broken and not target.listening():
            await asyncio.sleep(RETRY_S)
            continue
        async with connected(target) as client:
            try:
                async for message in client.watch(request):
                    if broken:
                        click.echo(f"connected again, from {request.resume_from.index}", err=True)
                    begun, broken = True, False
                    if not show(message):
                        return
                    request.ClearField("since")
                    request.resume_from.index = message.version.index
            except RpcError as error:
                if not begun or not _passing(error):
                    raise
                if not broken:
                    click.echo(f"{error.message.rstrip('.')}; trying again", err=True)
                broken = True
                if error.code is Code.OUT_OF_RANGE:
                    request.ClearField("resume_from")
                    request.since.seconds = 0  # whatever is left
        await asyncio.sleep(RETRY_S)


def _passing(error: RpcError) -> bool:
    """Whether a watch that had begun may go on after this."""
    return error.code in (Code.UNAVAILABLE, Code.RESOURCE_EXHAUSTED, Code.OUT_OF_RANGE)


def _show(
    message: watch.WatchMessage, wanted: dict[str, list[str]], output: str, end: int | None
) -> bool:
    """Print the events of a message; False once they are later than the end."""
    from swarmd.cli import event_lines, render

    for event in event_lines.events(message):
        if end is not None and event.time_ns > end:
            return False
        if event_lines.passes(event, wanted):
            if output == render.JSON:
                render.json_lines([event_lines.document(event)])
            else:
                click.echo(event_lines.line(event))
    return True
