"""What encryption costs: processor time per megabyte and request, beside a network in the clear.

    python -m tests.bench.network.crypt [--rounds 5] [--seconds 2]

Two nodes as namespaces, a task on each. What the kernel does for a packet is done, and counted, in
the process that sends it; what carries tunnels is counted as well. The kernel encrypts in threads
of its own, which are counted nowhere: of its mechanisms only rates can be compared.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from swarmd.model.ids import TaskId
from swarmd.model.network import Mechanism
from swarmd.network.crypt.encryption import lacking
from tests.bench.network.loads import PORT, Client, compiled, in_namespace
from tests.bench.network.loads import missing as load_missing
from tests.bench.network.paths import server_used_us
from tests.support.crypt_contract import CryptWorld, crypt_world

CONNECTIONS = {"bulk": 4, "keep": 16}
UNITS = {"bulk": "us per MB", "keep": "us per request on kept connections"}
_US_PER_TICK = 1_000_000 // os.sysconf("SC_CLK_TCK")

Ways = dict[str, Mechanism | None]


def ways() -> Ways:
    """All that this machine has; the one without comes first."""
    missing = lacking()
    return {"clear": None} | {one.value: one for one in Mechanism if one not in missing}


def carriers_used_us(world: CryptWorld) -> int:
    """The processor time of what carries the tunnels of both nodes."""
    used = 0
    for member in world.members.values():
        pid = member.tunnel.carrier_pid
        if pid is not None:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            used += (int(fields[11]) + int(fields[12])) * _US_PER_TICK
    return used


@contextlib.contextmanager
def serving(program: Path, space: Path, address: str) -> Iterator[None]:
    """A server in a namespace, from the time that it answers."""
    words = [*in_namespace(space), str(program), "serve", str(PORT)]
    with subprocess.Popen(words, stdin=subprocess.DEVNULL) as server:
        try:
            while True:
                with contextlib.suppress(ConnectionRefusedError):
                    server_used_us(space, address)
                    break
                time.sleep(0.02)
            yield
        finally:
            server.kill()


async def measure(
    mechanism: Mechanism | None, mode: str, program: Path, seconds: int
) -> tuple[float, float]:
    """Cost and rate: of a megabyte, or of a request."""
    async with crypt_world(mechanism) as world:
        await world.settle()
        here, there = world.members["n1"].task, world.members["n2"].task
        [address] = world.table.endpoints[TaskId("n2")].addresses

        def load() -> tuple[float, float]:
            with serving(program, there, address):
                before = server_used_us(there, address) + carriers_used_us(world)
                outcome = Client(
                    program,
                    in_namespace(here),
                    mode,
                    address,
                    port=PORT,
                    seconds=seconds,
                    connections=CONNECTIONS[mode],
                ).outcome()
                after = server_used_us(there, address) + carriers_used_us(world)
            if outcome.errors:
                print(f"{mechanism}, {mode}: {outcome.errors} errors {outcome.failures[:2]}")
            count = outcome.bytes / 1e6 if mode == "bulk" else outcome.requests
            used = outcome.used_us + after - before
            return used / count, count / outcome.spent_us * 1e6

        return await asyncio.to_thread(load)


async def run(rounds: int, seconds: int, program: Path) -> None:
    found = ways()
    for mode, unit in UNITS.items():
        costs: dict[str, list[float]] = {name: [] for name in found}
        rates: dict[str, list[float]] = {name: [] for name in found}
        for _ in range(rounds):
            for name, mechanism in found.items():
                cost, rate = await measure(mechanism, mode, program, seconds)
                costs[name].append(cost)
                rates[name].append(rate)
        print(unit)
        base_cost, base_rate = (statistics.median(one["clear"]) for one in (costs, rates))
        for name in found:
            cost, rate = statistics.median(costs[name]), statistics.median(rates[name])
            print(
                f"  {name:10} {cost:9.1f}   cost ratio {base_cost / cost:.2f}   "
                f"{rate:11,.0f}/s   rate ratio {rate / base_rate:.2f}"
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=2)
    wanted = parser.parse_args()
    if load_missing():
        raise SystemExit(f"skipped: {load_missing()}")
    with tempfile.TemporaryDirectory() as directory:
        asyncio.run(run(wanted.rounds, wanted.seconds, compiled(Path(directory))))


if __name__ == "__main__":
    main()
