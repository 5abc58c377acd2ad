"""`python -m swarmd.sim SEED...`: run seeds and print what became of them, or a failure's story."""

from __future__ import annotations

import sys
import time

from swarmd.sim.scenario import Failure, run


def main(arguments: list[str]) -> int:
    """Run the seeds given; `FIRST-LAST` is a range."""
    failed = 0
    for argument in arguments:
        first, _, last = argument.partition("-")
        for seed in range(int(first), int(last or first) + 1):
            began = time.perf_counter()
            try:
                result = run(seed)
            except Failure as failure:
                failed += 1
                print(failure, flush=True)
            else:
                took = time.perf_counter() - began
                print(f"{result}  {took:.1f} s", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
