"""`swarmd top`: the processes of a task."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from swarmd.cli.completion import service_names
from swarmd.cli.target import Target

if TYPE_CHECKING:
    from swarmd.cli.client import Client


@click.command()
@click.option("--format", "output", type=click.Choice(["table", "json"]), default="table",
              help="How to show it.")  # fmt: skip
@click.argument("word", metavar="TASK|SERVICE.SLOT", shell_complete=service_names)
@click.pass_obj
def top(target: Target, /, word: str, output: str) -> None:
    """List the processes of a task, with the ids that its node knows them by."""
    from swarmd.cli import render
    from swarmd.cli.client import run
    from swarmd.cli.exec_call import find_task
    from swarmd.cli.told import told
    from swarmd.cli.words import size
    from swarmd.model.instant import MILLISECOND, SECOND, format_duration
    from swarmd.rpc.pb import exec_ as pb

    async def work(client: Client) -> None:
        start = pb.ExecStart(task_id=await find_task(client, word), top=pb.ExecTop())
        async for processes in told(client, start):
            if output == "json":
                render.json_lines(processes)
                continue
            render.table(
                ("USER", "PID", "PPID", "STATE", "TIME", "CPU", "MEMORY", "COMMAND"),
                [
                    (
                        row["User"],
                        str(row["PID"]),
                        str(row["PPID"]),
                        row["State"],
                        format_duration(row["Age"] // SECOND * SECOND),
                        format_duration(row["CPU"] // MILLISECOND * MILLISECOND),
                        size(row["Memory"]),
                        row["Command"],
                    )
                    for row in processes
                ],
                wrap="COMMAND",
            )

    run(target, work)
