"""The checks bite: each deliberate mistake in the product is caught by some seed."""

import pytest

from tests.sim.cluster.mutation import Mutation, caught
from tests.sim.cluster.mutations import MUTATIONS

SEEDS_MAX = 40


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_a_mistake_is_caught_by_some_seed(mutation: Mutation) -> None:
    assert caught(mutation, seeds=SEEDS_MAX) is not None
