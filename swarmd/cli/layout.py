"""Columns of a table in a given width. Pure.

Cells never lose a word. When a table is too wide, one column, chosen by the caller, wraps first;
when that is not enough the widest columns wrap as well.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from itertools import zip_longest

GAP, NARROW_GAP = 3, 2
# What the chosen column keeps before others have to give, and what any column keeps at all.
ROOM = 28
LEAST = 4


def lay_out(
    columns: Sequence[str], rows: Sequence[Sequence[str]], *, width: int | None, wrap: str
) -> list[str]:
    """The lines of a table, its headings first; without a width every row is one line."""
    cells = [list(columns), *map(list, rows)]
    natural = [max(len(row[index]) for row in cells) for index in range(len(columns))]
    if width is None or sum(natural) + GAP * (len(columns) - 1) <= width:
        return [_line(row, natural, GAP) for row in cells]
    available = width - NARROW_GAP * (len(columns) - 1)
    widths = shrunk(natural, available, first=list(columns).index(wrap))
    return [line for row in cells for line in _wrapped(row, widths)]


def shrunk(natural: Sequence[int], available: int, *, first: int) -> list[int]:
    """Widths that add up to what is available, or the least there can be."""
    widths = list(natural)
    floor = min(natural[first], ROOM)
    widths[first] = max(floor, natural[first] - max(sum(natural) - available, 0))
    while sum(widths) > available:
        # The chosen column has given already: it gives again only when nobody else can.
        others = [index for index in range(len(widths)) if index != first]
        widest = max(others, key=lambda index: widths[index], default=first)
        if widths[widest] <= LEAST:
            widest = first
        if widths[widest] <= LEAST:
            break
        widths[widest] -= 1
    return widths


def _wrapped(row: Sequence[str], widths: Sequence[int]) -> list[str]:
    parts = [
        textwrap.wrap(cell, width, drop_whitespace=True) if len(cell) > width else [cell]
        for cell, width in zip(row, widths, strict=True)
    ]
    return [_line(line, widths, NARROW_GAP) for line in zip_longest(*parts, fillvalue="")]


def _line(cells: Sequence[str], widths: Sequence[int], gap: int) -> str:
    padded = (f"{cell:<{width}}" for cell, width in zip(cells, widths, strict=True))
    return (" " * gap).join(padded).rstrip()
