"""How long a swarm of real daemons takes to be writable again after its leader was killed.

    python -m tests.bench.failover [--rounds 20]

Three managers run on this machine. Each round kills the leader's daemon with SIGKILL and asks the
other managers, over their control sockets, for a write until one is accepted; then the killed
daemon is started again. Every accepted write is looked for afterwards: none may be missing.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import statistics
import time

from demo.machines import Machine, machines
from demo.swarm import Swarm, wait_until
from tests.support.managers import MANAGERS, names, settled, three_managers, write

PAUSE_S = 0.02


async def until_written(others: list[Machine], name: str) -> float:
    """Seconds until one of the managers has accepted the write; they are asked in parallel."""
    begun = time.monotonic()
    done = asyncio.Event()

    async def ask(machine: Machine) -> None:
        while not done.is_set():
            if await write(machine, name):
                done.set()
            else:
                await asyncio.sleep(PAUSE_S)

    async with asyncio.TaskGroup() as tasks:
        asking = [tasks.create_task(ask(machine)) for machine in others]
        await done.wait()
        took = time.monotonic() - begun
        for task in asking:
            task.cancel()
    return took


def one_round(swarm: Swarm, number: int) -> float:
    nodes = swarm.machines.nodes()
    wait_until(lambda: settled(swarm), what="three managers to see each other")
    leader = swarm.leader(nodes[0])
    assert leader is not None
    process = swarm.daemons[leader.name]
    os.kill(process.pid, signal.SIGKILL)
    took = asyncio.run(until_written([m for m in nodes if m is not leader], f"after-{number}"))
    process.wait()
    leader.socket.unlink()
    swarm.start_daemon(leader)
    return took


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    rounds = parser.parse_args().rounds
    with machines(MANAGERS) as made:
        swarm = Swarm(made)
        try:
            three_managers(swarm)
            times = [one_round(swarm, number) for number in range(rounds)]
            wait_until(lambda: settled(swarm), what="the last daemon to be a manager again")
            present = asyncio.run(names(made.by_name["m2"]))
        finally:
            swarm.stop()
    lost = {f"after-{number}" for number in range(rounds)} - present
    print(f"leader killed -> write accepted, {rounds} rounds, seconds:")
    print(f"  median {statistics.median(times):.2f}  worst {max(times):.2f}  best {min(times):.2f}")
    print(f"  acknowledged writes lost: {len(lost)}")


if __name__ == "__main__":
    main()
