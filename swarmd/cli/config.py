"""`swarmd config`: create, list, inspect and remove configs."""

from __future__ import annotations

import click

from swarmd.cli.files import file_commands


@click.group(commands=file_commands("config"))
def config() -> None:
    """Configs that services are given."""
