"""`swarmd rebalance`."""

from __future__ import annotations

import json

import pytest

from swarmd.cli import rebalance
from swarmd.model.states import TaskState
from tests.support.cluster import a_node
from tests.support.commands import create, failing
from tests.support.daemon import Daemon


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rebalance, "POLL_S", 0.0)


@pytest.fixture
def lopsided(daemon: Daemon) -> Daemon:
    """Eight tasks on three nodes, and a fourth that has just joined."""
    create(daemon, "web", "--replicas", "8", "-q")
    daemon.swarm.put_node(a_node("n4"))
    return daemon


def nodes(daemon: Daemon) -> dict[str, int]:
    return dict(daemon.swarm.nodes_of(daemon.swarm.store.services()[0].id))


def test_a_dry_run_shows_the_moves_and_why(lopsided: Daemon) -> None:
    lines = lopsided.ok("rebalance", "--dry-run").splitlines()
    assert lines[0].split() == ["TASK", "FROM", "TO", "WHY"]
    assert len(lines) == 3
    assert "n4 has 0" in lines[1]
    assert "n4" not in nodes(lopsided)
    plan = json.loads(lopsided.ok("rebalance", "--dry-run", "--format", "json"))
    assert [move["To"] for move in plan["Moves"]] == ["n4", "n4"]


def test_tasks_move_until_the_swarm_is_level(lopsided: Daemon) -> None:
    out = lopsided.ok("rebalance")
    assert out.splitlines()[-1] == "2 tasks moved"
    assert sorted(nodes(lopsided).values()) == [2, 2, 2, 2]
    assert lopsided.ok("rebalance") == "nothing to move\n"


def test_programs_get_the_moves_as_json(lopsided: Daemon) -> None:
    answer = json.loads(lopsided.ok("rebalance", "--format", "json"))
    assert len(answer["Moves"]) == 2
    assert answer["Notes"] == []


def test_detached_it_begins_as_many_moves_as_may_be(lopsided: Daemon) -> None:
    out = lopsided.ok("rebalance", "--detach")
    assert out.splitlines()[-1] == "1 task begun to move"


def test_only_services_that_are_named_move(lopsided: Daemon) -> None:
    create(lopsided, "api", "-q")
    assert lopsided.ok("rebalance", "--dry-run", "api") == "nothing to move\n"
    assert "nothing" in failing(lopsided, "rebalance", "nothing")


def test_time_that_is_up_says_what_is_left(lopsided: Daemon) -> None:
    error = failing(lopsided, "rebalance", "--timeout", "0s", code=124)
    assert "1 moves are still under way, and 1 or more to be made" in error


def test_a_task_that_does_not_come_up_stays_and_is_an_error(lopsided: Daemon) -> None:
    lopsided.swarm.fate = lambda task: TaskState.FAILED if task.node_id == "n4" else None
    error = failing(lopsided, "rebalance")
    assert "1 of 1 tasks could not be moved: web." in error
    assert sorted(nodes(lopsided).values()) == [2, 3, 3]


def test_the_policy_is_set_for_the_whole_swarm(lopsided: Daemon) -> None:
    lopsided.ok("update", "--rebalance", "--rebalance-max-moves", "2", "--rebalance-cooldown", "0s")
    for _ in range(5):
        lopsided.ok("service", "ls")
    assert sorted(nodes(lopsided).values()) == [2, 2, 2, 2]
    lopsided.ok("update", "--no-rebalance")
    config = lopsided.swarm.store.cluster().spec.scheduling.rebalance
    assert (config.enabled, config.max_moves, config.cooldown_ns) == (False, 2, 0)
