"""The terminal in front of the person: its size, and letting every key through."""

from __future__ import annotations

import os
import sys
import termios
import tty
from types import TracebackType
from typing import Any


def terminal_size() -> tuple[int, int]:
    """Rows and columns; zeros where there is no terminal."""
    for stream in (sys.__stdout__, sys.__stdin__, sys.__stderr__):
        try:
            if stream is not None:
                columns, rows = os.get_terminal_size(stream.fileno())
                return rows, columns
        except (OSError, ValueError):
            continue
    return 0, 0


class Terminal:
    """Within the block, with `raw`, keys are passed on as they are typed, control keys included."""

    def __init__(self, *, raw: bool) -> None:
        self._raw = raw
        self._kept: list[Any] | None = None

    def __enter__(self) -> None:
        if self._raw:
            descriptor = sys.stdin.fileno()
            self._kept = termios.tcgetattr(descriptor)
            tty.setraw(descriptor, termios.TCSADRAIN)  # what was typed already is kept

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._kept is not None:
            termios.tcsetattr(sys.stdin.fileno(), termios.TCSADRAIN, self._kept)
