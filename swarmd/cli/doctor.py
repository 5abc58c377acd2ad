"""`swarmd doctor`: every node is asked to look at itself and at its ways to others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from swarmd.cli.target import Target

if TYPE_CHECKING:
    from swarmd.cli.client import Client

SERVICE = "swarmd.v1.Doctor"
ANSWER_S = 90.0
FAILED = 1


@click.command()
@click.option("--format", "output", type=click.Choice(["text", "json"]), default="text")
@click.pass_obj
def doctor(target: Target, /, output: str) -> None:
    """Examine the networks of the swarm: who reaches whom, packet sizes, ports, clocks, drift.

    Ends with exit code 1 if anything is wrong. MTU and OVERLAY are the largest packets that got to
    every other node and back, of a few sizes that are tried.
    """
    from swarmd.cli import diagnosis, render
    from swarmd.cli.client import run
    from swarmd.rpc.pb import doctor as pb

    async def work(client: Client) -> None:
        doctor_of = client.stub(SERVICE)
        answer = await doctor_of.Examine(pb.ExamineSwarmRequest(), timeout_s=ANSWER_S)
        problems, names = diagnosis.sentences(answer.nodes), diagnosis.names(answer.nodes)
        if output == render.JSON:
            render.as_json(
                [_document(node, problems.get(node.node_id, [])) for node in answer.nodes]
            )
        else:
            render.table(
                diagnosis.COLUMNS,
                [
                    diagnosis.row(node, names[node.node_id], len(problems.get(node.node_id, ())))
                    for node in answer.nodes
                ],
                wrap="PROBLEMS",
            )
            for node in answer.nodes:
                for sentence in problems.get(node.node_id, ()):
                    click.echo(f"{names[node.node_id]}: {sentence}")
            if not problems:
                click.echo("nothing is wrong")
        if problems:
            raise click.exceptions.Exit(FAILED)

    run(target, work)


def _document(node: Any, problems: list[str]) -> dict[str, Any]:
    return {
        "ID": node.node_id,
        "Hostname": node.hostname,
        "State": node.state,
        "ClockAhead": node.clock_ahead,
        "RoundTrip": node.round_trip,
        "Ways": [
            {
                "ID": way.node_id,
                "Underlay": _trial(way.underlay),
                "Overlay": _trial(way.overlay),
                "Manager": _trial(way.manager),
                "UDP": [_trial(one) for one in way.udp],
            }
            for way in node.found.ways
        ],
        "Tables": [
            {
                "NetworkID": table.applied.network_id,
                "Version": table.applied.version,
                "ChangedAt": table.changed_at,
                "Repaired": table.applied.repaired,
            }
            for table in node.tables
        ],
        "Problems": problems,
    }


def _trial(trial: Any) -> dict[str, Any]:
    if trial.untried:
        return {"Untried": trial.untried}
    return {"Answered": trial.answered, "RoundTrip": trial.round_trip, "MTU": trial.mtu}
