"""Collections leave out what was there before, for as long as anybody asks for it."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator

import pytest

from swarmd.runtime import garbage
from swarmd.runtime.garbage import leave_out_code, present_left_out


@pytest.fixture
def code_left_out(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As in a daemon, and afterwards as before."""
    monkeypatch.setattr(garbage, "_code_left_out", False)
    threshold = gc.get_threshold()
    leave_out_code()
    yield
    gc.set_threshold(*threshold)
    gc.unfreeze()


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


@pytest.mark.usefixtures("code_left_out")
def test_code_stays_left_out_when_the_last_one_who_asked_ends() -> None:
    with present_left_out():
        pass
    assert gc.get_freeze_count() > 0


@pytest.mark.usefixtures("code_left_out")
def test_what_became_garbage_while_left_out_is_collected_at_the_end() -> None:
    class Cycle:
        def __init__(self) -> None:
            self.own = self

    gone: list[bool] = []
    cycle = Cycle()
    weakref.finalize(cycle, gone.append, True)
    with present_left_out():
        del cycle
        gc.collect()
        assert not gone
    assert gone
