"""Address pools of a new swarm; both sides of every limit."""

from __future__ import annotations

import pytest

from swarmd.manager.validate.network import checked_pools
from swarmd.model.errors import Code, Rejection


@pytest.mark.parametrize(
    ("pools", "size"),
    [
        (["10.0.0.0/8"], 8),
        (["10.0.0.0/8"], 29),
        (["10.20.0.0/16", "10.30.0.0/16"], 16),
        (["192.168.0.0/29"], 29),
    ],
)
def test_pools_that_subnets_can_be_cut_from_are_taken(pools: list[str], size: int) -> None:
    assert checked_pools(pools, size) == tuple(pools)


@pytest.mark.parametrize(
    ("pools", "size", "words"),
    [
        (["10.0.0.0/8"], 7, "between 8 and 29"),
        (["10.0.0.0/8"], 30, "between 8 and 29"),
        (["10.0.0.0/25"], 24, "smaller than the subnets"),
        (["10.0.0.0/8", "10.1.0.0/16"], 24, "share addresses"),
        (["fd00::/16"], 24, "is not IPv4"),
        (["ten"], 24, "no block of addresses"),
    ],
)
def test_other_pools_are_refused(pools: list[str], size: int, words: str) -> None:
    with pytest.raises(Rejection, match=words) as refusal:
        checked_pools(pools, size)
    assert refusal.value.code is Code.INVALID_ARGUMENT


def test_pools_come_in_their_usual_form() -> None:
    assert checked_pools(["10.20.1.1/16"], 24) == ("10.20.0.0/16",)
