"""Tables that fit the terminal, JSON for programs, ids alone for scripts.

On a terminal long cells wrap within their column; in a pipe every row is one line, whatever its
length, so that tools can cut it.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

import click
import msgspec

TABLE, JSON = "table", "json"
PIPE_WIDTH = 100_000


def table(columns: Sequence[str], rows: Sequence[Sequence[str]], *, wrap: str = "") -> None:
    """Print rows under their headings.

    Args:
        wrap: the column that gives way when the terminal is narrow; all others stay whole if they
            can.
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    on_terminal = sys.stdout.isatty()
    width = None if on_terminal else PIPE_WIDTH
    console = Console(file=sys.stdout, width=width, highlight=False)
    grid = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 3, 0, 0))
    for column in columns:
        grid.add_column(column, overflow="fold", no_wrap=bool(wrap) and column != wrap)
    for row in rows:
        grid.add_row(*(Text(cell) for cell in row))
    with console.capture() as capture:
        console.print(grid)
    for line in capture.get().splitlines():
        click.echo(line.rstrip())


def as_json(value: Any) -> None:
    """Print a record, or a list of them, as indented JSON in the names of the Docker API."""
    encoded = msgspec.json.encode(value)
    click.echo(msgspec.json.format(encoded, indent=4).decode())


def json_lines(values: Sequence[Mapping[str, Any]]) -> None:
    """One object per line, as `--format json` of the Docker CLI prints lists."""
    for value in values:
        click.echo(msgspec.json.encode(value).decode())
