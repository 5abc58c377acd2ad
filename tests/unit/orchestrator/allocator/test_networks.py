"""Addresses of services, tasks and nodes, in a swarm that runs."""

from __future__ import annotations

from msgspec.structs import replace

from swarmd.model.host_access import HostAccess
from swarmd.model.ids import NetworkId, NodeId, TaskId
from swarmd.model.spec import ContainerSpec, EndpointSpec, NetworkAttachmentConfig, PortConfig
from swarmd.model.states import Availability, NodeState, PublishMode, ResolutionMode, TaskState
from swarmd.model.task import Task
from swarmd.orchestrator.explain import explain_service
from swarmd.store.changes import Create, Delete, Kind
from tests.support.cluster import Swarm, a_node, a_service_spec, a_task_spec
from tests.support.networks import (
    PUBLISHED,
    add_network,
    an_ipam,
    assert_books_agree,
    networks_of,
    on,
)


def addresses(task: Task) -> list[str]:
    return [address for place in task.networks for address in place.addresses]


def vips(swarm: Swarm, name: str) -> dict[str, str]:
    endpoint = swarm.store.get_service(f"s-{name}").endpoint
    return {vip.network_id: vip.addr for vip in endpoint.virtual_ips} if endpoint else {}


def test_service_tasks_and_nodes_get_addresses_of_the_network() -> None:
    swarm = Swarm(nodes=1)
    add_network(swarm, "back")
    web = swarm.create(on("back", replicas=2))
    swarm.converge()
    assert vips(swarm, "web") == {"back": "10.0.0.2/24"}
    assert [addresses(task) for task in swarm.running(web)] == [["10.0.0.3/24"], ["10.0.0.4/24"]]
    assert all(task.virtual_ips for task in swarm.running(web))
    (place,) = swarm.store.get_node("n1").attachments
    assert (place.network_id, place.addresses) == ("back", ("10.0.0.5/24",))
    assert_books_agree(swarm)


def test_a_task_is_created_placed_and_addressed_in_one_write() -> None:
    swarm = Swarm(nodes=1)
    add_network(swarm, "back")
    swarm.create(on("back"))
    swarm.plan()
    created = [action.record for action in swarm.plan() if isinstance(action, Create)]
    (task,) = [record for record in created if isinstance(record, Task)]
    assert task.node_id == "n1"
    assert addresses(task)


def test_published_services_take_part_in_the_ingress_network_first() -> None:
    swarm = Swarm(nodes=2)
    add_network(swarm, "ingress", ingress=True)
    add_network(swarm, "back")
    web = swarm.create(on("back", endpoint_spec=PUBLISHED))
    swarm.converge()
    (task,) = swarm.running(web)
    assert [place.network_id for place in task.networks] == ["ingress", "back"]
    assert set(vips(swarm, "web")) == {"ingress", "back"}
    places = {node.id: [a.network_id for a in node.attachments] for node in swarm.store.nodes()}
    assert sorted(map(len, places.values())) == [1, 2]


def test_tasks_on_the_network_of_their_node_are_on_no_other() -> None:
    swarm = Swarm(nodes=1)
    add_network(swarm, "ingress", ingress=True)
    container = replace(
        a_task_spec().container_spec or ContainerSpec(), host_access=HostAccess(network=True)
    )
    task = replace(a_task_spec(), container_spec=container)
    web = swarm.create(a_service_spec("web", task=task, endpoint_spec=PUBLISHED))
    swarm.converge()
    assert [addresses(task) for task in swarm.running(web)] == [[]]
    assert vips(swarm, "web") == {}


def test_ports_on_the_node_itself_need_no_ingress_network() -> None:
    swarm = Swarm(nodes=1)
    add_network(swarm, "ingress", ingress=True)
    port = PortConfig(target_port=80, published_port=80, publish_mode=PublishMode.HOST)
    web = swarm.create(a_service_spec("web", endpoint_spec=EndpointSpec(ports=(port,))))
    swarm.converge()
    (task,) = swarm.running(web)
    assert task.networks == ()
    assert vips(swarm, "web") == {}


def test_an_exhausted_network_is_named_with_those_who_hold_it() -> None:
    swarm = Swarm(nodes=1)
    add_network(swarm, "tiny", **an_ipam("10.7.0.0/29"))
    web = swarm.create(on("tiny", replicas=9))
    swarm.converge()
    waiting = [task for task in swarm.tasks(web) if task.status.state is TaskState.PENDING]
    assert waiting
    for task in waiting:
        assert "network tiny has 6 addresses (10.7.0.0/29), all taken by" in task.status.err
        assert "tasks of web" in task.status.err
        assert "larger subnet" in task.status.err
    assert_books_agree(swarm)


def test_tasks_that_waited_for_addresses_run_when_others_have_ended() -> None:
    swarm = Swarm(nodes=1)
    add_network(swarm, "tiny", **an_ipam("10.7.0.0/29"))
    one = swarm.create(on("tiny", name="one", replicas=4))
    two = swarm.create(on("tiny", name="two", replicas=2))
    swarm.converge()
    assert len(swarm.running(two)) < 2
    swarm.remove(one)
    swarm.converge()
    assert len(swarm.running(two)) == 2
    assert_books_agree(swarm)


def test_a_service_that_finds_no_virtual_address_says_so_and_gets_it_later() -> None:
    swarm = Swarm(nodes=1)
    add_network(swarm, "tiny", **an_ipam("10.7.0.0/30"))
    one = swarm.create(on("tiny", name="one", replicas=0))
    swarm.converge()
    two = swarm.create(on("tiny", name="two", replicas=1))
    swarm.converge()
    (task,) = swarm.tasks(two)
    assert task.status.state is TaskState.NEW
    assert "all taken by" in task.status.err
    swarm.remove(one)
    swarm.settle()
    assert vips(swarm, "two")


def test_tasks_that_find_the_ingress_network_full_wait_and_say_what_helps() -> None:
    swarm = Swarm(nodes=1)
    add_network(swarm, "ingress", ingress=True, **an_ipam("10.7.0.0/29"))
    web = swarm.create(a_service_spec("web", replicas=5, endpoint_spec=PUBLISHED))
    swarm.converge()
    assert len(swarm.running(web)) == 3, "the gateway, the service and the node have the others"
    waiting = [task for task in swarm.tasks(web) if task.status.state is TaskState.PENDING]
    assert len(waiting) == 2
    for task in waiting:
        assert "network ingress has 6 addresses (10.7.0.0/29), all taken by" in task.status.err
        assert "make the ingress network anew with a larger subnet" in task.status.err
        assert not task.networks
    explained = explain_service(swarm.store.get_service(web), swarm.store, swarm.now)
    assert any("network ingress has 6 addresses" in reason for reason in explained.reasons)
    swarm.scale(web, 3)
    swarm.converge()
    assert [task.status.state for task in swarm.tasks(web)] == [TaskState.RUNNING] * 3
    assert_books_agree(swarm)


def test_tasks_that_wait_for_addresses_take_up_no_room_on_nodes() -> None:
    swarm = Swarm()
    swarm.put_node(a_node("n1", cpus=4))
    add_network(swarm, "tiny", **an_ipam("10.7.0.0/29"))
    tiny = NetworkAttachmentConfig(target="tiny")
    swarm.create(a_service_spec("web", replicas=9, task=a_task_spec(cpus=0.5, networks=(tiny,))))
    swarm.converge()
    other = swarm.create(a_service_spec("other", task=a_task_spec(cpus=2)))
    swarm.converge()
    assert len(swarm.running(other)) == 1


def test_nodes_leave_addresses_of_the_ingress_network_to_services_and_tasks() -> None:
    swarm = Swarm(nodes=20)
    add_network(swarm, "ingress", ingress=True, **an_ipam("10.7.0.0/28"))
    swarm.converge()
    book = networks_of(swarm).book
    assert (book.size(NetworkId("ingress")), book.free(NetworkId("ingress"))) == (14, 3)
    web = swarm.create(a_service_spec("web", replicas=2, endpoint_spec=PUBLISHED))
    swarm.converge()
    assert len(swarm.running(web)) == 2
    assert_books_agree(swarm)


def test_nodes_without_an_address_on_the_ingress_network_inherit_those_of_others() -> None:
    swarm = Swarm(nodes=20)
    add_network(swarm, "ingress", ingress=True, **an_ipam("10.7.0.0/28"))
    swarm.converge()
    with_one = nodes_with_addresses(swarm)
    assert len(with_one) == 10
    assert all(node.attachments for node in swarm.store.nodes()), "the others take part as well"
    for node_id in with_one[:4]:
        swarm.remove_node(node_id)
    swarm.converge()
    assert len(nodes_with_addresses(swarm)) == 10
    assert_books_agree(swarm)


def nodes_with_addresses(swarm: Swarm) -> list[NodeId]:
    return [
        node.id for node in swarm.store.nodes() if any(one.addresses for one in node.attachments)
    ]


def test_a_node_whose_tasks_took_the_last_addresses_takes_part_and_gets_the_next_one() -> None:
    swarm = Swarm(nodes=1)
    add_network(swarm, "tiny", **an_ipam("10.7.0.0/29"))
    first = swarm.create(on("tiny", replicas=2))
    swarm.converge()
    swarm.set_node("n1", availability=Availability.PAUSE)
    swarm.put_node(a_node("n2"))
    swarm.create(on("tiny", name="other", endpoint_spec=EndpointSpec(mode=ResolutionMode.DNSRR)))
    swarm.converge()
    assert [one.addresses for one in swarm.store.get_node("n2").attachments] == [()]
    swarm.remove(first)
    swarm.converge()
    assert [len(one.addresses) for one in swarm.store.get_node("n2").attachments] == [1]
    assert_books_agree(swarm)


def test_virtual_addresses_stay_while_their_network_does() -> None:
    swarm = Swarm(nodes=1)
    add_network(swarm, "back")
    add_network(swarm, "front")
    web = swarm.create(on("back", "front"))
    swarm.converge()
    before = vips(swarm, "web")
    swarm.update(web, on("back", endpoint_spec=EndpointSpec()))
    swarm.converge()
    assert vips(swarm, "web") == {"back": before["back"]}
    swarm.update(web, a_service_spec("web"))
    swarm.converge()
    assert swarm.store.get_service(web).endpoint is None
    assert swarm.store.get_node("n1").attachments == ()
    assert_books_agree(swarm)


def test_a_requested_address_is_given_to_one_task_and_refused_to_the_next() -> None:
    swarm = Swarm(nodes=1)
    add_network(swarm, "back")
    wish = NetworkAttachmentConfig(target="back", addresses=("10.0.0.77",), aliases=("db",))
    spec = a_service_spec("db", replicas=2, task=a_task_spec(networks=(wish,)))
    db = swarm.create(spec)
    swarm.converge()
    (task,) = swarm.running(db)
    assert addresses(task) == ["10.0.0.77/24"]
    assert task.networks[0].aliases == ("db",)
    (other,) = [task for task in swarm.tasks(db) if task.status.state is TaskState.PENDING]
    assert "10.0.0.77 on network back is held by 1 task of db" in other.status.err


def test_a_requested_address_outside_the_network_is_refused_by_name() -> None:
    swarm = Swarm(nodes=1)
    add_network(swarm, "back")
    wish = NetworkAttachmentConfig(target="back", addresses=("192.168.0.1",))
    db = swarm.create(a_service_spec("db", task=a_task_spec(networks=(wish,))))
    swarm.converge()
    (task,) = swarm.tasks(db)
    assert "192.168.0.1 is not one of network back (10.0.0.0/24)" in task.status.err


def test_dual_stack_networks_give_an_address_of_each_family() -> None:
    swarm = Swarm(nodes=1)
    add_network(swarm, "dual", ipv6_enabled=True)
    web = swarm.create(on("dual"))
    swarm.converge()
    (task,) = swarm.running(web)
    assert addresses(task) == ["10.0.0.3/24", "fd00:5761:726d::3/64"]


def test_networks_local_to_a_node_are_attached_without_addresses() -> None:
    from swarmd.model.spec import Driver

    swarm = Swarm(nodes=1)
    add_network(swarm, "host", driver_config=Driver(name="host"))
    web = swarm.create(on("host"))
    swarm.converge()
    (task,) = swarm.running(web)
    assert [(place.network_id, place.addresses) for place in task.networks] == [("host", ())]
    assert swarm.store.get_node("n1").attachments == ()


def test_addresses_are_kept_while_a_node_is_down_and_freed_when_it_is_removed() -> None:
    swarm = Swarm(nodes=2)
    add_network(swarm, "back")
    web = swarm.create(on("back", replicas=2))
    swarm.converge()
    held = {address for task in swarm.running(web) for address in addresses(task)}
    swarm.set_node("n1", state=NodeState.DOWN)
    swarm.converge()
    fresh = {address for task in swarm.running(web) for address in addresses(task)} - held
    assert len(fresh) == 1
    assert_books_agree(swarm)
    swarm.remove_node("n1")
    swarm.converge()
    assert_books_agree(swarm)


def test_a_new_leader_holds_what_the_last_one_gave_and_goes_on_behind_it() -> None:
    swarm = Swarm(nodes=1)
    add_network(swarm, "back")
    web = swarm.create(on("back", replicas=3))
    swarm.converge()
    last = addresses(swarm.running(web)[-1])
    swarm.scale(web, 1)
    swarm.converge()
    swarm.elect()
    assert_books_agree(swarm)
    swarm.scale(web, 2)
    swarm.converge()
    assert addresses(swarm.running(web)[-1]) != last
    assert_books_agree(swarm)


def test_an_election_between_plan_and_commit_leaks_nothing() -> None:
    swarm = Swarm(nodes=1)
    add_network(swarm, "back")
    swarm.create(on("back", replicas=3))
    swarm.plan()
    assert swarm.planner is not None
    assert swarm.planner.plan(swarm.env)  # and the entry is lost
    swarm.elect()
    swarm.converge()
    assert_books_agree(swarm)


def test_a_plan_that_was_not_committed_leaks_nothing() -> None:
    swarm = Swarm(nodes=1)
    add_network(swarm, "back")
    web = swarm.create(on("back", replicas=3))
    swarm.plan()
    assert swarm.planner is not None
    swarm.planner.plan(swarm.env)
    swarm.remove(web)
    swarm.converge()
    assert_books_agree(swarm)
    assert networks_of(swarm).book.holders() == ()


def test_tasks_removed_by_hand_free_their_addresses() -> None:
    swarm = Swarm(nodes=1)
    add_network(swarm, "back")
    web = swarm.create(on("back", replicas=2))
    swarm.converge()
    victim = swarm.running(web)[0]
    swarm.accept(Delete(Kind.TASK, TaskId(victim.id)))
    swarm.converge()
    assert len(swarm.running(web)) == 2
    assert_books_agree(swarm)


def test_nodes_get_and_lose_the_ingress_network_with_it() -> None:
    swarm = Swarm(nodes=2)
    add_network(swarm, "ingress", ingress=True)
    swarm.converge()
    assert all(node.attachments for node in swarm.store.nodes())
    swarm.accept(Delete(Kind.NETWORK, "ingress"))
    swarm.converge()
    assert not any(node.attachments for node in swarm.store.nodes())
    assert networks_of(swarm).book.holders() == ()


def test_services_without_networks_are_left_alone() -> None:
    swarm = Swarm(nodes=1)
    web = swarm.create(a_service_spec("web"))
    swarm.converge()
    service = swarm.store.get_service(web)
    assert service.endpoint is None
    assert swarm.running(web)[0].networks == ()
    assert replace(service, version=0) == replace(service, version=0, endpoint=None)


def test_a_task_that_lacks_one_address_holds_none_of_the_others() -> None:
    swarm = Swarm(nodes=1)
    add_network(swarm, "wide")
    add_network(swarm, "tiny", **an_ipam("10.7.0.0/29"))
    web = swarm.create(on("wide", "tiny", replicas=6))
    swarm.converge()
    assert 0 < len(swarm.running(web)) < 6
    assert_books_agree(swarm)


def test_a_service_that_goes_by_the_addresses_of_its_tasks_has_none_of_its_own() -> None:
    swarm = Swarm(nodes=1)
    add_network(swarm, "back")
    by_tasks = EndpointSpec(mode=ResolutionMode.DNSRR)
    web = swarm.create(on("back", replicas=2, endpoint_spec=by_tasks))
    swarm.converge()
    assert vips(swarm, "web") == {}
    assert [addresses(task) for task in swarm.running(web)] == [["10.0.0.2/24"], ["10.0.0.3/24"]]
    assert_books_agree(swarm)
