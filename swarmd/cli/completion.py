"""`swarmd completion`: completion scripts, and what they ask while a person types."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import click

from swarmd.runtime.timeouts import timeout

if TYPE_CHECKING:
    from swarmd.cli.client import Client

SHELLS = ("bash", "zsh", "fish")
VARIABLE = "_SWARMD_COMPLETE"
ANSWER_S = 1.0


@click.command()
@click.argument("shell", type=click.Choice(SHELLS))
def completion(shell: str) -> None:
    """Print the completion for a shell.

    \b
    bash:  source <(swarmd completion bash)
    zsh:   source <(swarmd completion zsh)
    fish:  swarmd completion fish | source
    """
    from click.shell_completion import get_completion_class

    from swarmd.cli.main import cli

    completer = get_completion_class(shell)
    assert completer is not None
    click.echo(completer(cli, {}, "swarmd", VARIABLE).source())


def service_names(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Names of services that begin like the word; none when the daemon does not answer."""

    async def ask(client: Client) -> list[str]:
        return [service.spec.name for service in await client.services()]

    return _begin_with(incomplete, ctx, ask)


def node_names(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Host names of nodes that begin like the word; none when the daemon does not answer."""

    async def ask(client: Client) -> list[str]:
        return [listed.node.hostname for listed in await client.nodes()]

    return _begin_with(incomplete, ctx, ask)


def _begin_with(
    incomplete: str, ctx: click.Context, ask: Callable[[Client], Awaitable[list[str]]]
) -> list[str]:
    import asyncio

    from swarmd.cli.client import connected
    from swarmd.cli.errors import CliError
    from swarmd.cli.target import Target

    async def names() -> list[str]:
        params = ctx.find_root().params
        target = ctx.obj or Target.chosen(
            host=params.get("host"), state_dir=params.get("state_dir")
        )
        async with timeout(ANSWER_S), connected(target) as client:
            return await ask(client)

    try:
        found = asyncio.run(names())
    except (CliError, TimeoutError):
        return []
    return sorted(name for name in set(found) if name.startswith(incomplete))
