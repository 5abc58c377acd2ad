"""When too many connections are tracked."""

from __future__ import annotations

import pytest

from swarmd.lb.tracking import sentence


@pytest.mark.parametrize(("count", "limit"), [(0, 262_144), (94, 100), (5, 0)])
def test_where_there_is_room_nothing_is_said(count: int, limit: int) -> None:
    assert sentence("the node", count, limit) == ""


@pytest.mark.parametrize("count", [95, 100])
def test_a_full_table_is_told_before_it_drops_and_while_it_does(count: int) -> None:
    assert sentence("the node", count, 100) == (
        f"the node tracks {count} connections of at most 100, beyond which new ones are dropped; "
        "raise net.netfilter.nf_conntrack_max on the machine"
    )
