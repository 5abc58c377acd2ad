"""`swarmd init`, `join`, `leave`, `stop` and `token`, from words typed to lines printed."""

from __future__ import annotations

import json

import pytest

from swarmd.rpc.pb import local
from tests.support.commands import failing


def test_init_tells_how_to_go_on(daemon):
    assert daemon.ok("init", "--advertise-addr", "10.0.0.1", "--cert-expiry", "24h") == (
        "swarm created: node n1 is a manager; runtime process (no containerd), balancing proxy\n"
        "note: as root\n"
        "to add a worker:   swarmd join --token SWMTKN-1-w 10.0.0.1:2377\n"
        "to add a manager:  swarmd token manager\n"
    )
    (request,) = daemon.local.requests
    assert request.advertise_addr == "10.0.0.1"
    assert request.node_cert_expiry.seconds == 86_400
    assert not request.HasField("heartbeat_period")


def test_join_tells_the_role(daemon):
    out = daemon.ok("join", "--token", "T", "--availability", "drain", "10.0.0.1", "10.0.0.2:2377")
    assert out.startswith("node n2 joined the swarm as a manager; runtime process")
    (request,) = daemon.local.requests
    assert list(request.remote_addrs) == ["10.0.0.1", "10.0.0.2:2377"]
    assert request.availability == local.AVAILABILITY_DRAIN


@pytest.mark.parametrize(
    ("words", "complaint"),
    [(("10.0.0.1",), "--token is missing"), (("--token", "T"), "address of a manager is missing")],
)
def test_join_needs_a_token_and_a_manager(daemon, words, complaint):
    assert complaint in failing(daemon, "join", *words, code=2)


def test_a_unit_runs_this_nodes_daemon(daemon):
    unit = daemon.ok("init", "--print-unit")
    assert f"--state-dir {daemon.socket.parent} daemon\n" in unit
    assert daemon.ok("join", "--print-unit") == unit
    assert daemon.local.requests == []


NODE_FLAGS = ("--label", "disk=ssd", "--generic-resource", "gpu=a", "--generic-resource", "gpu=b")


@pytest.mark.parametrize("command", ["init", "join"])
def test_what_describes_the_node_goes_to_the_daemon_that_is_started(daemon, command):
    unit = daemon.ok(command, *NODE_FLAGS, "--print-unit")
    flags = "--label disk=ssd --generic-resource gpu=a --generic-resource gpu=b"
    assert f"--state-dir {daemon.socket.parent} daemon {flags}\n" in unit


def test_what_describes_the_node_comes_too_late_for_a_daemon_that_runs(daemon):
    said = failing(daemon, "init", "--label", "disk=ssd")
    assert "a daemon runs already, so --label comes too late for it" in said
    assert daemon.local.requests == []


def test_leaving_can_be_forced(daemon):
    assert daemon.ok("leave", "--force") == "node left the swarm\n"
    assert daemon.local.requests[0].force


def test_stopping_leaves_tasks_unless_told_otherwise(daemon):
    assert daemon.ok("stop") == "daemon stopped; its tasks run on\n"
    assert daemon.ok("stop", "--tasks") == "daemon stopped with its tasks\n"
    assert [request.stop_tasks for request in daemon.local.requests] == [False, True]


def test_tokens_are_shown_and_rotated(daemon):
    first = daemon.ok("token", "--rotate", "-q", "worker").strip()
    assert first.startswith("SWMTKN-1-")
    assert daemon.ok("token", "worker") == (
        f"to add a worker:  swarmd join --token {first} 10.0.0.1:2377\n"
    )
    assert "the manager token was replaced" in daemon.ok("token", "--rotate", "manager")
    assert daemon.ok("token", "-q", "worker").strip() == first


def test_both_tokens_are_shown_when_no_role_is_named(daemon):
    lines = daemon.ok("token").splitlines()
    assert [line.split(":")[0] for line in lines] == ["to add a worker", "to add a manager"]
    documents = [json.loads(line) for line in daemon.ok("token", "--format", "json").splitlines()]
    assert [document["Role"] for document in documents] == ["worker", "manager"]
    assert documents[0]["Token"] in lines[0]
    assert documents[0]["Addr"] == "10.0.0.1:2377"


@pytest.mark.parametrize("flag", ["--rotate", "-q"])
def test_one_token_is_rotated_or_printed_at_a_time(daemon, flag):
    assert "needs a role" in failing(daemon, "token", flag, code=2)


def test_a_swarm_is_rebuilt_on_request_only(daemon):
    assert daemon.ok("init", "--force-new-cluster").startswith(
        "swarm rebuilt: node n1 is a manager"
    )
    daemon.ok("init")
    assert [request.force_new_cluster for request in daemon.local.requests] == [True, False]


def test_programs_are_told_what_became_of_a_node(daemon):
    founded = json.loads(daemon.ok("init", "--format", "json"))
    assert (founded["NodeID"], founded["WorkerToken"]) == ("n1", "SWMTKN-1-w")
    joined = json.loads(daemon.ok("join", "--token", "T", "--format", "json", "10.0.0.1"))
    assert (joined["NodeID"], joined["Role"], joined["Runtime"]) == ("n2", "manager", "process")
