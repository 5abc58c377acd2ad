"""What containers may have of nodes, from the command line to the kernel, on real daemons."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from demo.machines import machines
from demo.swarm import Swarm, wait_until
from tests.support import images
from tests.support.containers import why_none

pytestmark = pytest.mark.skipif(bool(why_none()), reason=why_none() or "-")

NAMES = ("m1", "w1")
FETCH = "import sys, urllib.request as r; print(r.urlopen(sys.argv[1], timeout=2).read().decode())"
QUICKLY = ("--stop-grace-period", "100ms", "--restart-delay", "200ms")


@pytest.fixture
def swarm() -> Iterator[Swarm]:
    """A manager that leaves it to the swarm, and a worker that allows nothing; both have box:1."""
    with machines(NAMES) as made:
        swarm = Swarm(made)
        try:
            first, worker = made.by_name["m1"], made.by_name["w1"]
            swarm.daemon_flags["w1"] = ("--allow", "none")
            swarm.init(first)
            swarm.join(worker, first, "worker")
            archive = made.directory / "box.tar"
            images.docker_archive(archive, "box:1", [images.busybox_layer()])
            for name in NAMES:
                swarm.command(made.by_name[name], "image", "load", str(archive))
            yield swarm
        finally:
            swarm.stop()


def command(swarm: Swarm, *words: str) -> str:
    return swarm.command(swarm.machines.by_name["m1"], *words)


def create(swarm: Swarm, name: str, *flags: str, script: str) -> None:
    command(
        swarm,
        *("service", "create", "-d", "--name", name, *QUICKLY, *flags, "box:1", "sh", "-c", script),
    )


def tasks(swarm: Swarm, name: str) -> list[dict[str, object]]:
    return swarm.rows(swarm.machines.by_name["m1"], "service", "ps", "--no-trunc", name)


def state_on(swarm: Swarm, name: str, node: str) -> str:
    """State and error of the newest task of a service on a node."""
    for row in tasks(swarm, name):
        if row["Node"] == node:
            return f"{row['CurrentState']} {row['Error']}"
    return ""


def test_nodes_give_what_they_or_the_swarm_allow(swarm: Swarm) -> None:
    first = swarm.machines.by_name["m1"]
    hosts = {row["ID"]: row["Hostname"] for row in swarm.rows(first, "node", "ls")}
    own = swarm.json(first, "info")["NodeID"]
    other = next(node_id for node_id in hosts if node_id != own)
    at_home = ("--constraint", f"node.id=={own}")

    # Nobody has allowed anything yet.
    create(swarm, "mighty", "--privileged", *at_home, script="sleep 1000")
    wait_until(
        lambda: any(
            "it is privileged, which node" in str(row["Error"]) for row in tasks(swarm, "mighty")
        ),
        what="the refusal",
    )
    command(swarm, "service", "rm", "mighty")

    # What the swarm allows now holds on the one node; the other has its own word.
    command(swarm, "update", "--allow", "privileged,network")
    create(
        swarm,
        "mighty",
        *("--privileged", *at_home),
        script="grep CapBnd /proc/self/status; sleep 1000",
    )
    create(
        swarm,
        "refused",
        *("--privileged", "--constraint", f"node.id=={other}"),
        script="sleep 1000",
    )
    wait_until(
        lambda: any(
            str(row["CurrentState"]).startswith("Running") for row in tasks(swarm, "mighty")
        ),
        what="a privileged container",
    )
    wait_until(
        lambda: any(
            "add privileged to what its daemon is started with" in str(row["Error"])
            for row in tasks(swarm, "refused")
        ),
        what="the word of the node",
    )
    wait_until(
        lambda: "CapBnd" in command(swarm, "service", "logs", "mighty"), what="its capabilities"
    )

    assert "privileged, network (as the swarm says)" in command(swarm, "info")
    info = swarm.json(swarm.machines.by_name["w1"], "info")
    assert (info["Allow"], info["SwarmAllow"]) == (["none"], [])

    # On the network of the node, a container is told its port, and the swarm finds it there.
    create(
        swarm,
        "web",
        *("--network", "host", "--publish", "8080:80", *at_home),
        script="mkdir /www; echo from the host > /www/index.html; exec httpd -f -p $PORT -h /www",
    )
    worker = swarm.machines.by_name["w1"]
    url = f"http://{worker.address}:8080/"
    wait_until(
        lambda: (
            "from the host" in swarm.machines.client.run([sys.executable, "-c", FETCH, url]).stdout
        ),
        what="an answer through the other node",
    )

    # An ordinal of containers has its name, and after its end its data where it was.
    create(
        swarm,
        "db",
        *("--mode", "stateful", "--replicas", "2", "--start-order", "parallel"),
        *("--mount", "type=volume,source=data-{{.Task.Slot}},target=/data"),
        script="hostname >> /data/names; cat /data/names; "
        "test -e /data/again && sleep 1000; touch /data/again",
    )

    def ordinals() -> dict[str, tuple[str, str]]:
        return {
            str(row["Name"]): (str(row["Node"]), str(row["ID"]))
            for row in tasks(swarm, "db")
            if str(row["CurrentState"]).startswith("Running")
        }

    def both_came_back() -> bool:
        said = command(swarm, "service", "logs", "db")
        return all(said.count(name) > 2 for name in ("| db-0", "| db-1"))

    wait_until(both_came_back, what="the second start of both", timeout_s=30)
    assert set(ordinals()) == {"db-0", "db-1"}
