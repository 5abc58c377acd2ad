"""Rolling updates under load: how many requests fail.

    python -m tests.bench.network.updates [--updates 100] [--order start-first stop-first] [--late]
                                          [--within SECONDS]

Three daemons, and a service for each order of updates, at the same time; clients with kept
connections, with a connection for each request, and over UDP ask through the mesh (by two nodes
each) and by the virtual address, while all tasks of their service are replaced one after another,
time and again. With `--late` the daemon of one node stands still for a second, again and again: it
learns of everything that much later.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import math
import os
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from tests.bench.network.ground import NAMES, PUBLISHED, Ground, ground
from tests.bench.network.loads import PORT, Client, Outcome

MODES = ("keep", "close", "udp")
LATE = "w2"
STILL_S, MOVING_S = 1.0, 0.5
PAUSE_US = 10_000
UPDATE_LONGEST_S = 300.0
CONNECTIONS = 4
DRAIN = "1s"


class Row(NamedTuple):
    """A client, by what it is called in the report."""

    name: str
    client: Client


def clients(ground: Ground, service: str, published: int) -> list[Row]:
    """All clients of a service, at work at once."""
    outside = ground.swarm.machines.client
    virtual_ip = ground.virtual_ip(service)

    def a_client(mode: str, prefix: list[str], address: str, port: int) -> Client:
        return Client(
            ground.program,
            prefix,
            mode,
            address,
            port=port,
            connections=CONNECTIONS,
            pause_us=PAUSE_US,
        )

    rows = []
    for mode in MODES:
        for name in NAMES[1:]:
            entry = ground.swarm.machines.by_name[name].address
            client = a_client(mode, outside.command([]), entry, published)
            rows.append(Row(f"mesh by {name}, {mode}", client))
            client = a_client(mode, ground.asker(name), virtual_ip, PORT)
            rows.append(Row(f"virtual address on {name}, {mode}", client))
    return rows


@contextlib.contextmanager
def standing_still(ground: Ground, is_late: bool) -> Iterator[None]:
    """One daemon that is a second late with everything."""
    over = threading.Event()
    process = ground.swarm.daemons[LATE].pid

    def again_and_again() -> None:
        while not over.is_set():
            os.kill(process, signal.SIGSTOP)
            time.sleep(STILL_S)
            os.kill(process, signal.SIGCONT)
            over.wait(MOVING_S)

    thread = threading.Thread(target=again_and_again)
    if is_late:
        thread.start()
    try:
        yield
    finally:
        over.set()
        if is_late:
            thread.join()


class Run(NamedTuple):
    """What became of all updates of one order, and of the requests meanwhile."""

    order: str
    took_s: list[float]
    outcomes: dict[str, Outcome]

    @property
    def failed(self) -> int:
        return sum(outcome.errors for outcome in self.outcomes.values())


def run(ground: Ground, order: str, published: int, updates: int, end_at_s: float) -> Run:
    """Make a service that is updated in this order, and update it so often under load.

    No update begins after `end_at_s` of the monotonic clock.
    """
    ports = (f"{published}:{PORT}", f"{published}:{PORT}/udp")
    ground.serve(
        order,
        *("--replicas", "3", "--drain-timeout", DRAIN, "--stop-grace-period", "5s"),
        *("--update-monitor", "100ms", "--update-order", order),
        *(word for port in ports for word in ("--publish", port)),
    )
    rows = clients(ground, order, published)
    took_s: list[float] = []
    try:
        while len(took_s) < updates and (begun := time.monotonic()) < end_at_s:
            ground.swarm.command(
                *(ground.first, "service", "update", "-q", "--force", order),
                timeout_s=UPDATE_LONGEST_S,
            )
            took_s.append(time.monotonic() - begun)
        return Run(order, took_s, {row.name: row.client.end() for row in rows})
    finally:
        for row in rows:
            row.client.kill()


def run_all(
    ground: Ground,
    orders: Sequence[str],
    updates: int,
    *,
    is_late: bool,
    within_s: float = math.inf,
) -> list[Run]:
    """All orders side by side."""
    end_at_s = time.monotonic() + within_s
    with standing_still(ground, is_late), ThreadPoolExecutor() as pool:
        ports = itertools.count(PUBLISHED)
        begun = [
            pool.submit(run, ground, order, next(ports), updates, end_at_s) for order in orders
        ]
        return [one.result() for one in begun]


def show(run: Run, *, is_late: bool) -> None:
    late = ", one node a second late" if is_late else ""
    each_s = sum(run.took_s) / len(run.took_s)
    print(f"{run.order}{late}: {len(run.took_s)} updates of 3 tasks, {each_s:.1f} s each")
    for name, outcome in run.outcomes.items():
        print(f"  {name:32} {describe(outcome)}", flush=True)


def describe(outcome: Outcome) -> str:
    said = (
        f"{outcome.requests:8} requests, {outcome.errors:4} failed, "
        f"longest {outcome.longest_us / 1000:.0f} ms"
    )
    if outcome.resent:
        said += f", {outcome.resent} datagrams sent again"
    kinds: dict[str, int] = {}
    for failure in outcome.failures:
        kinds[failure.what] = kinds.get(failure.what, 0) + 1
    return "; ".join((said, *(f"{count} × {what}" for what, count in kinds.items())))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--updates", type=int, default=50, help="of each order")
    parser.add_argument("--order", nargs="+", default=["start-first", "stop-first"])
    parser.add_argument("--late", action="store_true")
    parser.add_argument("--within", type=float, default=math.inf, help="seconds; then no more")
    wanted = parser.parse_args()
    with ground() as made:
        runs = run_all(
            made, wanted.order, wanted.updates, is_late=wanted.late, within_s=wanted.within
        )
    for run in runs:
        show(run, is_late=wanted.late)
    asked = sum(outcome.requests for run in runs for outcome in run.outcomes.values())
    print(f"failed: {sum(run.failed for run in runs)} of {asked}")


if __name__ == "__main__":
    main()
