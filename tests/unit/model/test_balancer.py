"""Which balancing back end is looked for first."""

from __future__ import annotations

import pytest

from swarmd.model.balancer import preference


@pytest.mark.parametrize(
    ("wanted", "order"),
    [
        ("", ("nft", "proxy")),
        ("nft", ("nft", "proxy")),
        ("ipvs", ("ipvs", "nft", "proxy")),
        ("proxy", ("proxy", "nft")),
    ],
)
def test_what_was_asked_for_comes_first_and_ipvs_only_then(
    wanted: str, order: tuple[str, ...]
) -> None:
    assert preference(wanted) == order
