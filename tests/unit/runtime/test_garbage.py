"""Collections leave out what was there before, for as long as anybody asks for it."""

from __future__ import annotations

import gc

from swarmd.runtime.garbage import present_left_out


def test_what_is_there_is_left_out_until_the_last_one_who_asked_ends() -> None:
    with present_left_out():
        with present_left_out():
            assert gc.get_freeze_count() > 0
        assert gc.get_freeze_count() > 0
    assert gc.get_freeze_count() == 0


def test_what_comes_later_is_collected_all_the_while() -> None:
    with present_left_out():
        cycle: list[object] = []
        cycle.append(cycle)
        del cycle
        assert gc.collect() > 0
