"""Images that a full disk may cost: those nobody needs, least recently used first."""

from __future__ import annotations

from typing import NamedTuple

import pytest

from swarmd.agent.core.image_choice import FRESH_NS, full_names, removable
from swarmd.cli.values import percentages

NOW = 100 * FRESH_NS


class Stored(NamedTuple):
    name: str
    used_ns: int = 0
    is_loaded: bool = False


def test_the_least_recently_used_goes_first_and_names_decide_between_equals():
    images = [Stored("c", 3), Stored("b", 1), Stored("a", 1), Stored("d", 2)]
    assert removable(images, wanted=(), now=NOW) == ("a", "b", "d", "c")


@pytest.mark.parametrize(
    "kept",
    [
        Stored("docker.io/library/web:1"),
        Stored("loaded", is_loaded=True),
        Stored("fresh", used_ns=NOW - FRESH_NS + 1),
    ],
    ids=["wanted", "loaded by hand", "just used"],
)
def test_what_is_needed_or_cannot_be_had_again_stays(kept):
    wanted = full_names(["web:1", "not an image"])
    assert removable([kept, Stored("old")], wanted=wanted, now=NOW) == ("old",)


def test_percentages_of_the_disk_go_down():
    assert percentages("90,70") == (90, 70)
    for text in ("70,90", "90", "101,50", "a,b", "-1,-2"):
        with pytest.raises(ValueError, match="write for example"):
            percentages(text)
