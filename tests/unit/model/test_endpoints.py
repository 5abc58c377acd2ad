"""What of an endpoint tasks are made by."""

from __future__ import annotations

import pytest

from swarmd.model.endpoints import alike_for_tasks
from swarmd.model.spec import EndpointSpec, PortConfig
from swarmd.model.states import Balance, ResolutionMode

PUBLISHED = (PortConfig(target_port=80, published_port=8080),)


@pytest.mark.parametrize(
    "other",
    [
        EndpointSpec(ports=PUBLISHED),
        EndpointSpec(ports=PUBLISHED, balance=Balance.SOURCE_HASH),
        EndpointSpec(ports=PUBLISHED, weight_label="cpus"),
    ],
)
def test_how_connections_find_tasks_makes_no_other_tasks(other: EndpointSpec) -> None:
    assert alike_for_tasks(EndpointSpec(ports=PUBLISHED), other)


def test_a_service_that_says_nothing_else_is_as_one_that_says_nothing() -> None:
    assert alike_for_tasks(None, EndpointSpec(weight_label="cpus"))
    assert alike_for_tasks(None, None)


@pytest.mark.parametrize(
    "other",
    [
        None,
        EndpointSpec(ports=PUBLISHED, mode=ResolutionMode.DNSRR),
        EndpointSpec(ports=PUBLISHED, drain_timeout_ns=1),
        EndpointSpec(ports=()),
    ],
)
def test_everything_else_makes_other_tasks(other: EndpointSpec | None) -> None:
    assert not alike_for_tasks(EndpointSpec(ports=PUBLISHED), other)
