"""The distance between batches."""

from __future__ import annotations

from swarmd.dispatcher.core.batching import Pacer
from swarmd.model.instant import MILLISECOND, Instant

START = Instant(1_000 * MILLISECOND)


def after(milliseconds: int) -> Instant:
    return Instant(START + milliseconds * MILLISECOND)


def test_the_first_item_after_a_pause_waits_two_milliseconds() -> None:
    assert Pacer().due(START) == after(2)


def test_a_large_batch_makes_the_next_one_wait() -> None:
    pacer = Pacer()
    pacer.sent(50_000, START)
    assert pacer.due(after(1)) == after(100)


def test_a_small_batch_hardly_does() -> None:
    pacer = Pacer()
    pacer.sent(10, START)
    assert pacer.due(START) == after(2)
    pacer.sent(200, START)
    assert pacer.due(START) == after(20)


def test_the_wait_is_over_after_a_pause() -> None:
    pacer = Pacer()
    pacer.sent(50_000, START)
    assert pacer.due(after(500)) == after(502)


def test_a_steady_stream_of_batches_is_spaced_after_the_second() -> None:
    pacer = Pacer()
    pacer.sent(1, START, steady_ns=50 * MILLISECOND)
    assert pacer.due(after(1)) == after(3)
    pacer.sent(1, after(3), steady_ns=50 * MILLISECOND)
    assert pacer.due(after(4)) == after(53)
    pacer.sent(1, after(53), steady_ns=50 * MILLISECOND)
    assert pacer.due(after(54)) == after(103)
    pacer.sent(1, after(103), steady_ns=50 * MILLISECOND)
    assert pacer.due(after(300)) == after(302)
    pacer.sent(1, after(302), steady_ns=50 * MILLISECOND)
    assert pacer.due(after(303)) == after(305)


def test_the_first_batch_of_all_is_not_spaced() -> None:
    pacer = Pacer()
    pacer.sent(1, Instant(0), steady_ns=50 * MILLISECOND)
    assert pacer.due(Instant(0)) == 2 * MILLISECOND
