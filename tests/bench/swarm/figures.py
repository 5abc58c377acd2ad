"""What was measured: printed as it comes, laid side by side in the end."""

from __future__ import annotations

from typing import NamedTuple


class Figure(NamedTuple):
    """One measured value. `more_is_better` decides which way the ratio is read."""

    name: str
    value: float
    unit: str
    more_is_better: bool


class Figures:
    """The figures of one cluster, in the order in which they were measured."""

    def __init__(self, title: str) -> None:
        self.title = title
        self.all: list[Figure] = []

    def rate(self, name: str, count: int, seconds: float, note: str = "") -> None:
        """So many things per second; more is better."""
        self._add(Figure(name, count / seconds, "/s", more_is_better=True), note)

    def cost(self, name: str, value: float, unit: str, note: str = "") -> None:
        """A time, a share or a size; less is better."""
        self._add(Figure(name, value, unit, more_is_better=False), note)

    def _add(self, figure: Figure, note: str) -> None:
        self.all.append(figure)
        suffix = f"  ({note})" if note else ""
        print(f"  {self.title}: {figure.name}: {shown(figure)}{suffix}", flush=True)


def shown(figure: Figure) -> str:
    digits = 0 if figure.value >= 100 else 1 if figure.value >= 10 else 2
    return f"{figure.value:,.{digits}f} {figure.unit}"


def table(ours: list[Figure], theirs: list[Figure]) -> str:
    """A Markdown table of both; the ratio is above 1 where ours is better."""
    peers = {figure.name: figure for figure in theirs}
    lines = ["| | swarmd | Docker Swarm | times better |", "|---|---|---|---|"]
    for figure in ours:
        peer = peers.get(figure.name)
        lines.append(
            f"| {figure.name} | {shown(figure)} | {shown(peer) if peer else '–'} "
            f"| {_ratio(figure, peer)} |"
        )
    return "\n".join(lines)


def _ratio(ours: Figure, theirs: Figure | None) -> str:
    if theirs is None or not ours.value or not theirs.value:
        return "–"
    quotient = ours.value / theirs.value
    return f"{quotient if ours.more_is_better else 1 / quotient:.1f}"
