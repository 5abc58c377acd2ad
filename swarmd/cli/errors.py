"""How commands fail: a sentence, a next step, an exit code."""

from __future__ import annotations

from typing import IO, Any

import click

REFUSED = 1
USAGE = 2
TIMED_OUT = 124

NO_SWARM_HINT = "run `swarmd init` to found a swarm, or `swarmd join` to become part of one"
NOT_MANAGER_HINT = (
    "run this on a manager (with -H for another daemon of this machine), or promote this node"
)


class CliError(click.ClickException):
    """A command that cannot go on; printed as `Error: sentence` with a hint below."""

    def __init__(self, message: str, *, hint: str = "", exit_code: int = REFUSED) -> None:
        super().__init__(message)
        self.hint = hint
        self.exit_code = exit_code  # type: ignore[misc] # click declares it for classes

    def show(self, file: IO[Any] | None = None) -> None:
        click.echo(f"Error: {self.message}", file=file, err=file is None)
        if self.hint:
            click.echo(f"       {self.hint}", file=file, err=file is None)
