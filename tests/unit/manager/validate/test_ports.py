"""Which published ports get into each other's way."""

from __future__ import annotations

import pytest

from swarmd.manager.validate import check_port_conflicts
from swarmd.model.errors import Rejection
from swarmd.model.ids import ServiceId
from swarmd.model.service import Endpoint, Service
from swarmd.model.spec import EndpointSpec, PortConfig
from swarmd.model.states import Protocol, PublishMode
from tests.support.specs import a_spec, published

INGRESS, HOST = PublishMode.INGRESS, PublishMode.HOST


def on(port: int, mode: PublishMode = INGRESS, protocol: Protocol = Protocol.TCP) -> EndpointSpec:
    return EndpointSpec(
        ports=(
            PortConfig(target_port=80, published_port=port, publish_mode=mode, protocol=protocol),
        )
    )


def holder(endpoint: EndpointSpec | None, *, chosen: EndpointSpec | None = None) -> Service:
    return Service(
        id=ServiceId("s1"),
        spec=a_spec("holder", endpoint_spec=endpoint),
        endpoint=Endpoint(ports=chosen.ports) if chosen else None,
    )


@pytest.mark.parametrize(
    ("held", "wanted"),
    [(INGRESS, INGRESS), (INGRESS, HOST), (HOST, INGRESS)],
)
def test_an_ingress_port_excludes_every_other_use(held, wanted):
    with pytest.raises(Rejection, match="port '80' is already in use by service 'holder'"):
        check_port_conflicts(on(80, wanted), [holder(on(80, held))])


@pytest.mark.parametrize(
    ("held", "wanted"),
    [
        (on(80, HOST), on(80, HOST)),
        (on(80), on(81)),
        (on(53), on(53, protocol=Protocol.UDP)),
        (on(0), on(0)),
        (None, on(80)),
        (on(80), None),
    ],
    ids=["host beside host", "numbers", "protocols", "left open", "nothing held", "nothing wanted"],
)
def test_other_uses_do_not_conflict(held, wanted):
    check_port_conflicts(wanted, [holder(held)])


def test_a_port_the_swarm_chose_is_held_too():
    with pytest.raises(Rejection, match="port '30000'"):
        check_port_conflicts(on(30_000), [holder(on(0), chosen=on(30_000))])


def test_a_service_does_not_conflict_with_itself():
    check_port_conflicts(published(80), [holder(on(80))], own_id="s1")
