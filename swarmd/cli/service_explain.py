"""`swarmd service explain`: what keeps tasks from running, and what would help."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from swarmd.cli.completion import service_names
from swarmd.cli.target import Target

if TYPE_CHECKING:
    from swarmd.cli.client import Client
    from swarmd.rpc.pb import cluster as pb


@click.command()
@click.option("--format", "output", type=click.Choice(["text", "json"]), default="text")
@click.argument("word", metavar="SERVICE|TASK", shell_complete=service_names)
@click.pass_obj
def explain(target: Target, /, word: str, output: str) -> None:
    """Say why the tasks of a service, or one task, do not run, and what would help.

    \b
    swarmd service explain web
    swarmd service explain web.3
    """
    from swarmd.cli import render
    from swarmd.cli.client import run
    from swarmd.cli.subject import find_subject

    async def work(client: Client) -> None:
        subject = await find_subject(client, word)
        answer = await client.explain(service_id=subject.service_id, task_id=subject.task_id)
        if output == render.JSON:
            render.as_json(document(answer))
            return
        for line in answer.reasons:
            click.echo(line)
        if answer.verdicts:
            click.echo()
            render.table(
                ("FILTER", "NODES", "REFUSED"),
                [(item.filter, str(item.count), _names(item)) for item in answer.verdicts],
                wrap="REFUSED",
            )
        if answer.remedies:
            click.echo("\nwhat would help:")
            for remedy in answer.remedies:
                click.echo(f"  {remedy}")

    run(target, work)


def document(answer: pb.ExplainResponse) -> dict[str, Any]:
    """The answer for programs."""
    return {
        "ServiceID": answer.service_id,
        "ServiceName": answer.service_name,
        "Running": answer.running,
        "Wanted": answer.wanted,
        "Reasons": list(answer.reasons),
        "Remedies": list(answer.remedies),
        "Causes": [
            {"Reason": cause.reason, "Tasks": list(cause.tasks), "Count": cause.count}
            for cause in answer.causes
        ],
        "Scheduler": {
            "Nodes": answer.nodes,
            "Able": answer.able,
            "Verdicts": [
                {
                    "Filter": verdict.filter,
                    "Reason": verdict.reason,
                    "Remedy": verdict.remedy,
                    "Nodes": list(verdict.nodes),
                    "Count": verdict.count,
                }
                for verdict in answer.verdicts
            ],
        },
    }


def _names(verdict: pb.Verdict) -> str:
    more = verdict.count - len(verdict.nodes)
    return ", ".join(verdict.nodes) + (f" and {more} more" if more else "")
