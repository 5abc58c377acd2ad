"""`swarmd service ls`, `ps` and `inspect`, from words typed to lines printed."""

from __future__ import annotations

import json

from swarmd.model.states import TaskState
from tests.support.commands import create, failing


def test_services_are_listed_by_name(daemon):
    create(daemon, "web", "--replicas", "2", "-p", "8080:80", "-l", "tier=front")
    create(daemon, "api")
    assert daemon.ok("service", "ls").splitlines() == [
        "ID    NAME   MODE         REPLICAS   IMAGE                    PORTS",
        "id2   api    replicated   1/1        python3 -m http.server",
        "id1   web    replicated   2/2        python3 -m http.server   *:8080->80/tcp",
    ]
    assert daemon.ok("service", "ls", "-q", "--filter", "label=tier=front") == "id1\n"
    assert daemon.ok("service", "ls", "-q", "--filter", "name=a", "--filter", "name=w") == (
        "id2\nid1\n"
    )
    rows = daemon.ok("service", "ls", "--format", "json").splitlines()
    assert [json.loads(row)["Replicas"] for row in rows] == ["1/1", "2/2"]


def test_an_unknown_filter_is_a_usage_error(daemon):
    message = failing(daemon, "service", "ls", "--filter", "colour=red", code=2)
    assert "unknown filter 'colour'; use id, name, mode, label" in message


def test_tasks_are_listed_with_their_predecessors_and_the_whole_reason(daemon):
    create(daemon, "web", "--restart-delay", "0s")
    (task,) = daemon.swarm.store.tasks()
    reason = "exit code 3: " + "the disk of this machine is full " * 5
    daemon.swarm.report(task, TaskState.FAILED, reason.strip())
    rows = daemon.ok("service", "ps", "web", "--filter", "name=web").splitlines()
    assert rows[0].split("   ")[0] == "ID"
    assert rows[1].split()[1] == "web.1"
    assert " \\_ web.1" in rows[2]
    assert reason.strip() in rows[2]
    assert "Failed 1 second ago" in rows[2]
    first = json.loads(daemon.ok("service", "ps", "--format", "json", "web").splitlines()[0])
    assert (first["Name"], first["DesiredState"]) == ("web.1", "Running")
    running = daemon.ok("service", "ps", "-q", "--filter", "desired-state=running", "web")
    assert len(running.splitlines()) == 1


def test_a_beginning_of_an_id_is_enough_when_it_is_the_only_one(daemon):
    create(daemon, "web")
    create(daemon, "api")
    assert json.loads(daemon.ok("service", "inspect", "id1"))[0]["Spec"]["Name"] == "web"
    message = failing(daemon, "service", "inspect", "id")
    assert "service 'id' is ambiguous: id1 (web), id2 (api)" in message


def test_how_a_service_is_balanced_shows_in_inspect(daemon):
    create(daemon)
    assert "Balance:" not in daemon.ok("service", "inspect", "--pretty", "web")
    flags = ("--balance", "source-hash", "--balance-weight", "node.labels.cpus")
    daemon.ok("service", "update", "-d", *flags, "web")
    [document] = json.loads(daemon.ok("service", "inspect", "web"))
    assert document["Spec"]["EndpointSpec"]["Balance"] == "source-hash"
    assert document["Spec"]["EndpointSpec"]["WeightLabel"] == "cpus"
    pretty = daemon.ok("service", "inspect", "--pretty", "web")
    assert "source-hash, by node.labels.cpus" in pretty
    daemon.ok("service", "update", "-d", "--balance-weight", "", "web")
    assert "node.labels" not in daemon.ok("service", "inspect", "--pretty", "web")


def test_an_update_in_progress_shows_in_inspect(daemon):
    create(daemon)
    daemon.ok("service", "update", "-d", "web", "other")
    daemon.ok("service", "ls")
    document = json.loads(daemon.ok("service", "inspect", "web"))[0]
    assert document["UpdateStatus"]["State"] == "updating"
    assert document["PreviousSpec"]["Name"] == "web"
    assert "Update:" in daemon.ok("service", "inspect", "--pretty", "web")
