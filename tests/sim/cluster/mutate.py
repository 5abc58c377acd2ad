"""`python -m tests.sim.cluster.mutate [NAME...]`: which seed catches which deliberate mistake.

Prints, for each, the seed, the time it took, and what was complained of. The seeds are worth
writing down in `mutations.py`: the test begins with them.
"""

from __future__ import annotations

import sys
import time

from tests.sim.cluster.mutation import caught
from tests.sim.cluster.mutations import MUTATIONS

SEEDS = 200
COMPLAINT_MAX = 110


def main(names: list[str]) -> int:
    """Run all mutations, or those whose names contain one of the words given."""
    missed = 0
    for mutation in MUTATIONS:
        if names and not any(word in mutation.name for word in names):
            continue
        began = time.process_time()
        found = caught(mutation, seeds=SEEDS)
        took = time.process_time() - began
        missed += found is None
        what = f"seed {found.seed:<4}" if found is not None else "NOT CAUGHT"
        complaint = found.complaint[:COMPLAINT_MAX] if found is not None else ""
        print(f"{mutation.name:<28} {what} {took:6.1f} s  {complaint}", flush=True)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
