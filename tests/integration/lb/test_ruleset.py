"""Tables of rules as values: steps lead where a new beginning would, in the real kernel."""

from __future__ import annotations

import itertools
import os
from pathlib import Path
from uuid import uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swarmd.lb.nft.ruleset import Elements, Ruleset, gone, step, whole
from swarmd.network.kernel import netns, nft

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="namespaces need root"),
    pytest.mark.skipif(bool(nft.missing()), reason="libnftables is not installed"),
]

NAME = "ip swarmd_test"


def ruleset(ports: dict[int, int], *, policy: str = "accept") -> Ruleset:
    """Ports that lead to chains, which lead to one of a few marks."""
    return Ruleset(
        name=NAME,
        base={
            "enter": (
                f"type filter hook input priority 0; policy {policy};",
                "tcp dport vmap @ports",
            )
        },
        chains={f"p{port}": (f"ct mark set {mark}", "accept") for port, mark in ports.items()},
        sets={
            "ports": Elements(
                "type inet_service : verdict", {str(port): f"goto p{port}" for port in ports}
            ),
            "marks": Elements(
                "type mark : inet_service", {str(mark): str(port) for port, mark in ports.items()}
            ),
            "known": Elements("type inet_service", {str(port): "" for port in ports}),
        },
    )


def lines(path: Path) -> list[str]:
    listing = netns.inside(path, lambda: nft.listing(NAME))
    words = listing.replace("elements = {", " ").replace("}", " ").replace(",", "\n")
    return sorted(" ".join(line.split()) for line in words.splitlines() if line.strip())


@settings(max_examples=15, deadline=None)
@given(
    states=st.lists(
        st.dictionaries(st.integers(1, 6), st.integers(1, 3), max_size=6), min_size=2, max_size=6
    )
)
def test_steps_lead_where_a_new_beginning_would(states: list[dict[int, int]]) -> None:
    path = Path("/run") / f"swarmd-test-{uuid4().hex[:8]}"
    netns.create(path)
    try:
        tables = [ruleset(state) for state in states]
        netns.inside(path, lambda: nft.run(whole(tables[0])))
        for before, after in itertools.pairwise(tables):
            batch = step(before, after)
            netns.inside(path, lambda batch=batch: nft.run(batch) if batch else None)
        by_steps = lines(path)
        netns.inside(path, lambda: nft.run(whole(tables[-1])))
        assert by_steps == lines(path)
        netns.inside(path, lambda: nft.run(gone(NAME)))
        assert lines(path) == []
    finally:
        netns.remove(path)


def test_no_change_is_no_batch_and_another_base_is_a_new_beginning() -> None:
    assert step(ruleset({1: 1}), ruleset({1: 1})) == ""
    other = ruleset({1: 1}, policy="drop")
    assert step(ruleset({1: 1}), other) == whole(other)
