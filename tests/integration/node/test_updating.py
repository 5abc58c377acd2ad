"""Updates, roll-backs and drains in a swarm of real daemons, driven by the command line."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from demo.machines import Machine, machines, stop
from demo.swarm import CommandFailed, Swarm, wait_until

NAMES = ("m1", "w1", "w2")
SLEEP = ("--process", "--", sys.executable, "-c", "import time; time.sleep(600)")


@pytest.fixture
def swarm() -> Iterator[Swarm]:
    """A manager that takes no tasks, and two workers."""
    with machines(NAMES) as made:
        swarm = Swarm(made)
        try:
            first = made.by_name["m1"]
            swarm.init(first)
            for name in NAMES[1:]:
                swarm.join(made.by_name[name], first, "worker")
            wait_until(lambda: len(swarm.rows(first, "node", "ls")) == len(NAMES), what="the nodes")
            swarm.command(first, "node", "drain", "self")
            yield swarm
        finally:
            swarm.stop()


def first_of(swarm: Swarm) -> Machine:
    return swarm.machines.by_name["m1"]


def create(swarm: Swarm, *flags: str) -> None:
    swarm.command(
        first_of(swarm),
        "service",
        "create",
        "--name",
        "web",
        "--update-monitor",
        "1s",
        *flags,
        *SLEEP,
    )


def service(swarm: Swarm, *words: str) -> str:
    return swarm.command(first_of(swarm), "service", *words)


def inspected(swarm: Swarm, name: str = "web") -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = json.loads(service(swarm, "inspect", name))[0]
    return found


def node_id(swarm: Swarm, name: str) -> str:
    return str(swarm.json(swarm.machines.by_name[name], "info")["NodeID"])


def running(swarm: Swarm) -> str:
    return str(swarm.rows(first_of(swarm), "service", "ls")[0]["Replicas"])


def test_an_update_is_paused_over_a_restart_resumed_and_taken_back_to_any_version(
    swarm: Swarm, tmp_path: Path
) -> None:
    told = tmp_path / "events"
    watching = ("-u", "-m", "swarmd.cli", "--state-dir", str(first_of(swarm).state_dir), "events")
    with told.open("wb") as output:
        events = first_of(swarm).start([sys.executable, *watching], output=output)
    try:
        update_and_go_back(swarm)
        wait_until(lambda: "rolled back" in told.read_text(), what="the last event")
    finally:
        stop(events)
    lines = told.read_text().splitlines()
    assert any("trying again" in line for line in lines)
    versions = [int(line.split()[1]) for line in lines if line.startswith("20")]
    assert versions == sorted(versions), "nothing is told twice after the restart"


def update_and_go_back(swarm: Swarm) -> None:
    create(swarm, "--replicas", "3", "--update-delay", "2s")
    service(swarm, "update", "--detach", "--env-add", "V=2", "web")
    wait_until(lambda: "UpdateStatus" in inspected(swarm), what="the update to begin")
    assert "is paused" in service(swarm, "pause", "web")
    daemon = swarm.daemons.pop("m1")
    daemon.kill()
    daemon.wait()
    first_of(swarm).socket.unlink()
    swarm.start_daemon(first_of(swarm))
    wait_until(lambda: state(swarm) == "paused", what="the pause to be remembered")
    assert "3/3 running" in service(swarm, "resume", "web")
    assert state(swarm) == "completed"
    service(swarm, "update", "--env-add", "W=3", "web")
    versions = [row["Version"] for row in swarm.rows(first_of(swarm), "service", "history", "web")]
    assert len(versions) == 3
    assert "+ TaskTemplate.ContainerSpec.Env: W=3" in service(swarm, "diff", "web")
    shown = service(swarm, "rollback", "--to", str(versions[-1]), "web")
    assert "- TaskTemplate.ContainerSpec.Env: V=2" in shown
    assert state(swarm) == "rollback_completed"
    assert "Env" not in json.dumps(inspected(swarm)["Spec"])


def state(swarm: Swarm, name: str = "web") -> str:
    try:
        return inspected(swarm, name).get("UpdateStatus", {}).get("State", "")
    except CommandFailed:
        return ""


def test_new_tasks_that_do_not_run_in_time_pause_the_update_and_the_old_ones_stay(
    swarm: Swarm,
) -> None:
    create(swarm, "--replicas", "2", "--update-order", "start-first", "--update-task-timeout", "2s")
    with pytest.raises(CommandFailed, match="update paused due to failure"):
        service(swarm, "update", "--constraint-add", "node.labels.gpu==yes", "web")
    assert "not running within 2s: no suitable node" in service(swarm, "ps", "web")
    assert inspected(swarm)["UpdateStatus"]["State"] == "paused"
    rows = swarm.rows(first_of(swarm), "service", "ps", "--filter", "desired-state=running", "web")
    assert len([row for row in rows if row["CurrentState"].startswith("Running")]) == 2
    assert "2/2 running" in service(swarm, "rollback", "web")
    see_some_failures_borne(swarm)


def see_some_failures_borne(swarm: Swarm) -> None:
    """One failing task of four is within a ratio of a half, and beyond one of none."""
    script = 'test "$SLOT" != "$BAD" && exec sleep 600'
    swarm.command(
        first_of(swarm),
        *("service", "create", "--name", "shaky", "--replicas", "4", "--restart-condition", "none"),
        *("--env", "SLOT={{.Task.Slot}}", "--env", "BAD=0", "--update-monitor", "500ms"),
        *("--update-max-failure-ratio", "0.5", "--update-parallelism", "2"),
        *("--process", "--", "sh", "-c", script),
    )
    service(swarm, "update", "--detach", "--env-add", "BAD=1", "shaky")
    wait_until(lambda: state(swarm, "shaky") == "completed", what="an update that bears a failure")
    rows = swarm.rows(first_of(swarm), "service", "ps", "shaky")
    assert sum(row["CurrentState"].startswith("Failed") for row in rows) == 1
    with pytest.raises(CommandFailed, match="update paused due to failure"):
        service(swarm, "update", "--update-max-failure-ratio", "0", "--env-add", "BAD=2", "shaky")


def test_where_start_first_has_no_room_one_task_at_a_time_stops_first(swarm: Swarm) -> None:
    create(
        swarm,
        *("--replicas", "2", "--replicas-max-per-node", "1"),
        *("--update-order", "start-first", "--update-parallelism", "2"),
    )
    shown = service(swarm, "update", "--env-add", "V=2", "web")
    assert "stops first, as its new task has no room beside the old one" in shown
    assert "max replicas" in shown
    assert running(swarm) == "2/2"
    service(swarm, "update", "--replicas-max-per-node", "0", "--update-order", "stop-first", "web")
    port = "published=8080,target=8080,mode=host"
    service(swarm, "update", "--publish-add", port, "web")
    shown = service(swarm, "update", "--update-order", "start-first", "--env-add", "V=3", "web")
    assert "stops first, as its new task has no room beside the old one" in shown
    assert "host-mode port already in use" in shown
    assert running(swarm) == "2/2"


def test_a_drain_leads_tasks_away_and_says_what_it_waits_for(swarm: Swarm) -> None:
    create(swarm, "--replicas", "4", "--min-available", "3")
    first, worker = first_of(swarm), node_id(swarm, "w1")
    shown = swarm.command(first, "node", "drain", "--drain-order", "stop-first", "--wait", worker)
    assert shown.rstrip().endswith("is empty.")
    assert running(swarm) == "4/4"
    told = swarm.command(first, "events", "--since", "0", "--until", "0s", "-f", "type=task")
    assert "3 tasks of web have to go on running (min-available)" in told
    other = node_id(swarm, "w2")
    drain = ("node", "drain", "--drain-order", "start-first", "--deadline", "2s", other)
    with pytest.raises(CommandFailed, match=r"not empty after 2s: web\.\d waits for") as late:
        swarm.command(first, *drain)
    assert "no suitable node" in str(late.value)
    assert running(swarm) == "4/4"
    swarm.command(first, "node", "update", "--availability", "active", worker)
    assert "is empty" in swarm.command(first, "node", "drain", "--wait", other)
    assert running(swarm) == "4/4"
