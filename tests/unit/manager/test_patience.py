"""How long managers bear each other's silence."""

from __future__ import annotations

import pytest

from swarmd.manager.patience import election_patience


@pytest.mark.parametrize(
    ("tasks", "nodes", "factor"),
    [
        (0, 1, 1.0),
        (200, 20, 1.0),
        (5_000, 500, 2.0),
        (30_000, 1_000, 4.0),
        (1_000_000, 10_000, 4.0),
    ],
)
def test_patience_grows_with_the_swarm_up_to_a_limit(tasks: int, nodes: int, factor: float) -> None:
    assert election_patience(tasks, nodes) == factor


def test_patience_never_shrinks_as_a_swarm_grows() -> None:
    factors = [election_patience(tasks, tasks // 30) for tasks in range(0, 50_000, 500)]
    assert factors == sorted(factors)
