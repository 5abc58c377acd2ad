"""A swarmd daemon that samples its own stack: `python -m tests.bench.swarm.profiled FILE …`.

A timer of processor time interrupts the main thread a thousand times per second of work; where it
was is counted. What is left in FILE when the daemon ends by SIGTERM, or whenever it gets SIGUSR2,
is the share of every function with all it called, the hottest lines, and the callbacks that held
the event loop longest, in processor time.
"""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from collections import Counter
from pathlib import Path
from types import FrameType

INTERVAL_S = 0.001
ROWS = 70
HELD_MS_MIN = 20
HELD_ROWS = 30


class Sampler:
    """Counts where the main thread is."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._alone: Counter[str] = Counter()
        self._within: Counter[str] = Counter()
        self._held: list[tuple[float, str]] = []
        self._samples = 0
        self._writing = False

    def start(self) -> None:
        signal.signal(signal.SIGPROF, self._sample)
        signal.signal(signal.SIGUSR2, lambda _number, _frame: self.write())
        signal.setitimer(signal.ITIMER_PROF, INTERVAL_S, INTERVAL_S)
        self._time_callbacks()

    def write(self) -> None:
        """Write what was counted since the last time, and begin anew."""
        # The timer goes on, and must not count into what is being read.
        self._writing = True
        self._write()
        self._writing = False

    def _write(self) -> None:
        lines = [f"{self._samples} samples"]
        for title, counts in (("within", self._within), ("alone", self._alone)):
            lines += ["", title]
            lines += [
                f"{100 * count / max(self._samples, 1):5.1f} % {place}"
                for place, count in counts.most_common(ROWS)
            ]
        lines += ["", "held the loop, ms"]
        lines += [f"{ms:6.0f} {what}" for ms, what in sorted(self._held, reverse=True)[:HELD_ROWS]]
        with self._path.open("a") as file:
            file.write("\n".join(lines) + "\n\n")
        self._alone.clear()
        self._within.clear()
        self._held.clear()
        self._samples = 0

    def _time_callbacks(self) -> None:
        run = asyncio.Handle._run

        def timed(handle: asyncio.Handle) -> None:
            begun = time.thread_time()
            run(handle)
            ms = (time.thread_time() - begun) * 1000
            if ms >= HELD_MS_MIN:
                self._held.append((ms, repr(handle)[:300]))

        asyncio.Handle._run = timed  # type: ignore[assignment, method-assign]

    def _sample(self, _number: int, frame: FrameType | None) -> None:
        if self._writing:
            return
        self._samples += 1
        seen = set()
        if frame is not None:
            self._alone[f"{_place(frame)}:{frame.f_lineno}"] += 1
        while frame is not None:
            place = _place(frame)
            if place not in seen:
                seen.add(place)
                self._within[place] += 1
            frame = frame.f_back


def _place(frame: FrameType) -> str:
    code = frame.f_code
    return f"{'/'.join(code.co_filename.split('/')[-2:])}:{code.co_qualname}"


def main() -> None:
    path = Path(sys.argv.pop(1))
    from swarmd.cli.main import cli

    sampler = Sampler(path)
    sampler.start()
    try:
        cli(prog_name="swarmd")
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        sampler.write()


if __name__ == "__main__":
    main()
