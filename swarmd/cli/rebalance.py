"""`swarmd rebalance`: tasks move to where they would be placed today.

The leader begins as many moves as the swarm's settings allow under way, and is asked again until
nothing is left to move; so the command can be interrupted at any time, and goes on with the next
leader if there is an election.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from swarmd.cli.completion import service_names
from swarmd.cli.params import DURATION
from swarmd.cli.target import Target

if TYPE_CHECKING:
    from swarmd.cli.client import Client
    from swarmd.rpc.pb import cluster as pb

POLL_S = 0.5
ANSWER_S = 120.0


@click.command()
@click.option("--dry-run", is_flag=True, help="Only say what would be moved, and why.")
@click.option("-d", "--detach", is_flag=True, help="Begin as many moves as may be, and end.")
@click.option("--timeout", type=DURATION, help="Stop waiting after so long, with exit code 124.")
@click.option("--format", "output", type=click.Choice(["text", "json"]), default="text")
@click.argument("services", nargs=-1, metavar="[SERVICE...]", shell_complete=service_names)
@click.pass_obj
def rebalance(
    target: Target,
    /,
    services: tuple[str, ...],
    dry_run: bool,
    detach: bool,
    timeout: int | None,
    output: str,
) -> None:
    """Move tasks to where the scheduler would rather have them, for example on nodes that joined.

    Of every task that moves, the new one runs before the old one is told to stop.

    \b
    swarmd rebalance --dry-run
    swarmd rebalance web api
    """
    from swarmd.cli.client import run

    async def work(client: Client) -> None:
        if dry_run:
            answer = await _ask(client, services, dry_run=True)
            _show_plan(answer, output)
        else:
            await _Run(client, services, target, output).until_done(detach, timeout)

    run(target, work)


async def _ask(client: Client, services: tuple[str, ...], *, dry_run: bool) -> pb.RebalanceResponse:
    from swarmd.rpc.pb import cluster as pb

    request = pb.RebalanceRequest(services=services, dry_run=dry_run)
    answer: pb.RebalanceResponse = await client.ask_leader("Rebalance", request, ANSWER_S)
    return answer


class _Run:
    """One rebalance from its first move to its last."""

    def __init__(
        self, client: Client, services: tuple[str, ...], target: Target, output: str
    ) -> None:
        from swarmd.cli import render

        self._client = client
        self._services = services
        self._clock = target.clock
        self._as_json = output == render.JSON
        self._begun: dict[tuple[str, str], pb.Move] = {}

    async def until_done(self, detach: bool, timeout_ns: int | None) -> None:
        import asyncio

        from swarmd.cli.errors import TIMED_OUT, CliError

        until = None if timeout_ns is None else self._clock.monotonic() + timeout_ns
        while True:
            asked = self._clock.monotonic()
            answer = await _ask(self._client, self._services, dry_run=False)
            took_s = (self._clock.monotonic() - asked) / 1e9
            new = self._begin(answer)
            if detach or not (answer.moves or answer.under_way) or (answer.started and not new):
                await self._conclude(answer, detach)
                return
            if until is not None and self._clock.monotonic() >= until:
                left = max(len(answer.moves) - answer.started, 0)
                raise CliError(
                    f"{answer.under_way} moves are still under way, and {left} or more to be made",
                    hint="moves under way come to their end",
                    exit_code=TIMED_OUT,
                )
            await asyncio.sleep(max(POLL_S, took_s))  # a large swarm is not asked all the time

    def _begin(self, answer: pb.RebalanceResponse) -> bool:
        """Say which moves have begun; False if all of them had been begun before, in vain."""
        new = False
        for move in answer.moves[: answer.started]:
            key = (move.task_id, move.to_node)
            if key in self._begun:
                continue
            new = True
            self._begun[key] = move
            if not self._as_json:
                click.echo(_sentence(move))
        return new

    async def _conclude(self, answer: pb.RebalanceResponse, detach: bool) -> None:
        from swarmd.cli import render
        from swarmd.cli.errors import CliError

        begun = list(self._begun.values())
        stayed = [] if detach else [move for move in begun if await self._stays(move)]
        if self._as_json:
            moved = [_move_document(move) for move in begun if move not in stayed]
            failed = [_move_document(move) for move in stayed]
            render.as_json({"Moves": moved, "Failed": failed, "Notes": list(answer.notes)})
        else:
            for note in answer.notes:
                click.echo(f"note: {note}")
        if stayed:
            names = ", ".join(f"{move.task} to {move.to_node}" for move in stayed)
            raise CliError(
                f"{len(stayed)} of {len(begun)} tasks could not be moved: {names}",
                hint="`swarmd service ps` shows why the new tasks failed",
            )
        if not self._as_json:
            verb = "begun to move" if detach else "moved"
            tasks = "1 task" if len(begun) == 1 else f"{len(begun)} tasks"
            click.echo(f"{tasks} {verb}" if begun else "nothing to move")

    async def _stays(self, move: pb.Move) -> bool:
        """Whether the task that was to move runs where it was."""
        from swarmd.model.states import TaskState

        task = await self._client.find_task(move.task_id)
        return task is not None and task.desired_state <= TaskState.RUNNING


def _show_plan(answer: pb.RebalanceResponse, output: str) -> None:
    from swarmd.cli import render

    if output == render.JSON:
        moves = [_move_document(move) for move in answer.moves]
        render.as_json({"Moves": moves, "UnderWay": answer.under_way, "Notes": list(answer.notes)})
        return
    if answer.moves:
        render.table(
            ("TASK", "FROM", "TO", "WHY"),
            [(move.task, move.from_node, move.to_node, move.reason) for move in answer.moves],
            wrap="WHY",
        )
    else:
        click.echo("nothing to move")
    for note in answer.notes:
        click.echo(f"note: {note}")


def _sentence(move: pb.Move) -> str:
    return f"{move.task} moves from {move.from_node} to {move.to_node}: {move.reason}"


def _move_document(move: pb.Move) -> dict[str, Any]:
    return {
        "TaskID": move.task_id,
        "Task": move.task,
        "From": move.from_node,
        "To": move.to_node,
        "Reason": move.reason,
    }
