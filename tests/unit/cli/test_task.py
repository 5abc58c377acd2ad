"""`swarmd task`, and the words of `cp` and `stats`."""

from __future__ import annotations

import json

import pytest

from swarmd.cli.stats import percent
from tests.support.commands import create, failing


def test_tasks_of_all_services_are_listed_and_filtered(daemon):
    create(daemon, "web", "--replicas", "2")
    create(daemon, "db")
    rows = [json.loads(line) for line in daemon.ok("task", "ls", "--format", "json").splitlines()]
    assert [row["Name"] for row in rows] == ["db.1", "web.1", "web.2"]
    assert daemon.ok("task", "ls", "-q", "--filter", "name=db").strip() == rows[0]["ID"]


def test_a_task_is_shown_in_full_and_a_service_is_none(daemon):
    create(daemon, "web")
    (task,) = daemon.swarm.store.tasks()
    (document,) = json.loads(daemon.ok("task", "inspect", "web.1"))
    assert document["ID"] == task.id
    assert f"ID:            {task.id}\n" in daemon.ok("task", "inspect", "--pretty", task.id)
    assert "web is a service" in failing(daemon, "task", "inspect", "web")


@pytest.mark.parametrize(
    "words",
    [
        pytest.param(("a", "b"), id="neither is in a task"),
        pytest.param(("web.1:/a", "web.1:/b"), id="both are"),
        pytest.param(("web.1:", "b"), id="no path"),
        pytest.param(("./web.1:/a", "b"), id="a file with a colon"),
    ],
)
def test_copies_have_one_side_in_a_task(daemon, words):
    failing(daemon, "cp", *words, code=2)


def test_the_use_of_processors_is_that_between_two_looks():
    first, last = {"Time": 0, "CPU": 100}, {"Time": 1000, "CPU": 1600}
    assert percent([first, last]) == 150.0
    assert percent([first]) == 0.0
