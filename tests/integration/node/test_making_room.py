"""Priorities, moves and what-if questions in a swarm of real daemons."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Iterator

import pytest

from demo.machines import Machine, machines
from demo.swarm import CommandFailed, Swarm, wait_until

NAMES = ("m1", "m2", "m3", "w1")
SLEEP = ("--process", "--", sys.executable, "-c", "import time; time.sleep(600)")
CPUS = str(len(os.sched_getaffinity(0)))


@pytest.fixture
def swarm() -> Iterator[Swarm]:
    """Three managers that take no tasks, and a worker; another worker is about to join."""
    with machines((*NAMES, "w2")) as made:
        swarm = Swarm(made)
        try:
            first = made.by_name["m1"]
            swarm.init(first)
            for name in NAMES[1:]:
                role = "manager" if name.startswith("m") else "worker"
                swarm.join(made.by_name[name], first, role)
            wait_until(lambda: len(swarm.rows(first, "node", "ls")) == len(NAMES), what="the nodes")
            for name in NAMES[:3]:
                node = node_id(swarm, name)
                swarm.command(first, "node", "update", "--availability", "drain", node)
            yield swarm
        finally:
            swarm.stop()


def first_of(swarm: Swarm) -> Machine:
    return swarm.machines.by_name["m1"]


def node_id(swarm: Swarm, name: str) -> str:
    return str(swarm.json(swarm.machines.by_name[name], "info")["NodeID"])


def create(swarm: Swarm, name: str, *flags: str) -> str:
    return swarm.command(first_of(swarm), "service", "create", "--name", name, *flags, *SLEEP)


def running(swarm: Swarm, service: str, machine: Machine | None = None) -> Counter[str]:
    """How many running tasks of the service each worker has."""
    asked = ("service", "ps", "--filter", "desired-state=running", service)
    rows = swarm.rows(machine or first_of(swarm), *asked)
    return Counter(str(row["Node"]) for row in rows if row["CurrentState"].startswith("Running"))


def join_second_worker(swarm: Swarm) -> None:
    swarm.join(swarm.machines.by_name["w2"], first_of(swarm), "worker")
    count = len(NAMES) + 1
    wait_until(
        lambda: len(swarm.rows(first_of(swarm), "node", "ls")) == count, what="the second worker"
    )


def test_a_higher_priority_takes_the_place_of_a_lower_and_says_so(swarm: Swarm) -> None:
    first = first_of(swarm)
    create(swarm, "batch", "--reserve-cpu", CPUS)
    dry = create(swarm, "web", "--reserve-cpu", CPUS, "--priority", "10", "--dry-run")
    assert "preempted by web.1 (priority 10)" in dry or "batch.1" in dry
    assert running(swarm, "batch") == {"w1": 1}
    create(swarm, "web", "--reserve-cpu", CPUS, "--priority", "10")
    assert running(swarm, "web") == {"w1": 1}
    told = swarm.command(first, "service", "explain", "batch")
    assert "preempted by web.1 (priority 10)" in told
    swarm.command(first, "update", "--no-preemption")
    create(swarm, "top", "--detach", "--reserve-cpu", CPUS, "--priority", "20")
    wait_until(
        lambda: "insufficient resources" in swarm.command(first, "service", "explain", "top"),
        what="the highest priority to wait",
    )
    assert running(swarm, "web") == {"w1": 1}


def test_tasks_move_to_a_node_that_joins(swarm: Swarm) -> None:
    first = first_of(swarm)
    create(swarm, "web", "--replicas", "4")
    join_second_worker(swarm)
    asked = swarm.command(first, "rebalance", "--dry-run")
    assert asked.count("web.") >= 2
    assert running(swarm, "web") == {"w1": 4}
    said = swarm.command(first, "rebalance", "web")
    assert said.splitlines()[-1] == "2 tasks moved"
    assert running(swarm, "web") == {"w1": 2, "w2": 2}
    assert swarm.command(first, "rebalance") == "nothing to move\n"


def test_the_policy_moves_tasks_through_the_death_of_the_leader(swarm: Swarm) -> None:
    first = first_of(swarm)
    create(swarm, "web", "--replicas", "6")
    swarm.command(first, "update", "--rebalance", "--rebalance-cooldown", "0s")
    join_second_worker(swarm)
    leader = swarm.leader(first)
    assert leader is not None
    alive = next(
        m for m in swarm.machines.nodes() if m.name.startswith("m") and m.name != leader.name
    )
    wait_until(lambda: running(swarm, "web", alive)["w2"] >= 1, what="the first task to move")
    swarm.kill(leader)
    wait_until(lambda: level(swarm, alive), what="the next leader to move the rest")


def level(swarm: Swarm, asked: Machine) -> bool:
    try:
        return running(swarm, "web", asked) == {"w1": 3, "w2": 3}
    except CommandFailed:
        return False


def test_questions_are_answered_and_nothing_happens(swarm: Swarm) -> None:
    first = first_of(swarm)
    create(swarm, "web", "--replicas", "2", "--reserve-cpu", "1")
    worker = node_id(swarm, "w1")
    told = swarm.command(first, "simulate", "--node-down", worker)
    assert "2 pending; 2 would wait for a node" in told
    answer = swarm.json(
        first, *("simulate", "--scale", "web=9", "--add-nodes", "9", "--like", worker)
    )
    assert [task["Kind"] for task in answer["Tasks"]] == ["started"] * 7
    assert answer["Pending"] == 0
    assert "5 started" in swarm.command(
        first, "simulate", "--create", "api,replicas=5", "--drain", node_id(swarm, "m2")
    )
    dry = swarm.command(first, "service", "scale", "--dry-run", "web=1")
    assert "1 stopped" in dry
    dry = swarm.command(first, "service", "update", "--dry-run", "--env-add", "A=1", "web")
    assert "2 replaced" in dry
    assert running(swarm, "web") == {"w1": 2}
