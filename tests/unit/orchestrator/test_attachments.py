"""Attachments: a place in a network for what a node runs by itself, and nothing else."""

from __future__ import annotations

from swarmd.model.ids import NodeId, TaskId
from swarmd.model.spec import AttachmentSpec, NetworkAttachmentConfig, TaskSpec
from swarmd.model.states import Availability, TaskState
from swarmd.model.task import Task, TaskStatus
from swarmd.store.changes import Create, Delete, Kind
from tests.support.cluster import Swarm, a_service_spec, a_task_spec
from tests.support.networks import add_network, an_ipam, assert_books_agree, on


def attach(swarm: Swarm, name: str, network: str, node: str = "n1") -> None:
    """What a manager writes when a node asks."""
    spec = TaskSpec(
        networks=(NetworkAttachmentConfig(target=network),),
        attachment=AttachmentSpec(container_id=f"container of {name}"),
    )
    status = TaskStatus(state=TaskState.NEW, timestamp=swarm.now)
    desired = TaskState.RUNNING
    swarm.accept(
        Create(
            Task(
                id=TaskId(name),
                node_id=NodeId(node),
                spec=spec,
                status=status,
                desired_state=desired,
            )
        )
    )


def test_an_attachment_gets_its_addresses_and_is_left_to_its_node() -> None:
    swarm = Swarm(nodes=2)
    add_network(swarm, "back")
    attach(swarm, "a", "back")
    attach(swarm, "b", "back")
    swarm.converge()
    first, second = swarm.store.get_task("a"), swarm.store.get_task("b")
    assert first.status.state is TaskState.RUNNING
    assert first.networks[0].addresses == ("10.0.0.2/24",)
    assert second.networks[0].addresses != first.networks[0].addresses
    assert [a.network_id for a in swarm.store.get_node("n1").attachments] == ["back"]
    swarm.elect()
    swarm.set_node("n1", availability=Availability.DRAIN)
    swarm.converge()
    assert swarm.store.get_task("a").desired_state is TaskState.RUNNING
    assert_books_agree(swarm)


def test_attachments_weigh_nothing_where_tasks_are_placed() -> None:
    swarm = Swarm(nodes=2)
    add_network(swarm, "back")
    for number in range(5):
        attach(swarm, f"a{number}", "back")
    web = swarm.create(a_service_spec(replicas=2, task=a_task_spec(cpus=1)))
    swarm.converge()
    assert swarm.nodes_of(web) == {"n1": 1, "n2": 1}


def test_an_attachment_waits_for_an_address_and_says_so() -> None:
    swarm = Swarm(nodes=1)
    add_network(swarm, "tiny", **an_ipam("10.7.0.0/29"))
    web = swarm.create(on("tiny", replicas=4))
    swarm.converge()
    attach(swarm, "a", "tiny")
    swarm.converge()
    waiting = swarm.store.get_task("a")
    assert waiting.status.state is TaskState.PENDING
    assert "network tiny has 6 addresses (10.7.0.0/29), all taken by" in waiting.status.err
    swarm.scale(web, 1)
    swarm.converge()
    assert swarm.store.get_task("a").status.state is TaskState.RUNNING
    assert_books_agree(swarm)


def test_an_attachment_is_gone_with_its_end_its_node_or_when_it_is_given_up() -> None:
    swarm = Swarm(nodes=2)
    add_network(swarm, "back")
    for name, node in (("ended", "n1"), ("given up", "n1"), ("lost", "n2")):
        attach(swarm, name, "back", node)
    swarm.converge()
    swarm.report(swarm.store.get_task("ended"), TaskState.FAILED, "boom")
    swarm.accept(Delete(Kind.TASK, TaskId("given up")))
    swarm.remove_node("n2")
    swarm.converge()
    assert swarm.store.tasks() == ()
    assert_books_agree(swarm)


def test_an_attachment_to_a_network_that_went_in_between_is_gone_with_it() -> None:
    swarm = Swarm(nodes=1)
    attach(swarm, "a", "nowhere")
    swarm.converge()
    assert swarm.store.tasks() == ()
