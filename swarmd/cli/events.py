"""`swarmd events`: what changes in the swarm, as it happens or since some time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from swarmd.cli.target import Target

if TYPE_CHECKING:
    from swarmd.cli.client import Client
    from swarmd.rpc.pb import watch

# Events of the past come at once; who asked for nothing else waits no longer than this for them.
PAST_S = 1.0


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

    \b
    swarmd events --filter type=task,service=web
    swarmd events --since 4711 --format json
    swarmd events --since 1h --until 0s
    """
    import asyncio

    from swarmd.cli import event_lines
    from swarmd.cli.client import run

    now = target.clock.now()
    try:
        wanted = event_lines.split_filters(filters)
        request = _request(since, wanted, now)
        end = event_lines.point_in_time(until, now) if until is not None else None
    except ValueError as error:
        raise click.UsageError(str(error)) from None

    async def work(client: Client) -> None:
        try:
            async with asyncio.timeout(_seconds_left(end, now)) as limit:
                await _show(client, request, wanted, output, end)
        except TimeoutError:
            if not limit.expired():
                raise
        except asyncio.CancelledError:
            # Ctrl-C is how watching ends.
            task = asyncio.current_task()
            if task is None:
                raise
            task.uncancel()

    run(target, work)


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


async def _show(
    client: Client,
    request: watch.WatchRequest,
    wanted: dict[str, list[str]],
    output: str,
    end: int | None,
) -> None:
    from swarmd.cli import event_lines, render

    async for message in client.watch(request):
        for event in event_lines.events(message):
            if end is not None and event.time_ns > end:
                return
            if event_lines.passes(event, wanted):
                if output == render.JSON:
                    render.json_lines([event_lines.document(event)])
                else:
                    click.echo(event_lines.line(event))
