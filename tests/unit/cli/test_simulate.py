"""`swarmd simulate`, and `--dry-run` of the commands that change services."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from swarmd.model.states import TaskState
from tests.support.commands import create, failing
from tests.support.daemon import Daemon


def simulated(daemon: Daemon, *flags: str) -> Any:
    """The answer to a question, which changes nothing."""
    before = daemon.swarm.store.records()
    answer = json.loads(daemon.ok("simulate", "--format", "json", *flags))
    assert daemon.swarm.store.records() == before
    return answer


def kinds(answer: Any) -> list[str]:
    return sorted(task["Kind"] for task in answer["Tasks"])


def test_the_tasks_of_a_dead_node_are_shown_where_they_go(daemon: Daemon) -> None:
    create(daemon, "web", "--replicas", "3", "-q")
    out = daemon.ok("simulate", "--node-down", "n2")
    lines = out.splitlines()
    assert lines[0].split() == ["TASK", "FROM", "TO", "WHAT", "WHY"]
    assert lines[1].split()[0].startswith("web.")
    assert lines[1].split()[1] == "n2"
    assert "node n2 is down" in lines[1]
    assert ["n2", "1", "->", "0", "-", "-"] in [line.split() for line in lines]
    assert lines[-1].startswith("1 moved; at rest")


def test_every_hypothesis_has_its_flag(daemon: Daemon, tmp_path: Path) -> None:
    create(daemon, "web", "--replicas", "3", "-q")
    assert kinds(simulated(daemon, "--drain", "n1")) == ["moved"]
    assert kinds(simulated(daemon, "--scale", "web=5")) == ["started", "started"]
    assert kinds(simulated(daemon, "--remove", "web")) == ["stopped"] * 3
    answer = simulated(daemon, "--create", "api,replicas=13,cpu=1,memory=512m,priority=3")
    assert kinds(answer) == ["pending"] + ["started"] * 12
    assert answer["Pending"] == 1
    added = simulated(
        daemon, "--create", "api,replicas=13,cpu=1", "--add-nodes", "2", "--like", "n1"
    )
    assert added["Pending"] == 0
    assert {node["Hostname"] for node in added["Nodes"]} == {
        *("n1", "n2", "n3", "n1-new1", "n1-new2"),
    }
    file = tmp_path / "spec.json"
    file.write_text(
        daemon.ok("service", "inspect", "web").replace('"Name": "web"', '"Name": "copy"')
    )
    assert kinds(simulated(daemon, "--service-file", str(file))) == ["started"] * 3


def test_nothing_to_do_is_said(daemon: Daemon) -> None:
    assert "no task would move, start or stop" in daemon.ok("simulate", "--node-down", "n1")


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        ((), "say what happens"),
        (("--add-nodes", "2"), "--like is missing"),
        (("--like", "n1"), "say how many"),
        (("--scale", "web"), "not SERVICE=N"),
        (("--create", "replicas=3"), "does not begin with a name"),
        (("--create", "api,colour=red"), "none of replicas, cpu"),
        (("--create", "api,replicas=many"), "not a number"),
    ],
)
def test_what_makes_no_sense_is_refused(
    daemon: Daemon, flags: tuple[str, ...], sentence: str
) -> None:
    assert sentence in failing(daemon, "simulate", *flags, code=2)


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (("--node-down", "nobody"), "nobody"),
        (("--scale", "nothing=2"), "nothing"),
        (("--create", "web"), "web"),
        (("--create", "a/b"), "a/b"),
    ],
)
def test_what_cannot_be_is_refused(daemon: Daemon, flags: tuple[str, ...], sentence: str) -> None:
    create(daemon, "web", "-q")
    assert sentence in failing(daemon, "simulate", *flags)


def test_a_dry_run_of_creation_creates_nothing(daemon: Daemon) -> None:
    out = create(daemon, "web", "--replicas", "13", "--reserve-cpu", "1", "--dry-run")
    assert "insufficient resources on 3 nodes" in out
    assert "12 started, 1 pending; 1 would wait for a node" in out
    assert daemon.swarm.store.services() == ()


def test_a_dry_run_of_scaling_and_updating_changes_nothing(daemon: Daemon) -> None:
    create(daemon, "web", "--replicas", "2", "-q")
    before = daemon.swarm.store.records()
    assert "3 started" in daemon.ok("service", "scale", "--dry-run", "web=5")
    out = daemon.ok("service", "update", "--dry-run", "--env-add", "A=1", "web")
    assert "2 replaced" in out or "moved" in out
    assert "no previous spec" in failing(
        daemon, "service", "update", "--rollback", "--dry-run", "web"
    )
    assert daemon.swarm.store.records() == before


def test_priority_and_min_available_reach_the_spec_and_count(daemon: Daemon) -> None:
    reserve = ("--reserve-cpu", "4", "-d")
    create(daemon, "batch", "--replicas", "3", "--min-available", "2", *reserve)
    daemon.ok("service", "ls")
    create(daemon, "web", "--replicas", "3", "--priority", "5", *reserve)
    for _ in range(5):
        daemon.ok("service", "ls")
    by_service = {
        service.spec.name: len(daemon.swarm.running(service.id))
        for service in daemon.swarm.store.services()
    }
    assert by_service == {"batch": 2, "web": 1}
    ended = [t for t in daemon.swarm.store.tasks() if t.desired_state is TaskState.SHUTDOWN]
    assert [t.desired_reason.partition(" web")[0] for t in ended] == ["preempted by"]
    assert "preempted by web." in daemon.ok("service", "ps", "batch")
    daemon.ok("update", "--no-preemption")
    assert not daemon.swarm.store.cluster().spec.scheduling.preemption
