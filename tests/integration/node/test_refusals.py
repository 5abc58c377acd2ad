"""Commands that a running daemon refuses: the right sentence, exit code 1, and nothing changed."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from demo.machines import machines
from demo.swarm import Swarm
from tests.support.bad_days import SLEEPER, refused, services

NAMES = ("m1", "w1", "idle")


@pytest.fixture(scope="module")
def swarm() -> Iterator[Swarm]:
    """A manager, a worker and a daemon that is in no swarm."""
    with machines(NAMES) as made:
        swarm = Swarm(made)
        try:
            swarm.init(made.by_name["m1"])
            swarm.join(made.by_name["w1"], made.by_name["m1"], "worker")
            swarm.start_daemon(made.by_name["idle"])
            swarm.command(
                made.by_name["m1"],
                *("service", "create", "--name", "taken", "--replicas", "1"),
                *("--publish", "8080:80", *SLEEPER),
            )
            yield swarm
        finally:
            swarm.stop()


CREATE = ("service", "create", "--detach", "--name", "new")
UPDATE = ("service", "update", "--detach")
REFUSED = [
    (("service", "create", "--detach", "--name", "taken", *SLEEPER), "already exists|in use"),
    (("service", "create", "--detach", "--name", "no spaces", *SLEEPER), "name"),
    (("service", "create", "--detach", "--name", "x" * 64, *SLEEPER), "name"),
    ((*CREATE, "--publish", "8080:80", *SLEEPER), "8080.*(in use|already)"),
    ((*CREATE, "--limit-cpu", "0.000000001", *SLEEPER), "cpu"),
    ((*CREATE, "--limit-memory", "1k", *SLEEPER), "memory"),
    ((*CREATE, "--reserve-cpu", "0.0000001", *SLEEPER), "cpu"),
    ((*CREATE, "--reserve-memory", "1k", *SLEEPER), "memory"),
    ((*CREATE, "--constraint", "node.id~=1", *SLEEPER), "constraint"),
    (("service", "scale", "--detach", "nothing=1"), "nothing.*not found|no such service"),
    (("service", "inspect", "nothing"), "nothing"),
    (("service", "rm", "nothing"), "nothing"),
    (("service", "logs", "nothing"), "nothing"),
    ((*UPDATE, "--limit-memory", "1k", "taken"), "memory"),
    ((*UPDATE, "--publish-add", "8081:80", "--publish-add", "8081:81", "taken"), "8081"),
    (("node", "inspect", "nothing"), "nothing"),
    (("node", "promote", "nothing"), "nothing"),
    (("node", "rm", "nothing"), "nothing"),
    (("node", "demote", "m1-itself"), "m1-itself"),
]


@pytest.mark.parametrize(
    ("words", "expected"), [pytest.param(*case, id=" ".join(case[0][:6])[:60]) for case in REFUSED]
)
def test_a_request_out_of_range_is_refused_with_one_sentence(
    swarm: Swarm, words: tuple[str, ...], expected: str
) -> None:
    manager = swarm.machines.by_name["m1"]
    assert re.search(expected, refused(manager, *words))
    assert services(swarm, manager) == ["taken"]


MANAGERS_COMMANDS = [
    ("node", "ls"),
    ("service", "ls"),
    ("service", "create", *SLEEPER),
    ("service", "scale", "taken=2"),
    ("service", "logs", "taken"),
    ("token", "worker"),
    ("token", "--rotate", "manager"),
    ("node", "promote", "taken"),
]


@pytest.mark.parametrize("words", MANAGERS_COMMANDS, ids=" ".join)
def test_a_worker_says_that_managers_answer_this(swarm: Swarm, words: tuple[str, ...]) -> None:
    said = refused(swarm.machines.by_name["w1"], *words)
    assert "this node is not a swarm manager but a worker" in said
    assert "run this on a manager (with -H for another daemon" in said


@pytest.mark.parametrize("words", MANAGERS_COMMANDS, ids=" ".join)
def test_a_node_in_no_swarm_says_how_to_come_into_one(swarm: Swarm, words: tuple[str, ...]) -> None:
    said = refused(swarm.machines.by_name["idle"], *words)
    assert "this node is not part of a swarm" in said
    assert "run `swarmd init` to found a swarm, or `swarmd join`" in said


def test_membership_is_neither_founded_nor_left_twice(swarm: Swarm) -> None:
    manager, idle = swarm.machines.by_name["m1"], swarm.machines.by_name["idle"]
    assert "already part of a swarm" in refused(manager, "init")
    token = swarm.command(manager, "token", "-q", "worker").strip()
    assert "already part of a swarm" in refused(
        swarm.machines.by_name["w1"], "join", "--token", token, f"{manager.address}:2377"
    )
    assert "last manager" in refused(manager, "leave")
    assert "not part of a swarm" in refused(idle, "leave")


def test_without_a_daemon_the_command_says_so(swarm: Swarm) -> None:
    said = refused(swarm.machines.client, "service", "ls")
    assert "no swarmd daemon is running at" in said
