"""Random faults under virtual time: nothing acknowledged is lost, and the cluster recovers.

`SWARMD_SIM_SEEDS` sets how many seeds are run, shared out among the mixes (nightly: thousands),
`SWARMD_SIM_FIRST` the first of them.
"""

import os

import pytest

from swarmd.raft.config import RaftConfig
from tests.support.raft_sim_faults import MIXES, unleash
from tests.support.raft_sim_world import World

SEEDS = max(20, int(os.environ.get("SWARMD_SIM_SEEDS", "360")) // len(MIXES))
FIRST = int(os.environ.get("SWARMD_SIM_FIRST", "1"))
CONFIG = RaftConfig(
    snapshot_entries=20, trailing_entries=5, segment_bytes=8192, reserve_bytes=4096, apply_batch=7
)


def run(seed: int, mix: str, size: int, rounds: int = 60, rate: float = 1.0) -> World:
    world = World(seed, CONFIG)
    with world.loop.installed():
        world.found(size)
        unleash(world, mix, rounds, rate)
        world.heal()
        world.converge()
    return world


@pytest.mark.parametrize("mix", MIXES)
def test_no_fault_loses_or_reorders_what_was_acknowledged(mix: str) -> None:
    totals: dict[str, int] = {"acked": 0, "terms": 0, "snapshots": 0}
    for seed in range(FIRST, FIRST + SEEDS):
        try:
            world = run(seed, mix, 5 if seed % 4 == 0 else 3)
        except BaseException as error:
            error.add_note(f"mix {mix}, seed {seed}")
            raise
        for name, count in world.counts.items():
            totals[name] = totals.get(name, 0) + count
        totals["acked"] += len(world.acked)
        totals["terms"] += len(world.leaders)
        totals["snapshots"] += sum(
            h.replica.snapshots.index > 0 for h in world.hosts.values() if h.replica
        )
    # A clock that stands still finds no violation either: demand that work was done.
    assert totals["acked"] > 40 * SEEDS, totals
    assert totals["reads"] > 3 * SEEDS, totals
    assert totals["snapshots"] > SEEDS, totals
    if mix in ("crash", "power", "isolate", "mixed"):
        assert totals["terms"] > 3 * SEEDS, totals
    if mix == "members":
        assert totals["adds"] > SEEDS / 2, totals
