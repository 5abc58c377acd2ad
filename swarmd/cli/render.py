"""Tables that fit the terminal, and JSON for programs."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import click
import msgspec

from swarmd.cli.layout import lay_out

TABLE, JSON = "table", "json"


def table(columns: Sequence[str], rows: Sequence[Sequence[str]], *, wrap: str) -> None:
    """Print rows under their headings.

    In a pipe every row is one line, whatever its length, so that tools can cut it.

    Args:
        wrap: the column that gives way first when the terminal is narrow.
    """
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    for line in lay_out(columns, rows, width=width, wrap=wrap):
        click.echo(line)


def fields(rows: Mapping[str, str]) -> None:
    """Print names with their values below each other, without those that are empty."""
    present = {name: value for name, value in rows.items() if value}
    width = max(map(len, present), default=0) + 2
    for name, value in present.items():
        click.echo(f"{name + ':':<{width}}{value}")


def as_json(value: Any) -> None:
    """Print documents as indented JSON."""
    click.echo(msgspec.json.format(msgspec.json.encode(value), indent=4).decode())


def json_lines(values: Sequence[Mapping[str, Any]]) -> None:
    """One object per line, as `--format json` of the Docker CLI prints lists."""
    for value in values:
        click.echo(msgspec.json.encode(value).decode())
