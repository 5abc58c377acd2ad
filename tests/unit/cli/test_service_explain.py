"""`swarmd service explain`."""

from __future__ import annotations

import json

from tests.support.daemon import Daemon

NOWHERE = ("--constraint", "node.labels.disk==ssd")


def create(daemon: Daemon, *flags: str) -> None:
    daemon.ok("service", "create", "--name", "web", "-d", *flags, "--process", "sleep", "9")
    daemon.ok("service", "ls")


def test_a_service_nobody_can_place_is_explained_by_filter(daemon):
    create(daemon, "--replicas", "2", *NOWHERE)
    lines = daemon.ok("service", "explain", "web").splitlines()
    assert lines[0] == "0 of 2 tasks of web run"
    assert lines[1].startswith("web.1, web.2: no suitable node (scheduling constraints")
    assert ["constraints", "3", "n1, n2, n3"] in [line.split(maxsplit=2) for line in lines]
    assert lines[-2:] == [
        "what would help:",
        "  add a node with node.labels.disk==ssd or relax the constraints",
    ]


def test_a_task_is_named_by_its_slot_or_its_id(daemon):
    create(daemon)
    (task,) = daemon.swarm.store.tasks()
    for word in ("web.1", task.id):
        assert daemon.ok("service", "explain", word).startswith(f"task web.1 ({task.id}) is")


def test_programs_get_the_same_as_json(daemon):
    create(daemon, *NOWHERE)
    answer = json.loads(daemon.ok("service", "explain", "web", "--format", "json"))
    assert (answer["ServiceName"], answer["Running"], answer["Wanted"]) == ("web", 0, 1)
    assert answer["Scheduler"]["Verdicts"][0]["Nodes"] == ["n1", "n2", "n3"]
    assert answer["Causes"][0]["Tasks"] == ["web.1"]


def test_what_is_neither_service_nor_task_is_an_error(daemon):
    result = daemon.run("service", "explain", "nothing")
    assert result.exit_code == 1
    assert "no such service: nothing" in result.stderr
