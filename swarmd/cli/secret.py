"""`swarmd secret`: create, list, inspect and remove secrets."""

from __future__ import annotations

import click

from swarmd.cli.files import file_commands


@click.group(commands=file_commands("secret"))
def secret() -> None:
    """Secrets that services are given."""
