"""The checks bite: each deliberate mistake in the product is caught by some seed."""

import pytest

from swarmd.sim.scenario import Failure, plan_of, run
from tests.sim.cluster.mutations import MUTATIONS, Mutation

SEEDS_MAX = 40


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_a_mistake_is_caught_by_some_seed(
    mutation: Mutation, monkeypatch: pytest.MonkeyPatch
) -> None:
    mutation.make(monkeypatch)
    for seed in range(mutation.first, mutation.first + SEEDS_MAX):
        try:
            run(seed, mutation.plan(plan_of(seed)))
        except Failure:
            return
    pytest.fail(f"{SEEDS_MAX} seeds did not catch: {mutation.name}")
