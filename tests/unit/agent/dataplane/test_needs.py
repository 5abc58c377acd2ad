from __future__ import annotations

from swarmd.agent.dataplane.needs import Needs, needs_of
from swarmd.model.host_access import HostAccess
from swarmd.model.ids import NetworkId, TaskId
from swarmd.model.network import NetworkAttachment
from swarmd.model.spec import ContainerSpec, EndpointSpec, PortConfig, TaskSpec
from swarmd.model.states import PublishMode
from swarmd.model.task import Task

INGRESS = NetworkAttachment(network_id=NetworkId("ingress"), addresses=("10.255.0.5/16",))
WEB = NetworkAttachment(network_id=NetworkId("web"), addresses=("10.0.1.5/24",))
BRIDGE = NetworkAttachment(network_id=NetworkId("bridge"))
PUBLISHED = EndpointSpec(ports=(PortConfig(target_port=80),))


def a_task(*networks: NetworkAttachment, **fields: object) -> Task:
    return Task(id=TaskId("t"), networks=networks, **fields)  # type: ignore[arg-type]


def test_a_task_without_networks_needs_nothing():
    assert needs_of(a_task()) == Needs()
    assert needs_of(a_task(BRIDGE)) == Needs()


def test_a_published_task_can_do_without_overlays_and_one_on_a_network_cannot():
    published = needs_of(a_task(INGRESS, endpoint_spec=PUBLISHED))
    assert published == Needs(overlays=(INGRESS,), on_ingress=True)
    assert not published.beyond_ingress
    assert needs_of(a_task(INGRESS, WEB, endpoint_spec=PUBLISHED)).beyond_ingress
    assert needs_of(a_task(WEB, BRIDGE)) == Needs(overlays=(WEB,))
    assert needs_of(a_task(WEB)).beyond_ingress


def test_ports_published_in_host_mode_need_no_ingress_network():
    port = PortConfig(target_port=80, published_port=80, publish_mode=PublishMode.HOST)
    needs = needs_of(a_task(WEB, endpoint_spec=EndpointSpec(ports=(port,))))
    assert not needs.on_ingress


def test_whoever_asks_for_the_network_of_the_node_gets_no_other():
    spec = TaskSpec(container_spec=ContainerSpec(host_access=HostAccess(network=True)))
    assert needs_of(a_task(WEB, spec=spec)) == Needs(shares_node=True)
