"""`swarmd stats`: what tasks use of their nodes, as they go."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from swarmd.cli.completion import service_names
from swarmd.cli.target import Target

if TYPE_CHECKING:
    from swarmd.cli.client import Client
    from swarmd.model.task import Task

TASKS_MAX = 100
CLEAR = "\x1b[2J\x1b[H"
REFRESH_S = 1.0


@click.command()
@click.option("--no-stream", is_flag=True, help="Show it once.")
@click.option("--format", "output", type=click.Choice(["table", "json"]), default="table",
              help="json prints one object per task and look.")  # fmt: skip
@click.argument("chosen", nargs=-1, metavar="[TASK|SERVICE...]", shell_complete=service_names)
@click.pass_obj
def stats(target: Target, /, chosen: tuple[str, ...], no_stream: bool, output: str) -> None:
    """Show processor, memory, network and disk of running tasks; of all, if none are named."""
    import asyncio

    from swarmd.cli.client import run
    from swarmd.cli.errors import CliError

    async def work(client: Client) -> None:
        tasks = await _tasks(client, chosen)
        if len(tasks) > TASKS_MAX:
            raise CliError(f"these are {len(tasks)} tasks, more than {TASKS_MAX}; name some")
        names = await _names(client, tasks)
        samples: dict[str, list[Any]] = {}
        try:
            async with asyncio.TaskGroup() as group:
                watching = [
                    group.create_task(_watch(client, task.id, samples, once=no_stream))
                    for task in tasks
                ]
                while not no_stream and not all(one.done() for one in watching):
                    await asyncio.sleep(REFRESH_S)
                    _show(samples, names, output, clear=True)
        except BaseExceptionGroup as problem:
            from swarmd.cli.exec_call import cause_of

            raise cause_of(problem) from None
        if no_stream:
            _show(samples, names, output, clear=False)

    run(target, work)


async def _tasks(client: Client, chosen: tuple[str, ...]) -> list[Task]:
    from swarmd.cli.subject import find_subject
    from swarmd.model.states import TaskState

    found: dict[str, Task] = {}
    if not chosen:
        found = {task.id: task for task in await client.tasks()}
    for word in chosen:
        subject = await find_subject(client, word)
        for task in await client.tasks(service_ids=(subject.service_id,)):
            if subject.task_id in ("", task.id):
                found[task.id] = task
    return [task for task in found.values() if task.status.state is TaskState.RUNNING]


async def _names(client: Client, tasks: list[Task]) -> dict[str, str]:
    from swarmd.cli.words import task_label

    hosts = {str(listed.node.id): listed.node.hostname for listed in await client.nodes()}
    return {task.id: task_label(task, hosts) for task in tasks}


async def _watch(
    client: Client, task_id: str, samples: dict[str, list[Any]], *, once: bool
) -> None:
    """Keep the last two looks; a task that ends leaves the list."""
    from contextlib import aclosing

    from swarmd.cli.told import told
    from swarmd.rpc.pb import exec_ as pb

    start = pb.ExecStart(task_id=task_id, stats=pb.ExecStats())
    async with aclosing(told(client, start)) as looks:
        async for look in looks:
            samples[task_id] = [*samples.get(task_id, []), look][-2:]
            if once and len(samples[task_id]) == 2:
                return
    if not once:
        samples.pop(task_id, None)


def _show(
    samples: dict[str, list[Any]], names: dict[str, str], output: str, *, clear: bool
) -> None:
    import sys

    from swarmd.cli import render
    from swarmd.cli.words import size

    rows = [
        {"ID": task_id, "Name": names[task_id], **looks[-1], "CPUPercent": percent(looks)}
        for task_id, looks in sorted(samples.items(), key=lambda item: names[item[0]])
    ]
    if output == render.JSON:
        render.json_lines(rows)
        return
    if clear and sys.stdout.isatty():
        click.echo(CLEAR, nl=False)
    render.table(
        ("NAME", "CPU %", "MEMORY", "LIMIT", "NET IN / OUT", "DISK READ / WRITE", "PIDS"),
        [
            (
                row["Name"],
                f"{row['CPUPercent']:.1f}",
                size(row["Memory"]),
                size(row["MemoryLimit"]) if row["MemoryLimit"] else "-",
                f"{size(row['NetworkReceived'])} / {size(row['NetworkSent'])}",
                f"{size(row['BlockRead'])} / {size(row['BlockWritten'])}",
                str(row["Processes"]),
            )
            for row in rows
        ],
        wrap="NAME",
    )


def percent(looks: list[Any]) -> float:
    """Of one processor, between two looks."""
    first, last = looks[0], looks[-1]
    passed = last["Time"] - first["Time"]
    return round(100 * (last["CPU"] - first["CPU"]) / passed, 1) if passed else 0.0
