"""Every violation is found, in states that no entry could have made."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from swarmd.model.custom import Resource
from swarmd.model.ids import NetworkId, NodeId, ResourceId, SecretId, ServiceId, TaskId
from swarmd.model.network import (
    VXLAN_IDS_OPTION,
    IPAMConfig,
    IPAMOptions,
    Network,
    NetworkAttachment,
    NetworkSpec,
)
from swarmd.model.secret import Secret, SecretSpec
from swarmd.model.service import Endpoint, Service
from swarmd.model.spec import Driver, PortConfig
from swarmd.model.states import PublishMode, TaskState
from swarmd.model.task import Task, TaskStatus
from swarmd.store.changes import Object
from swarmd.store.invariants import assert_sound, check
from swarmd.store.store import Store
from tests.support.cluster import Swarm, a_service_spec


def restored(*records: Object) -> Store:
    store = Store()
    store.restore(5, records)
    return store


def a_task(name: str, **fields: object) -> Task:
    fields.setdefault("desired_state", TaskState.RUNNING)
    fields.setdefault("slot", 1)
    return Task(id=TaskId(name), service_id=ServiceId("s"), **fields)  # type: ignore[arg-type]


def a_service(name: str, *ports: PortConfig) -> Service:
    endpoint = Endpoint(ports=ports)
    return Service(id=ServiceId(name), spec=a_service_spec(name), endpoint=endpoint)


def a_secret(name: str) -> Secret:
    return Secret(id=SecretId(name), spec=SecretSpec(name=name))


def a_network(name: str, subnet: str, vxlan_id: str = "") -> Network:
    return Network(
        id=NetworkId(name),
        spec=NetworkSpec(name=name),
        driver_state=Driver(name="overlay", options={VXLAN_IDS_OPTION: vxlan_id}),
        ipam=IPAMOptions(configs=(IPAMConfig(subnet=subnet),)),
    )


PLACE = NetworkAttachment(network_id=NetworkId("a"), addresses=("10.0.0.9/24",))
RUNNING = TaskStatus(state=TaskState.RUNNING)
PORT = PortConfig(target_port=80, published_port=80)


@pytest.mark.parametrize(
    ("records", "violation"),
    [
        pytest.param([a_task("t", version=9)], "task t has version 9, beyond", id="version"),
        pytest.param([a_task("t", status=RUNNING)], "task t is running without a node", id="node"),
        pytest.param(
            [a_task("t", desired_state=TaskState.FAILED)],
            "task t is wanted failed, which nobody can want",
            id="desired",
        ),
        pytest.param(
            [a_task("t"), a_task("u")], "tasks t and u both run in slot 1 of s", id="slot"
        ),
        pytest.param(
            [a_service("a", PORT), a_service("b", PORT)],
            "services a and b both hold port 80/tcp",
            id="port",
        ),
        pytest.param(
            [a_service("a", replace(PORT, published_port=0))],
            "service a has an endpoint port without a number",
            id="no port",
        ),
        pytest.param(
            [a_service("a"), replace(a_service("a"), id=ServiceId("b"))],
            "service b shares its name a with another",
            id="name",
        ),
        pytest.param(
            [a_secret("a"), replace(a_secret("a"), id=SecretId("b"))],
            "secret b shares its name a with another",
            id="secret name",
        ),
        pytest.param(
            [Resource(id=ResourceId("r"), name="bolt", kind="widget")],
            "resource r is of kind widget, which no extension names",
            id="resource kind",
        ),
        pytest.param(
            [a_network("a", "10.0.0.0/24"), a_network("b", "10.0.0.128/25")],
            "networks a and b share addresses of 10.0.0.0/24 and 10.0.0.128/25",
            id="overlap",
        ),
        pytest.param(
            [a_network("a", "10.0.0.0/24", "4096"), a_network("b", "10.0.1.0/24", "4096")],
            "networks a and b both hold VXLAN id 4096",
            id="vxlan",
        ),
        pytest.param(
            [a_task("t", networks=(PLACE,)), a_task("u", networks=(PLACE,), slot=2)],
            "task t and task u both hold 10.0.0.9 on a",
            id="address",
        ),
    ],
)
def test_a_violation_is_named_with_its_ids(records: list[Object], violation: str) -> None:
    found = check(restored(*records))
    assert len(found) == 1
    assert violation in found[0]
    with pytest.raises(AssertionError, match=violation):
        assert_sound(restored(*records))


@pytest.mark.parametrize(
    "records",
    [
        pytest.param([a_task("t"), a_task("u", spec_version=1)], id="an update starting first"),
        pytest.param([a_task("t"), a_task("u", desired_state=TaskState.READY)], id="one waits"),
        pytest.param(
            [
                a_service("a", replace(PORT, publish_mode=PublishMode.HOST)),
                a_service("b", replace(PORT, publish_mode=PublishMode.HOST)),
            ],
            id="host ports are the nodes' matter",
        ),
        pytest.param([a_task("t", status=RUNNING, node_id=NodeId("gone"))], id="node unknown"),
    ],
)
def test_states_that_may_occur_are_not_violations(records: list[Object]) -> None:
    assert check(restored(*records)) == ()


def test_a_swarm_at_work_is_sound() -> None:
    swarm = Swarm(nodes=2)
    swarm.create(a_service_spec(replicas=3))
    swarm.converge()
    assert_sound(swarm.store)
