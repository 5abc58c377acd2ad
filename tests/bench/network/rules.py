"""How long the rules of virtual addresses take in one namespace.

python -m tests.bench.network.rules
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path

from swarmd.lb.core.virtual import VirtualService, VirtualTarget
from swarmd.lb.nft.virtual import NftSpace
from swarmd.network.kernel import netns

ROUNDS = 15
PAUSE_S = 0.1  # the kernel clears away what was deleted, which the next change would wait for


def services(number: int, targets: int) -> dict[str, VirtualService]:
    """So many virtual addresses, each with so many tasks."""
    addresses = count(1)
    return {
        row.address: row
        for row in (
            VirtualService(
                f"10.200.{n // 250}.{1 + n % 250}",
                tuple(_target(next(addresses)) for _ in range(targets)),
            )
            for n in range(number)
        )
    }


def _target(number: int) -> VirtualTarget:
    return VirtualTarget(f"10.{number >> 16}.{(number >> 8) & 255}.{number & 255}")


def took_ms(work: Callable[[], None]) -> tuple[float, float]:
    """Time on the wall, and of the processor: the kernel works on behalf of the caller."""
    begun, used = time.perf_counter(), time.process_time()
    work()
    return (time.perf_counter() - begun) * 1000, (time.process_time() - used) * 1000


def measure(path: Path, number: int, targets: int) -> None:
    """All from nothing, then one service that loses a task and gets it back, in turns."""
    whole = services(number, targets)
    address, row = next(iter(whole.items()))
    fewer = whole | {address: VirtualService(address, row.targets[1:])}
    firsts = []
    for _ in range(3):
        space = NftSpace(path)
        firsts.append(took_ms(lambda space=space: space.bring(whole)))  # type: ignore[misc]
    changes = []
    for turn in range(ROUNDS):
        wanted = whole if turn % 2 else fewer
        time.sleep(PAUSE_S)
        changes.append(took_ms(lambda wanted=wanted: space.bring(wanted)))  # type: ignore[misc]
    print(
        f"{number:5} services × {targets:4} tasks: from nothing {_said(firsts)}; "
        f"one changed {_said(changes)}",
        flush=True,
    )


def _said(rows: list[tuple[float, float]]) -> str:
    median, used = (statistics.median(column) for column in zip(*rows, strict=True))
    return f"{median:.2f} ms (best {min(rows)[0]:.2f}), processor {used:.2f}"


def main() -> None:
    if os.geteuid() != 0:
        print("skipped: it takes root")
        return
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "space"
        netns.create(path)
        try:
            for number, targets in ((1, 10), (1, 100), (1, 1000), (100, 10), (1000, 10)):
                measure(path, number, targets)
        finally:
            netns.remove(path)


if __name__ == "__main__":
    main()
