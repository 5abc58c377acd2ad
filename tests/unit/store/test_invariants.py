"""Every violation is found, in states that no entry could have made."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from swarmd.model.ids import NodeId, ServiceId, TaskId
from swarmd.model.service import Endpoint, Service
from swarmd.model.spec import PortConfig
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
    return Task(id=TaskId(name), service_id=ServiceId("s"), slot=1, **fields)  # type: ignore[arg-type]


def a_service(name: str, *ports: PortConfig) -> Service:
    endpoint = Endpoint(ports=ports)
    return Service(id=ServiceId(name), spec=a_service_spec(name), endpoint=endpoint)


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
