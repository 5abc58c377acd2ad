"""From a task spec to the command, environment and bounds of its process."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from swarmd.agent.core.launch import (
    LogPolicy,
    Unfit,
    environment,
    launch,
    log_policy,
    signal_number,
)
from swarmd.model.ids import TaskId
from swarmd.model.spec import ContainerSpec, LogDriver, PortConfig, TaskSpec
from swarmd.model.states import Protocol
from swarmd.model.task import Task
from swarmd.model.template import TemplateContext, template_context
from tests.support.fleet import discrete, named


def a_task(spec: ContainerSpec, *, slot: int = 2) -> Task:
    return Task(id=TaskId("t1"), service_name="web", slot=slot, spec=TaskSpec(container_spec=spec))


def context(task: Task) -> TemplateContext:
    return template_context(task, node_id="n1", hostname="h1", os="linux", arch="x86_64")


def test_the_command_is_followed_by_the_arguments() -> None:
    task = a_task(ContainerSpec(command=("echo",), args=("{{.Task.Slot}}", "b")))
    assert launch(task, context(task)).argv == ("echo", "2", "b")


def test_the_slot_of_a_task_bound_to_a_node_is_the_node() -> None:
    task = a_task(ContainerSpec(command=("echo", "{{.Task.Slot}}")), slot=0)
    assert launch(task, context(task)).argv == ("echo", "n1")


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        pytest.param(ContainerSpec(), "no command", id="nothing"),
        pytest.param(ContainerSpec(image="nginx"), "'nginx' cannot be run", id="image"),
        pytest.param(ContainerSpec(command=("x",), env=("=v",)), "has no name", id="env"),
        pytest.param(ContainerSpec(command=("x",), dir="a/b"), "not absolute", id="dir"),
        pytest.param(ContainerSpec(command=("x",), stop_signal="65"), "unknown", id="signal"),
        pytest.param(ContainerSpec(command=("x", "{{")), "without closing", id="template"),
    ],
)
def test_what_cannot_be_a_process_is_refused_with_a_sentence(
    spec: ContainerSpec, says: str
) -> None:
    task = a_task(spec)
    with pytest.raises(Unfit, match=says):
        launch(task, context(task))


@pytest.mark.parametrize(
    ("name", "number"), [("", 15), ("TERM", 15), ("SIGUSR1", 10), ("sigint", 2), ("9", 9)]
)
def test_signals_go_by_name_or_number(name: str, number: int) -> None:
    assert signal_number(name) == number


def test_the_environment_tells_ports_and_lets_the_spec_override_all_but_the_marks() -> None:
    task = a_task(ContainerSpec(command=("x",), env=("HOME=/srv", "SWARMD_TASK_ID=forged")))
    ports = (
        PortConfig(target_port=80, published_port=20_001),
        PortConfig(target_port=53, published_port=20_002, protocol=Protocol.UDP),
    )
    task = replace(
        task, assigned_generic_resources=(*named("gpu", "u1", "u2"), discrete("fast-ssd", 2))
    )
    env = environment(
        launch(task, context(task)),
        task=task, node_id="n1", hostname="h1", user="bob", home="/home/bob", ports=ports,
    )  # fmt: skip
    assert env.pop("PATH")
    assert env == {
        "HOME": "/srv",
        "HOSTNAME": "h1",
        "USER": "bob",
        "LOGNAME": "bob",
        "PORT": "20001",
        "SWARMD_PORT_80": "20001",
        "SWARMD_PORT_53_UDP": "20002",
        "DOCKER_RESOURCE_GPU": "u1,u2",
        "DOCKER_RESOURCE_FAST_SSD": "2",
        "SWARMD_TASK_ID": "t1",
        "SWARMD_NODE_ID": "n1",
    }


@pytest.mark.parametrize(
    ("driver", "policy"),
    [
        (None, LogPolicy()),
        (LogDriver(name="json-file"), LogPolicy()),
        (
            LogDriver(options={"max-size": "2k", "max-file": "5"}),
            LogPolicy(max_bytes=2000, max_files=5),
        ),
        (LogDriver(name="none"), LogPolicy(max_files=0)),
    ],
)
def test_log_drivers_become_policies(driver: LogDriver | None, policy: LogPolicy) -> None:
    assert log_policy(driver) == policy


@pytest.mark.parametrize(
    ("driver", "says"),
    [
        (LogDriver(name="syslog"), "'syslog' is not available"),
        (LogDriver(options={"max-size": "big"}), "is not a size"),
        (LogDriver(options={"max-size": "5"}), "below the least size"),
        (LogDriver(options={"max-file": "0"}), "is not a number of files"),
    ],
)
def test_log_options_out_of_range_are_refused(driver: LogDriver, says: str) -> None:
    with pytest.raises(Unfit, match=says):
        log_policy(driver)
