"""What a leader takes a machine behind another manager for."""

from __future__ import annotations

from swarmd.model.instant import SECOND, Instant
from swarmd.rpc.call import Peer
from swarmd.rpc.relayed_line import RelayedLine, line_of
from tests.support.hand_clock import HandClock

FORWARDED = Peer(forwarded=True, via="m2", line="7")


class SetLine:
    """The connection to the relaying manager."""

    def __init__(self) -> None:
        self.heard: Instant | None = Instant(90 * SECOND)

    def heard_at(self) -> Instant | None:
        return self.heard


def a_line() -> tuple[RelayedLine, SetLine]:
    relay = SetLine()
    line = line_of(FORWARDED, relay, HandClock(100 * SECOND))
    assert line is not None
    return line, relay


def test_a_machine_nothing_is_told_of_is_as_alive_as_the_manager_before_it() -> None:
    line, relay = a_line()
    assert line.heard_at() == 90 * SECOND
    relay.heard = None
    assert line.heard_at() is None


def test_a_silent_machine_gave_its_last_sign_as_long_ago_as_told() -> None:
    line, relay = a_line()
    relay.heard = Instant(100 * SECOND)
    line.note(3 * SECOND)
    assert line.heard_at() == 97 * SECOND
    relay.heard = None
    assert line.heard_at() == 97 * SECOND


def test_a_manager_that_fell_silent_itself_vouches_for_nobody() -> None:
    line, relay = a_line()
    line.note(3 * SECOND)
    relay.heard = Instant(95 * SECOND)
    assert line.heard_at() == 95 * SECOND


def test_a_machine_that_is_heard_again_is_not_silent_any_more() -> None:
    line, relay = a_line()
    line.note(3 * SECOND)
    line.note(0)
    assert line.heard_at() == relay.heard


def test_only_the_manager_that_relays_knows_the_line_by_its_name() -> None:
    line, _ = a_line()
    assert line.is_called("7", via="m2")
    assert not line.is_called("7", via="m3")
    assert not line.is_called("8", via="m2")


def test_there_is_no_line_where_nobody_watches() -> None:
    clock = HandClock(0)
    assert line_of(Peer(forwarded=True, via="m2"), SetLine(), clock) is None
    assert line_of(FORWARDED, None, clock) is None
