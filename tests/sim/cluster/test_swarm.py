"""Whole swarms under faults: whatever goes wrong, promises are kept and the end is as it should be.

`SWARMD_SIM_SEEDS` sets how many seeds are run, `SWARMD_SIM_FIRST` the first of them. A failure
prints the seed and its story; `python -m swarmd.sim SEED` runs it again.
"""

import os
import subprocess
import sys

import pytest

from swarmd.sim.plan import plan_of
from swarmd.sim.scenario import run
from tests.sim.cluster.seeds import FIXED, FIXED_AMONG_ROLES

SEEDS = int(os.environ.get("SWARMD_SIM_SEEDS", "200"))
FIRST = int(os.environ.get("SWARMD_SIM_FIRST", "1"))
CHUNK = 10


@pytest.mark.parametrize("first", range(FIRST, FIRST + SEEDS, CHUNK))
def test_a_swarm_keeps_its_promises_and_recovers(first: int) -> None:
    entries = acknowledged = faults = 0
    for seed in range(first, min(first + CHUNK, FIRST + SEEDS)):
        result = run(seed)
        entries += result.entries
        acknowledged += result.acknowledged
        faults += sum(result.faults.values())
    # A swarm that does nothing breaks no promise either: demand that work was done.
    assert entries > 400, entries
    assert acknowledged > 100, acknowledged
    assert faults > 20, faults


@pytest.mark.parametrize("seed", FIXED)
def test_what_once_went_wrong_does_not_again(seed: int) -> None:
    run(seed)


@pytest.mark.parametrize("seed", FIXED_AMONG_ROLES)
def test_what_once_went_wrong_while_roles_changed_does_not_again(seed: int) -> None:
    plan = plan_of(seed)._replace(keepers=("registrar",), newcomers=2, writers=1, operators=1)
    run(seed, plan)


def test_a_seed_runs_the_same_way_in_every_process() -> None:
    traces = {_trace(seed=7, hash_seed=hash_seed) for hash_seed in ("1", "2")}
    assert len(traces) == 1, traces
    assert traces != {_trace(seed=8, hash_seed="1")}


def _trace(*, seed: int, hash_seed: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "swarmd.sim", str(seed)],
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.partition("trace='")[2].partition("'")[0]
