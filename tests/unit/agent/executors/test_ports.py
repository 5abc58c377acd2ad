"""Ports of the node handed to tasks."""

from __future__ import annotations

import socket

import pytest
from msgspec.structs import replace

from swarmd.agent.executors import ports as module
from swarmd.agent.executors.ports import NoPortLeft, Ports, can_bind, refused_address
from swarmd.model.ids import TaskId
from swarmd.model.spec import PortConfig
from swarmd.model.states import Protocol, PublishMode
from swarmd.model.task import Task

A, B = TaskId("a"), TaskId("b")


@pytest.fixture
def free(monkeypatch: pytest.MonkeyPatch) -> set[int]:
    """Every port can be bound but those put into this set."""
    taken: set[int] = set()
    monkeypatch.setattr(module, "can_bind", lambda _protocol, number, _at: number not in taken)
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


ON_ONE = PortConfig(
    target_port=80, published_port=8080, publish_mode=PublishMode.HOST, address="192.0.2.1"
)


def test_a_port_on_one_address_is_tried_there_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[tuple[str, ...]] = []

    def free(_protocol: Protocol, _number: int, at: tuple[str, ...]) -> bool:
        tried.append(tuple(at))
        return True

    monkeypatch.setattr(module, "can_bind", free)
    interfaces = {"eth0": ("192.0.2.1", "2001:db8::1"), "lo": ("127.0.0.1",)}
    ports = Ports(interfaces=lambda: interfaces)
    [first] = ports.allocate(A, (ON_ONE,), privileged=True)
    assert (first.published_port, first.address) == (8080, "192.0.2.1")
    ports.allocate(B, (replace(ON_ONE, published_port=8081, address="eth0"),), privileged=True)
    assert tried == [("192.0.2.1",), ("192.0.2.1", "2001:db8::1")]


@pytest.mark.parametrize("address", ["192.0.2.9", "eth9"])
def test_an_address_that_the_node_has_not_got_is_told(address: str) -> None:
    ports = Ports(interfaces=lambda: {"lo": ("127.0.0.1",)})
    with pytest.raises(NoPortLeft, match=f"host mode on {address}, which the node hasn't got"):
        ports.allocate(A, (replace(ON_ONE, address=address),), privileged=True)


def test_a_task_on_its_nodes_network_has_its_ports_on_all_addresses() -> None:
    assert "192.0.2.1 alone" in refused_address(Task(id=A, ports=(ON_ONE,)))
    through_mesh = replace(ON_ONE, publish_mode=PublishMode.INGRESS)
    assert refused_address(Task(id=A, ports=(through_mesh, replace(ON_ONE, address="")))) == ""
