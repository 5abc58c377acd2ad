"""Networks, secrets, configs and events on real daemons: allocated, referred to, told, resumed."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from demo.machines import Machine, machines
from demo.swarm import CommandFailed, Swarm, wait_until
from tests.support.bad_days import node_id as id_of

FOREVER = (sys.executable, "-c", "import time; time.sleep(1000)")


@pytest.fixture
def swarm(tmp_path: Path) -> Iterator[Swarm]:
    """A manager and a worker."""
    with machines(("m1", "w1")) as made:
        swarm = Swarm(made)
        try:
            manager = made.by_name["m1"]
            swarm.init(manager)
            swarm.join(made.by_name["w1"], manager, "worker")
            yield swarm
        finally:
            swarm.stop()


def manager(swarm: Swarm) -> Machine:
    return swarm.machines.by_name["m1"]


def inspect(swarm: Swarm, noun: str, name: str) -> dict[str, object]:
    (document,) = json.loads(swarm.command(manager(swarm), noun, "inspect", name))
    assert isinstance(document, dict)
    return document


def events(swarm: Swarm, *words: str) -> list[dict[str, object]]:
    output = swarm.command(manager(swarm), "events", "--until", "0s", "--format", "json", *words)
    return [json.loads(line) for line in output.splitlines()]


def test_objects_live_and_their_story_can_be_read_after_a_restart(
    swarm: Swarm, tmp_path: Path
) -> None:
    first = manager(swarm)
    (tmp_path / "key").write_text("hidden")
    swarm.command(first, "network", "create", "--subnet", "10.77.0.0/29", "back")
    swarm.command(first, "secret", "create", "key", str(tmp_path / "key"))
    swarm.command(first, "config", "create", "conf", str(tmp_path / "key"))
    swarm.command(
        first,
        *("service", "create", "--name", "web", "--replicas", "2", "--publish", "8080:80"),
        *("--network", "back", "--secret", "key", "--config", "conf", "--process", "--", *FOREVER),
    )
    web = inspect(swarm, "service", "web")
    assert {"10.77.0.2/29"} < {vip["Addr"] for vip in web["Endpoint"]["VirtualIPs"]}  # type: ignore[index]
    addresses = inspect(swarm, "network", "back")["Addresses"]
    assert addresses["Size"] == 6  # type: ignore[index]
    assert (addresses["Services"], addresses["Tasks"]) == (1, 2)  # type: ignore[index]
    for noun, name in (("network", "back"), ("secret", "key"), ("config", "conf")):
        with pytest.raises(CommandFailed, match="in use"):
            swarm.command(first, noun, "rm", name)
    assert "hidden" not in swarm.command(first, "secret", "inspect", "key")
    before = events(swarm, "--since", "0", "-f", "type=network,type=service,type=secret")
    assert {"network", "service", "secret"} <= {event["Type"] for event in before}
    assert "created by a user" in {event["Reason"] for event in before}
    version = str(before[0]["Version"])

    swarm.kill(first)
    swarm.start_daemon(first)
    wait_until(lambda: leads(swarm), what="the manager to lead again")
    after = events(swarm, "--since", version, "-f", "type=network,type=service,type=secret")
    assert after[: len(before) - 1] == before[1:]

    swarm.command(first, "service", "rm", "web")
    wait_until(lambda: removed(swarm, "back"), what="the network to be free")
    swarm.command(first, "secret", "rm", "key")
    swarm.command(first, "config", "rm", "conf")
    assert not swarm.command(first, "secret", "ls", "-q").split()


def leads(swarm: Swarm) -> bool:
    try:
        return bool(swarm.command(manager(swarm), "node", "ls", "-q"))
    except CommandFailed:
        return False


def removed(swarm: Swarm, name: str) -> bool:
    try:
        swarm.command(manager(swarm), "network", "rm", name)
    except CommandFailed:
        return False
    return True


def test_a_full_network_is_named_with_those_who_hold_it(swarm: Swarm) -> None:
    first = manager(swarm)
    swarm.command(first, "network", "create", "--subnet", "10.77.0.0/30", "tiny")
    swarm.command(
        first,
        *("service", "create", "-d", "--name", "web", "--network", "tiny"),
        *("--process", "--", *FOREVER),
    )
    wait_until(lambda: "tiny has 2 addresses" in why(swarm), what="the reason to be known")
    assert "larger subnet" in why(swarm)
    with pytest.raises(CommandFailed, match="needs 3 addresses on network tiny, which has 2"):
        swarm.command(first, "service", "scale", "web=3")


def test_where_a_network_is_full_one_task_at_a_time_stops_first(swarm: Swarm) -> None:
    """Six addresses: the gateway, the service, the node, and three tasks."""
    first = manager(swarm)
    swarm.command(
        first,
        "node",
        "update",
        "--availability",
        "drain",
        id_of(swarm, swarm.machines.by_name["w1"]),
    )
    swarm.command(first, "network", "create", "--subnet", "10.77.0.0/29", "tiny")
    swarm.command(
        first,
        *("service", "create", "--name", "web", "--network", "tiny", "--replicas", "3"),
        *("--update-order", "start-first", "--update-parallelism", "2", "--update-monitor", "0s"),
        *("--process", "--", *FOREVER),
    )
    shown = swarm.command(first, "service", "update", "--env-add", "V=2", "web")
    assert "stops first, as its new task has no room beside the old one: network tiny" in shown
    assert "3/3 running" in shown
    drain_start_first(swarm)
    publish(swarm, "one")
    with pytest.raises(CommandFailed, match="8081"):
        publish(swarm, "two")


def drain_start_first(swarm: Swarm) -> None:
    """All tasks move to the worker, though no address is left for any of them meanwhile."""
    first = manager(swarm)
    worker = id_of(swarm, swarm.machines.by_name["w1"])
    swarm.command(first, "node", "update", "--availability", "active", worker)
    shown = swarm.command(first, "node", "drain", "--drain-order", "start-first", "--wait", "self")
    assert shown.rstrip().endswith("is empty.")
    told = swarm.command(first, "events", "--since", "0", "--until", "0s", "-f", "type=task")
    assert "stops first, as its successor has no room beside it: network tiny" in told
    rows = swarm.rows(first, "node", "ps", worker, "--filter", "desired-state=running")
    assert len([row for row in rows if row["CurrentState"].startswith("Running")]) == 3


def publish(swarm: Swarm, name: str) -> None:
    """Make a service that has port 8081."""
    words = ("service", "create", "-d", "--name", name, "--publish", "8081:80")
    swarm.command(manager(swarm), *words, "--process", "--", *FOREVER)


def why(swarm: Swarm) -> str:
    return swarm.command(manager(swarm), "service", "ps", "--format", "json", "web")
