"""Where progress is shown: a bar per service on a terminal, lines elsewhere, or nowhere."""

from __future__ import annotations

import sys
from typing import Any, Protocol

import click

from swarmd.cli import render
from swarmd.cli.convergence import Phase, Progress
from swarmd.model.instant import SECOND

BAR_WIDTH = 20


class Display(Protocol):
    def show(self, name: str, state: Progress, elapsed_ns: int) -> None:
        """Show the present state of a service."""
        ...

    def finish(self) -> None:
        """Leave what was shown last; nothing more is shown. May be called again."""
        ...


def choose(*, quiet: bool, as_json: bool) -> Display:
    """The display that was asked for, or else the one that fits where standard output goes."""
    if as_json:
        return Documents()
    if quiet:
        return Silence()
    return Bars() if sys.stdout.isatty() else Lines()


class Silence:
    def show(self, name: str, state: Progress, elapsed_ns: int) -> None:
        """Nothing."""

    def finish(self) -> None:
        """Nothing."""


class Documents:
    """One object per service with the state it was left in, for programs."""

    def __init__(self) -> None:
        self._latest: dict[str, tuple[Progress, int]] = {}

    def show(self, name: str, state: Progress, elapsed_ns: int) -> None:
        self._latest[name] = (state, elapsed_ns)

    def finish(self) -> None:
        latest, self._latest = self._latest, {}
        render.json_lines(
            [
                {
                    "Name": name,
                    "Phase": state.phase.value,
                    "Running": state.running,
                    "Wanted": state.wanted,
                    "Note": state.note,
                    "Problems": list(state.problems),
                    "Seconds": round(elapsed_ns / SECOND, 3),
                }
                for name, (state, elapsed_ns) in latest.items()
            ]
        )


def summary(state: Progress, elapsed_ns: int) -> str:
    """`3/5 running`, with the time when it is done and the reason while it is not."""
    counts = f"{state.running}/{state.wanted} {state.word}"
    if state.phase is Phase.DONE:
        note = f" ({state.note})" if state.note else ""
        return f"{counts}{note}  {elapsed_ns / SECOND:.1f} s"
    reasons = [reason for reason in (state.note, *state.problems[:1]) if reason]
    return f"{counts}  {'; '.join(reasons)}" if reasons else counts


class Lines:
    """One line whenever a service's state has changed, without the running clock."""

    def __init__(self) -> None:
        self._shown: dict[str, Progress] = {}

    def show(self, name: str, state: Progress, elapsed_ns: int) -> None:
        if self._shown.get(name) != state:
            self._shown[name] = state
            click.echo(f"{name}: {summary(state, elapsed_ns)}")

    def finish(self) -> None:
        """Lines stay as they are."""


class Bars:
    """A line per service with a bar, redrawn in place."""

    def __init__(self) -> None:
        from rich.live import Live

        self._rows: dict[str, tuple[Progress, int]] = {}
        self._live = Live(auto_refresh=False, transient=False)
        self._live.start()

    def show(self, name: str, state: Progress, elapsed_ns: int) -> None:
        self._rows[name] = (state, elapsed_ns)
        self._live.update(self._drawn(), refresh=True)

    def finish(self) -> None:
        self._live.stop()

    def _drawn(self) -> Any:
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        grid = Table.grid(padding=(0, 1))
        for name, (state, elapsed_ns) in self._rows.items():
            bar = ProgressBar(
                total=max(state.wanted, 1),
                completed=min(state.running, state.wanted) if state.wanted else 1,
                width=BAR_WIDTH,
            )
            style = {Phase.DONE: "green", Phase.FAILED: "red"}.get(state.phase, "")
            grid.add_row(Text(f"{name}:"), bar, Text(summary(state, elapsed_ns), style=style))
        return grid
