"""`swarmd token`: how other machines join."""

from __future__ import annotations

import click

from swarmd.cli.target import Target


@click.command()
@click.option("--rotate", is_flag=True, help="Make a new token; the old one stops working.")
@click.option("-q", "--quiet", is_flag=True, help="Print the token only.")
@click.argument("role", type=click.Choice(["worker", "manager"]))
@click.pass_obj
def token(target: Target, /, role: str, rotate: bool, quiet: bool) -> None:
    """Show the token that nodes join with, as workers or as managers."""
    from swarmd.cli.client import Client, run

    async def work(client: Client) -> None:
        cluster = (
            await client.rotate_token(worker=role == "worker", manager=role == "manager")
            if rotate
            else await client.cluster()
        )
        tokens = cluster.root_ca.join_tokens
        text = tokens.worker if role == "worker" else tokens.manager
        if quiet:
            click.echo(text)
            return
        if rotate:
            click.echo(f"the {role} token was replaced; nodes that joined with the old one stay")
        click.echo(f"to add a {role}:  swarmd join --token {text} {(await client.info()).addr}")

    run(target, work)
