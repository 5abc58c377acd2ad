"""One block of addresses: given in order, rested, refused when all are held."""

from __future__ import annotations

import pytest

from swarmd.orchestrator.allocator.pool import AddressPool, Holder, number_of

A, B = Holder("task", "a"), Holder("task", "b")


def taken(pool: AddressPool, count: int) -> list[str]:
    numbers = [pool.take(Holder("task", f"t{number}")) for number in range(count)]
    return [pool.written(number) for number in numbers if number is not None]


def test_addresses_are_given_one_after_the_other_without_the_ends_of_the_block() -> None:
    pool = AddressPool("10.0.1.0/29")
    assert pool.size == 6
    assert taken(pool, 9) == [f"10.0.1.{number}/29" for number in range(1, 7)]
    assert pool.free == 0


def test_a_released_address_rests_until_the_others_had_their_turn() -> None:
    pool = AddressPool("10.0.1.0/29")
    first = pool.take(A)
    assert first is not None
    pool.release(first, A)
    assert taken(pool, 6) == [f"10.0.1.{number}/29" for number in (2, 3, 4, 5, 6, 1)]


def test_of_those_that_rest_the_one_released_first_is_given_first() -> None:
    pool = AddressPool("10.0.1.0/29")
    assert len(taken(pool, 6)) == 6
    for number in (4, 2, 5):
        pool.release(number_of(f"10.0.1.{number}"), Holder("task", f"t{number - 1}"))
    assert taken(pool, 2) == ["10.0.1.4/29", "10.0.1.2/29"]
    pool.release(number_of("10.0.1.4"), Holder("task", "t0"))
    assert taken(pool, 3) == ["10.0.1.5/29", "10.0.1.4/29"]


def test_an_address_that_is_asked_for_does_not_rest() -> None:
    pool = AddressPool("10.0.1.0/30")
    number = pool.take(A)
    assert number is not None
    pool.release(number, A)
    assert pool.hold(number, B) == B
    assert taken(pool, 2) == ["10.0.1.2/30"]


def test_only_the_holder_can_release_an_address() -> None:
    pool = AddressPool("10.0.1.0/30")
    number = pool.take(A)
    assert number is not None
    pool.release(number, B)
    assert pool.hold(number, B) == A
    pool.release(number, A)
    assert pool.hold(number, B) == B


def test_a_range_narrows_what_is_given_and_not_what_may_be_asked_for() -> None:
    pool = AddressPool("10.0.1.0/24", "10.0.1.128/30")
    outside = number_of("10.0.1.7")
    assert outside in pool
    assert pool.hold(outside, A) == A
    assert taken(pool, 5) == [f"10.0.1.{number}/24" for number in range(128, 132)]
    pool.release(outside, A)
    assert pool.free == 0


def test_a_range_that_ends_the_block_gives_no_broadcast_address() -> None:
    assert taken(AddressPool("10.0.1.0/24", "10.0.1.252/30"), 5)[-1] == "10.0.1.254/24"


def test_ipv6_blocks_have_no_broadcast_address_and_no_end_worth_speaking_of() -> None:
    pool = AddressPool("fd00:1::/64")
    assert taken(pool, 2) == ["fd00:1::1/64", "fd00:1::2/64"]
    assert pool.size == 2**64 - 1


def test_a_new_leader_goes_on_behind_the_last_address_given() -> None:
    pool = AddressPool("10.0.1.0/29")
    pool.go_on_after(number_of("10.0.1.4"), 7)
    pool.go_on_after(number_of("10.0.1.2"), 6)
    assert taken(pool, 3) == ["10.0.1.5/29", "10.0.1.6/29", "10.0.1.1/29"]


@pytest.mark.parametrize("text", ["10.0.0.300", "web", "10.0.0.1:80", ""])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        number_of(text)
