"""The book of addresses: all or nothing, and nobody's address is another's."""

from __future__ import annotations

import pytest

from swarmd.model.ids import NetworkId
from swarmd.model.network import IPAMConfig, IPAMOptions, Network, NetworkSpec
from swarmd.orchestrator.allocator.book import AddressBook, Exhausted, Place
from swarmd.orchestrator.allocator.pool import Holder

BACK = NetworkId("back")
ONE, TWO = Holder("task", "one", "web"), Holder("task", "two", "web")


def a_book(*subnets: str, **fields: object) -> AddressBook:
    book = AddressBook()
    configs = tuple(IPAMConfig(subnet=subnet, **fields) for subnet in subnets)  # type: ignore[arg-type]
    spec = NetworkSpec(name="back")
    book.put_network(Network(id=BACK, spec=spec, ipam=IPAMOptions(configs=configs)))
    return book


def test_a_family_that_is_full_gives_back_what_the_other_gave() -> None:
    book = a_book("10.0.0.0/24", "fd00::/126")
    for number in range(3):
        book.allocate(BACK, Holder("task", f"t{number}"))
    with pytest.raises(Exhausted, match="back has 3 addresses"):
        book.allocate(BACK, ONE)
    assert book.held_by(ONE) == ()
    book.release(Holder("task", "t0"))
    assert book.allocate(BACK, TWO, ["10.0.0.4"]) == ("10.0.0.4/24", "fd00::1/126")


def test_several_blocks_are_used_one_after_the_other() -> None:
    book = a_book("10.0.0.0/30", "10.0.1.0/30")
    given = [book.allocate(BACK, Holder("task", f"t{number}"))[0] for number in range(4)]
    assert given == ["10.0.0.1/30", "10.0.0.2/30", "10.0.1.1/30", "10.0.1.2/30"]


def test_reserved_addresses_and_the_gateway_are_nobodys() -> None:
    book = a_book("10.0.0.0/29", gateway="10.0.0.1", reserved={"dns": "10.0.0.2"})
    assert book.allocate(BACK, ONE) == ("10.0.0.3/29",)
    with pytest.raises(Exhausted, match="held by its gateway"):
        book.allocate(BACK, TWO, ["10.0.0.1"])


def test_what_somebody_else_holds_stays_theirs() -> None:
    book = a_book("10.0.0.0/29")
    (address,) = book.allocate(BACK, ONE)
    book.record(TWO, [Place(BACK, address)])
    assert book.held_by(TWO) == ()
    book.release(TWO)
    assert book.held_by(ONE) == (Place(BACK, address),)


def test_a_holder_can_give_up_one_network_and_keep_another() -> None:
    book = a_book("10.0.0.0/29")
    front = NetworkId("front")
    options = IPAMOptions(configs=(IPAMConfig(subnet="10.1.0.0/29"),))
    book.put_network(Network(id=front, spec=NetworkSpec(name="front"), ipam=options))
    book.allocate(BACK, ONE)
    book.allocate(front, ONE)
    book.release(ONE, network_id=BACK)
    assert book.held_by(ONE) == (Place(front, "10.1.0.1/29"),)
    assert book.free(BACK) == 6
