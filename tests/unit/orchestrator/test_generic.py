"""Generic resources: counting, claiming and giving back."""

from __future__ import annotations

import pytest

from swarmd.model.spec import Resources
from swarmd.orchestrator.generic import Stock, wanted_of
from tests.support.fleet import discrete, named


def a_stock(*resources: object) -> Stock:
    stock = Stock()
    stock.describe(Resources(generic_resources=tuple(resources)))  # type: ignore[arg-type]
    return stock


def test_what_a_reservation_asks_for_is_summed_by_kind() -> None:
    asked = Resources(generic_resources=(discrete("b", 1), discrete("a", 2), discrete("b", 2)))
    assert wanted_of(asked) == (("a", 2), ("b", 3))


def test_a_claim_of_alike_things_is_a_number() -> None:
    stock = a_stock(discrete("ssd", 4))
    claims = stock.choose((("ssd", 3),))
    assert claims == (discrete("ssd", 3),)
    stock.hold(claims, 1)
    assert (stock.free("ssd"), stock.has((("ssd", 2),))) == (1, False)
    stock.hold(claims, -1)
    assert stock.free("ssd") == 4


def test_a_claim_of_named_things_gets_the_first_free_names() -> None:
    stock = a_stock(*named("gpu", "u1", "u2", "u3"))
    stock.hold(named("gpu", "u2"), 1)
    claims = stock.choose((("gpu", 2),))
    assert claims == named("gpu", "u1", "u3")
    stock.hold(claims, 1)
    assert (stock.free("gpu"), stock.total("gpu")) == (0, 3)
    with pytest.raises(AssertionError):
        stock.choose((("gpu", 1),))


def test_a_new_description_keeps_what_tasks_hold() -> None:
    stock = a_stock(discrete("ssd", 4), *named("gpu", "u1", "u2"))
    stock.hold((discrete("ssd", 3), *named("gpu", "u1")), 1)
    stock.describe(Resources(generic_resources=(discrete("ssd", 2), *named("gpu", "u1", "u3"))))
    assert (stock.free("ssd"), stock.free("gpu")) == (0, 1)
    stock.hold((discrete("ssd", 3), *named("gpu", "u1")), -1)
    assert (stock.free("ssd"), stock.free("gpu")) == (2, 2)
