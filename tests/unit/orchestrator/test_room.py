"""Where start-first finds no room: which slot stops first, when none does, and what is said."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from swarmd.model.instant import SECOND
from swarmd.model.node import LEASE_PLUGIN, PluginDescription
from swarmd.model.spec import (
    DiscreteResource,
    Driver,
    EndpointSpec,
    GenericResource,
    GlobalMode,
    NetworkAttachmentConfig,
    Placement,
    ResourceRequirements,
    Resources,
    ServiceMode,
    ServiceSpec,
)
from swarmd.model.states import ResolutionMode, UpdateState
from tests.support.cluster import Swarm, a_node, a_service_spec, a_task_spec
from tests.support.networks import PUBLISHED, add_network, an_ipam, assert_books_agree, on
from tests.support.updates import (
    HOST_PORT,
    START_FIRST,
    a_spec,
    image,
    images,
    update_status,
    updating,
    walk,
)


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        pytest.param({"endpoint_spec": HOST_PORT}, "host-mode port", id="host port"),
        pytest.param({"task": {"placement": Placement(max_replicas=1)}}, "max replicas", id="max"),
        pytest.param({"task": {"cpus": 3}}, "insufficient resources", id="resources"),
        pytest.param(
            {"endpoint_spec": HOST_PORT, "mode": ServiceMode(global_=GlobalMode())},
            "host-mode port",
            id="global",
        ),
    ],
)
@pytest.mark.parametrize("parallelism", [0, 1, 2])
def test_where_the_new_task_has_no_room_one_slot_at_a_time_stops_first(
    fields: dict[str, object], why: str, parallelism: int
) -> None:
    swarm, service_id = updating(replace(START_FIRST, parallelism=parallelism), **fields)
    said: list[str] = []
    low = 2
    for _ in walk(swarm):
        low = min(low, len(swarm.running(service_id)))
        said.append(update_status(swarm, service_id).message)
    assert low == 1, "never more than one slot is down for lack of room"
    assert images(swarm, service_id) == ["web:2"] * 2
    assert swarm.status(service_id) is UpdateState.COMPLETED
    notes = {message for message in said if "stops first, as its new task has no room" in message}
    assert notes
    assert all(why in note for note in notes)


def test_room_that_is_about_to_come_is_waited_for() -> None:
    """Three slots and room for one more: nobody has to stop first."""
    swarm = Swarm(nodes=1)
    config = replace(START_FIRST, parallelism=3)
    service_id = swarm.create(a_spec("web:1", config, replicas=3, task={"cpus": 1}))
    swarm.converge()
    swarm.update(service_id, a_spec("web:2", config, replicas=3, task={"cpus": 1}))
    low = 3
    for _ in walk(swarm):
        low = min(low, len(swarm.running(service_id)))
    assert low == 3
    assert images(swarm, service_id) == ["web:2"] * 3


def on_networks(*wanted: NetworkAttachmentConfig | str) -> dict[str, object]:
    """The fields of a task on networks, with an address of its own or any."""
    return {
        "networks": tuple(
            NetworkAttachmentConfig(target=item) if isinstance(item, str) else item
            for item in wanted
        )
    }


@pytest.mark.parametrize("parallelism", [0, 1, 2])
@pytest.mark.parametrize("ingress", [False, True], ids=["own network", "ingress"])
def test_where_the_network_is_full_one_slot_at_a_time_stops_first(
    ingress: bool, parallelism: int
) -> None:
    config = replace(START_FIRST, parallelism=parallelism)
    swarm = Swarm(nodes=2 - ingress)
    add_network(swarm, "tiny", ingress=ingress, **an_ipam("10.7.0.0/29"))
    fields: dict[str, object] = {"task": on_networks("tiny")}
    if ingress:
        fields = {"endpoint_spec": PUBLISHED, "replicas": 3}
    service_id = swarm.create(a_spec("web:1", config, **fields))
    swarm.converge()
    all_run = len(swarm.running(service_id))
    swarm.update(service_id, a_spec("web:2", config, **fields))
    said: dict[str, None] = {}
    low = all_run
    for _ in walk(swarm):
        low = min(low, len(swarm.running(service_id)))
        said[update_status(swarm, service_id).message] = None
        assert_books_agree(swarm)
    assert low == all_run - 1
    assert images(swarm, service_id) == ["web:2"] * all_run
    assert swarm.status(service_id) is UpdateState.COMPLETED
    notes = [text.partition("old one: ")[2] for text in said if "stops first" in text]
    assert notes
    for note in notes:
        assert note.startswith("network tiny has 6 addresses (10.7.0.0/29), all taken by")
        assert "larger subnet" not in note, "advice that is not needed"


def test_an_address_of_its_own_passes_from_the_old_task_to_the_new_one() -> None:
    swarm = Swarm(nodes=1)
    add_network(swarm, "back")
    wanted = NetworkAttachmentConfig(target="back", addresses=("10.0.0.50",))
    fields: dict[str, object] = {"replicas": 1, "task": on_networks(wanted)}
    service_id = swarm.create(a_spec("web:1", START_FIRST, **fields))
    swarm.converge()
    swarm.update(service_id, a_spec("web:2", START_FIRST, **fields))
    said: dict[str, None] = {}
    for _ in walk(swarm):
        said[update_status(swarm, service_id).message] = None
    assert images(swarm, service_id) == ["web:2"]
    assert any("address 10.0.0.50 on network back is held by 1 task of web" in s for s in said)


def test_nothing_stops_for_addresses_that_old_tasks_do_not_hold() -> None:
    """A network that the update adds is full of others: each slot would go down for nothing."""
    swarm = Swarm(nodes=1)
    add_network(swarm, "back")
    add_network(swarm, "tiny", **an_ipam("10.7.0.0/29"))
    other = swarm.create(on("tiny", name="other", replicas=3))
    web = a_spec("web:1", START_FIRST, task=on_networks("back"))
    dnsrr = EndpointSpec(mode=ResolutionMode.DNSRR)
    service_id = swarm.create(replace(web, endpoint_spec=dnsrr))
    swarm.converge()
    new = a_spec("web:2", START_FIRST, task=on_networks("back", "tiny"), endpoint_spec=dnsrr)
    swarm.update(service_id, new)
    for _ in walk(swarm):
        assert len(swarm.running(service_id)) == 2
    assert images(swarm, service_id) == ["web:1"] * 2
    message = update_status(swarm, service_id).message
    assert "stopping old tasks would not make: network tiny has 6 addresses" in message
    swarm.scale(other, 0)
    swarm.converge()
    assert images(swarm, service_id) == ["web:2"] * 2
    assert swarm.status(service_id) is UpdateState.COMPLETED


def test_nothing_stops_where_the_node_of_the_old_task_refuses_the_new_one_by_nature() -> None:
    """A driver that no node has: what the scheduler asks of nodes is asked before a task stops."""
    swarm = Swarm()
    node = a_node("n1")
    assert node.description is not None
    assert node.description.engine is not None
    plugins = (LEASE_PLUGIN, PluginDescription("Network", "overlay"))
    engine = replace(node.description.engine, plugins=plugins)
    swarm.put_node(replace(node, description=replace(node.description, engine=engine)))
    add_network(swarm, "woven", driver_config=Driver("weave"), **an_ipam("10.7.0.0/24"))
    service_id = swarm.create(a_spec("web:1", START_FIRST, replicas=1, task={"cpus": 3}))
    swarm.converge()
    task = {"cpus": 3, **on_networks("woven")}
    swarm.update(service_id, a_spec("web:2", START_FIRST, replicas=1, task=task))
    swarm.advance(600 * SECOND)
    assert images(swarm, service_id) == ["web:1"]
    assert "stopping old tasks would not make" in update_status(swarm, service_id).message


def test_generic_resources_that_the_old_task_holds_are_handed_on() -> None:
    swarm = Swarm()
    node = a_node("n1")
    assert node.description is not None
    assert node.description.resources is not None
    gpu = (GenericResource(discrete_resource_spec=DiscreteResource("gpu", 1)),)
    having = replace(node.description.resources, generic_resources=gpu)
    swarm.put_node(replace(node, description=replace(node.description, resources=having)))
    wanting = ResourceRequirements(reservations=Resources(generic_resources=gpu))

    def spec(image: str) -> ServiceSpec:
        base = a_spec(image, START_FIRST, replicas=1)
        return replace(base, task_template=replace(base.task_template, resources=wanting))

    service_id = swarm.create(spec("web:1"))
    swarm.converge()
    swarm.update(service_id, spec("web:2"))
    swarm.converge()
    assert images(swarm, service_id) == ["web:2"]
    assert swarm.status(service_id) is UpdateState.COMPLETED


def test_a_task_that_avoids_its_own_service_takes_the_place_of_the_old_one() -> None:
    swarm = Swarm(nodes=2)
    apart = {"placement": Placement(affinities=("service!=web",))}
    service_id = swarm.create(a_spec("web:1", START_FIRST, task=apart))
    swarm.converge()
    swarm.update(service_id, a_spec("web:2", START_FIRST, task=apart))
    low = 2
    for _ in walk(swarm):
        low = min(low, len(swarm.running(service_id)))
    assert low == 1
    assert images(swarm, service_id) == ["web:2"] * 2


def test_room_that_preemption_is_making_is_waited_for() -> None:
    swarm = Swarm(nodes=1)
    fields: dict[str, object] = {"replicas": 1, "task": {"cpus": 2, "priority": 5}}
    service_id = swarm.create(a_spec("web:1", START_FIRST, **fields))
    victim = swarm.create(a_service_spec("victim", task=a_task_spec(cpus=2)))
    swarm.converge()
    swarm.update(service_id, a_spec("web:2", START_FIRST, **fields))
    for _ in walk(swarm):
        assert swarm.running(service_id), "nothing stops first while others make room"
    assert images(swarm, service_id) == ["web:2"]
    assert len(swarm.running(victim)) == 1, "it came back when the old task had stopped"


def test_where_stopping_would_not_help_nothing_is_stopped() -> None:
    swarm = Swarm(nodes=2)
    service_id = swarm.create(a_spec("web:1", START_FIRST))
    swarm.converge()
    swarm.update(service_id, a_spec("web:2", START_FIRST, task={"cpus": 99}))
    swarm.advance(600 * SECOND)
    assert images(swarm, service_id) == ["web:1"] * 2
    (new,) = [t for t in swarm.wanted(service_id) if image(t) == "web:2"]
    assert new.status.err.startswith("no suitable node")
    assert update_status(swarm, service_id).message == (
        "update in progress; slot 1 waits for room, which stopping old tasks would not make: "
        "no suitable node (insufficient resources on 2 nodes)"
    )
    swarm.put_node(a_node("large", cpus=400))
    swarm.rest()
    assert "waits for room" not in update_status(swarm, service_id).message
    swarm.converge()
    assert images(swarm, service_id) == ["web:2"] * 2


def test_another_slot_makes_room_where_the_own_one_cannot() -> None:
    """Slot 1 has to move to where only slot 2 is in the way."""
    swarm = Swarm(nodes=2)
    service_id = swarm.create(a_spec("web:1", START_FIRST, task={"cpus": 3}))
    swarm.converge()
    first = next(t for t in swarm.tasks(service_id) if t.slot == 1)
    placement = Placement(constraints=(f"node.id != {first.node_id}",))
    one = a_spec("web:2", START_FIRST, task={"cpus": 2, "placement": placement})
    swarm.update(service_id, one)
    swarm.advance(600 * SECOND)
    assert images(swarm, service_id) == ["web:2"] * 2
    assert swarm.status(service_id) is UpdateState.COMPLETED
