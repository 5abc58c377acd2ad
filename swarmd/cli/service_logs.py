"""`swarmd service logs` and `swarmd task logs`: what tasks print, gathered from all nodes."""

from __future__ import annotations

import click

from swarmd.cli.completion import service_names
from swarmd.cli.target import Target


@click.command()
@click.option("-f", "--follow", is_flag=True, help="Go on with new lines.")
@click.option("-n", "--tail", metavar="LINES", default="all", help="Only the last lines of a task.")
@click.option("--since", metavar="TIME", help="Lines since then: 10m, or 2030-01-31T08:00:00.")
@click.option("--until", metavar="TIME", help="Lines before then.")
@click.option("-t", "--timestamps", is_flag=True, help="Begin lines with their time.")
@click.option("--details", is_flag=True, help="Show the ids of node, service and task.")
@click.option("--raw", is_flag=True, help="Lines as they were printed, without the task.")
@click.option("--no-task-ids", is_flag=True, help="Name tasks without their id.")
@click.option("--no-trunc", is_flag=True, help="Name tasks with their whole id.")
@click.argument("word", metavar="SERVICE|TASK", shell_complete=service_names)
@click.pass_obj
def logs(
    target: Target,
    /,
    word: str,
    follow: bool,
    tail: str,
    since: str | None,
    until: str | None,
    timestamps: bool,
    details: bool,
    raw: bool,
    no_task_ids: bool,
    no_trunc: bool,
) -> None:
    """Show what the tasks of a service, or one task, print.

    Lines come in the order of their times, as far as the clocks of the nodes agree. What is missing
    is named among the warnings. Following goes on by itself when another manager becomes leader, or
    this one was away.
    """
    import asyncio

    from swarmd.cli import log_following
    from swarmd.cli.client import connected
    from swarmd.cli.log_lines import LogStyle, LogView, subscription

    try:
        request = subscription(
            tail=tail, since=since, until=until, follow=follow, now=target.clock.now()
        )
    except ValueError as error:
        raise click.UsageError(str(error)) from None

    style = LogStyle(
        raw=raw,
        timestamps=timestamps,
        details=details,
        whole_ids=no_trunc,
        task_ids=not no_task_ids,
    )

    async def work() -> None:
        async with connected(target) as client:
            view = LogView(client, style)
            await view.select(request, word)
            if not follow:
                async for answer in client.logs(request):
                    await view.show(answer)
                return
        try:
            await log_following.follow(target, request, view)
        except asyncio.CancelledError:
            # Ctrl-C is how following ends.
            task = asyncio.current_task()
            if task is None:
                raise
            task.uncancel()

    asyncio.run(work())
