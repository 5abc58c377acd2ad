"""`swarmd token`: how other machines join."""

from __future__ import annotations

import click

from swarmd.cli.target import Target

ROLES = ("worker", "manager")


@click.command()
@click.option("--rotate", is_flag=True, help="Make a new token; the old one stops working.")
@click.option("-q", "--quiet", is_flag=True, help="Print the token only.")
@click.option("--format", "output", type=click.Choice(["text", "json"]), default="text")
@click.argument("role", type=click.Choice(ROLES), required=False, metavar="[worker|manager]")
@click.pass_obj
def token(target: Target, /, role: str | None, rotate: bool, quiet: bool, output: str) -> None:
    """Show the tokens that nodes join with, as workers or as managers.

    \b
    swarmd token
    swarmd token --rotate worker
    """
    from swarmd.cli import render
    from swarmd.cli.client import Client, run

    if role is None and (rotate or quiet):
        flag = "--rotate" if rotate else "--quiet"
        raise click.UsageError(f"{flag} needs a role: worker or manager")
    roles = (role,) if role else ROLES

    async def work(client: Client) -> None:
        cluster = (
            await client.rotate_token(worker=role == "worker", manager=role == "manager")
            if rotate
            else await client.cluster()
        )
        tokens = cluster.root_ca.join_tokens
        shown = {name: tokens.worker if name == "worker" else tokens.manager for name in roles}
        if quiet:
            click.echo(shown[roles[0]])
            return
        addr = (await client.info()).addr
        if output == render.JSON:
            render.json_lines(
                [{"Role": name, "Token": text, "Addr": addr} for name, text in shown.items()]
            )
            return
        if rotate:
            click.echo(f"the {role} token was replaced; nodes that joined with the old one stay")
        for name, text in shown.items():
            click.echo(f"to add a {name}:  swarmd join --token {text} {addr}")

    run(target, work)
