"""Commands on several things: one that fails does not keep the others from being done."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

import click

from swarmd.cli.client import explained
from swarmd.cli.errors import CliError
from swarmd.rpc.errors import RpcError


async def each_or_fail(words: Sequence[str], act: Callable[[str], Awaitable[str]]) -> None:
    """Print what `act` answers for each word; fail at the end with the last failure, if any."""
    failures: list[CliError] = []
    for word in words:
        try:
            click.echo(await act(word))
        except CliError as error:
            failures.append(error)
        except RpcError as error:
            failures.append(explained(error))
    for failure in failures[:-1]:
        failure.show()
    if failures:
        raise failures[-1]
