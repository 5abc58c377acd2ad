"""Figures laid side by side."""

from __future__ import annotations

from tests.bench.swarm.figures import Figure, table


def test_the_ratio_is_above_one_where_ours_is_better() -> None:
    ours = [
        Figure("rate", 200.0, "/s", more_is_better=True),
        Figure("time", 2.0, "s", more_is_better=False),
        Figure("alone", 5.0, "s", more_is_better=False),
    ]
    theirs = [
        Figure("rate", 100.0, "/s", more_is_better=True),
        Figure("time", 6.0, "s", more_is_better=False),
    ]
    rows = table(ours, theirs).splitlines()[2:]
    assert rows == [
        "| rate | 200 /s | 100 /s | 2.0 |",
        "| time | 2.00 s | 6.00 s | 3.0 |",
        "| alone | 5.00 s | – | – |",
    ]
