"""Where tasks go in a swarm of real daemons: resources, taints, company, strategies, ratios."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Iterator

import pytest

from demo.machines import Machine, machines
from demo.swarm import Swarm, wait_until

NAMES = ("m1", "w1", "w2")
SLEEP = ("--process", "--", sys.executable, "-c", "import time; time.sleep(600)")
TELL = (
    "--process",
    "--",
    sys.executable,
    "-c",
    "import os, time; print(os.environ['DOCKER_RESOURCE_GPU'], flush=True); time.sleep(600)",
)


@pytest.fixture
def swarm() -> Iterator[Swarm]:
    """A manager that takes no tasks, and two workers; one has GPUs."""
    with machines(NAMES) as made:
        swarm = Swarm(made)
        swarm.daemon_flags["w1"] = (
            *("--generic-resource", "gpu=u1", "--generic-resource", "gpu=u2"),
            *("--label", "disk=ssd"),
        )
        try:
            first = made.by_name["m1"]
            swarm.init(first)
            for name in NAMES[1:]:
                swarm.join(made.by_name[name], first, "worker")
            wait_until(lambda: len(swarm.rows(first, "node", "ls")) == len(NAMES), what="the nodes")
            swarm.command(first, "node", "update", "--availability", "drain", "self")
            yield swarm
        finally:
            swarm.stop()


def first_of(swarm: Swarm) -> Machine:
    return swarm.machines.by_name["m1"]


def node_id(swarm: Swarm, name: str) -> str:
    return str(swarm.json(swarm.machines.by_name[name], "info")["NodeID"])


def create(swarm: Swarm, name: str, *flags: str, what: tuple[str, ...] = SLEEP) -> None:
    swarm.command(first_of(swarm), "service", "create", "--name", name, *flags, *what)


def places(swarm: Swarm, service: str) -> Counter[str]:
    """How many running tasks of the service each machine has."""
    asked = ("service", "ps", "--filter", "desired-state=running", service)
    rows = swarm.rows(first_of(swarm), *asked)
    return Counter(str(row["Node"]) for row in rows if row["CurrentState"].startswith("Running"))


def test_generic_resources_are_claimed_by_name_and_given_back(swarm: Swarm) -> None:
    create(swarm, "train", "--replicas", "2", "--generic-resource", "gpu=1", what=TELL)
    assert places(swarm, "train") == {"w1": 2}
    wait_until(lambda: gpus(swarm, "train") == {"u1", "u2"}, what="each task to tell its GPU")
    create(swarm, "more", "--detach", "--generic-resource", "gpu=1", what=TELL)
    told = swarm.command(first_of(swarm), "service", "explain", "more")
    assert "insufficient resources on 2 nodes" in told
    swarm.command(first_of(swarm), "service", "scale", "train=1")
    wait_until(lambda: places(swarm, "more") == {"w1": 1}, what="the GPU to be used again")
    assert len(gpus(swarm, "more")) == 1


def gpus(swarm: Swarm, service: str) -> set[str]:
    lines = swarm.command(first_of(swarm), "service", "logs", "--raw", service).split()
    return set(lines)


def test_tasks_go_where_labels_company_taints_and_strategies_say(swarm: Swarm) -> None:
    first = first_of(swarm)
    create(swarm, "elsewhere", "--detach", "--platform", "windows/amd64")
    create(swarm, "db", "--constraint", "engine.labels.disk==ss?", "--platform", "linux")
    assert places(swarm, "db") == {"w1": 1}
    create(swarm, "apart", "--replicas", "2", "--affinity", "service!=d*")
    assert places(swarm, "apart") == {"w2": 2}
    create(swarm, "near", "--replicas", "2", "--affinity", "service==~/^db$/")
    assert places(swarm, "near") == {"w1": 2}

    create(swarm, "even", "--replicas", "2")
    assert places(swarm, "even") == {"w1": 1, "w2": 1}
    swarm.command(first, "node", "update", "--taint-add", "sick:no-execute", node_id(swarm, "w2"))
    wait_until(lambda: places(swarm, "even") == {"w1": 2}, what="tasks to leave the tainted node")
    told = swarm.command(first, "service", "explain", "elsewhere")
    assert "unsupported platform on 2 nodes" in told
    told = swarm.command(first, "service", "explain", "apart")
    assert "taints not tolerated on 1 node" in told
    create(swarm, "hardy", "--toleration", "sick", "--affinity", "service!=db")
    assert places(swarm, "hardy") == {"w2": 1}
    swarm.command(first, "node", "update", "--taint-rm", "sick", node_id(swarm, "w2"))
    wait_until(lambda: places(swarm, "apart") == {"w2": 2}, what="the node to be used again")

    swarm.command(first, "update", "--strategy", "binpack")
    create(swarm, "packed", "--replicas", "4")
    assert sorted(places(swarm, "packed").values()) == [4]
    create(swarm, "lots", "--replicas", "2", "--strategy", "spread")
    assert places(swarm, "lots") == {"w1": 1, "w2": 1}


def test_tasks_are_spread_over_labels_and_follow_them(swarm: Swarm) -> None:
    label(swarm, w1="zone=a", w2="zone=b")
    packed = ("--strategy", "binpack", "--replicas", "2")
    create(swarm, "zoned", *packed, "--placement-pref", "spread=node.labels.zone")
    assert places(swarm, "zoned") == {"w1": 1, "w2": 1}, "packed within a zone, not over them"
    create(swarm, "drawn", "--replicas", "2", "--strategy", "random")
    assert sum(places(swarm, "drawn").values()) == 2
    create(swarm, "bound", "--constraint", "node.labels.zone==a")
    assert places(swarm, "bound") == {"w1": 1}
    label(swarm, w1="zone=b", w2="zone=a")
    wait_until(lambda: places(swarm, "bound") == {"w2": 1}, what="the task to follow the label")


def label(swarm: Swarm, **labels: str) -> None:
    for name, text in labels.items():
        swarm.command(first_of(swarm), "node", "update", "--label-add", text, node_id(swarm, name))


def test_a_node_sold_more_than_once_takes_more(swarm: Swarm) -> None:
    first = first_of(swarm)
    cpus = str(len(os.sched_getaffinity(0)))
    create(swarm, "big", "--replicas", "2", "--reserve-cpu", cpus)
    create(swarm, "more", "--detach", "--replicas", "2", "--reserve-cpu", cpus)
    assert "insufficient resources on 2 nodes" in swarm.command(first, "service", "explain", "more")
    swarm.command(first, "node", "update", "--oversell-cpu", "2", node_id(swarm, "w1"))
    wait_until(lambda: places(swarm, "more") == {"w1": 1}, what="one node to take one more")
    swarm.command(first, "update", "--oversell-cpu", "2")
    wait_until(lambda: places(swarm, "more") == {"w1": 1, "w2": 1}, what="the other to do so too")
