"""Ports of the node handed to tasks."""

from __future__ import annotations

import socket

import pytest

from swarmd.agent.executors import ports as module
from swarmd.agent.executors.ports import NoPortLeft, Ports, can_bind
from swarmd.model.ids import TaskId
from swarmd.model.spec import PortConfig
from swarmd.model.states import Protocol, PublishMode

A, B = TaskId("a"), TaskId("b")


@pytest.fixture
def free(monkeypatch: pytest.MonkeyPatch) -> set[int]:
    """Every port can be bound but those put into this set."""
    taken: set[int] = set()
    monkeypatch.setattr(module, "can_bind", lambda _protocol, number: number not in taken)
    return taken


def given(ports: Ports, task: TaskId, *targets: int, privileged: bool = True) -> list[int]:
    wanted = tuple(PortConfig(target_port=target) for target in targets)
    return [p.published_port for p in ports.allocate(task, wanted, privileged=privileged)]


def test_a_task_gets_its_target_port_when_it_is_free(free: set[int]) -> None:
    assert given(Ports(), A, 80) == [80]


def test_a_second_task_gets_another_port(free: set[int]) -> None:
    ports = Ports()
    assert given(ports, A, 80) == [80]
    assert given(ports, B, 80) == [module.FIRST]


def test_a_port_the_node_publishes_is_never_given_away(free: set[int]) -> None:
    ports = Ports()
    ports.publish("node", [(Protocol.TCP, 80)])
    assert given(ports, A, 80) == [module.FIRST]
    ports.publish("node", [])
    assert given(ports, B, 80) == [80]


def test_ports_others_listen_on_are_skipped(free: set[int]) -> None:
    free.update({80, module.FIRST})
    assert given(Ports(), A, 80) == [module.FIRST + 1]


def test_tasks_without_privileges_get_no_port_below_1024(free: set[int]) -> None:
    assert given(Ports(), A, 80, 8080, privileged=False) == [module.FIRST, 8080]


def test_a_released_port_is_not_given_out_again_at_once(free: set[int]) -> None:
    ports = Ports()
    free.add(80)
    given(ports, A, 80)
    ports.release(A)
    assert given(ports, A, 80) == [module.FIRST + 1]


def test_a_port_published_in_host_mode_is_given_as_asked_or_not_at_all(free: set[int]) -> None:
    wanted = (PortConfig(target_port=80, published_port=8080, publish_mode=PublishMode.HOST),)
    ports = Ports()
    assert ports.allocate(A, wanted, privileged=True)[0].published_port == 8080
    with pytest.raises(NoPortLeft, match="8080/tcp"):
        ports.allocate(B, wanted, privileged=True)


def test_udp_and_tcp_do_not_get_into_each_others_way(free: set[int]) -> None:
    wanted = (
        PortConfig(target_port=53),
        PortConfig(target_port=53, protocol=Protocol.UDP),
    )
    allocated = Ports().allocate(A, wanted, privileged=True)
    assert [port.published_port for port in allocated] == [53, 53]


def test_adopted_ports_belong_to_their_task(free: set[int]) -> None:
    ports = Ports()
    ports.adopt(A, (PortConfig(target_port=80, published_port=80),))
    assert given(ports, B, 80) == [module.FIRST]
    ports.release(A)
    assert given(ports, A, 80) == [80]


def test_when_nothing_is_left_nothing_is_taken(
    free: set[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "END", module.FIRST + 1)
    monkeypatch.setattr(module, "SPARE", range(0))
    ports = Ports()
    free.update({80, 81})
    with pytest.raises(NoPortLeft, match="place the task elsewhere"):
        given(ports, A, 80, 81)
    assert given(ports, B, 80) == [module.FIRST]


def test_binding_tells_whether_a_port_is_free() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        number = listener.getsockname()[1]
        assert not can_bind(Protocol.TCP, number)
    assert can_bind(Protocol.TCP, number)


def test_nodes_that_share_a_machine_search_from_a_place_of_their_own() -> None:
    assert given(Ports(start=module.FIRST + 700), A, 80) == [module.FIRST + 700]
