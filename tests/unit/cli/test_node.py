"""`swarmd node`, from words typed to lines printed."""

from __future__ import annotations

import json

from swarmd.manager.control import ManagerMember
from swarmd.model.ids import NodeId
from swarmd.model.states import Availability, NodeState, Role
from tests.support.commands import create, failing


def test_nodes_are_listed_with_a_star_for_this_one(daemon):
    daemon.swarm.set_node("n3", state=NodeState.DOWN, availability=Availability.DRAIN)
    assert daemon.ok("node", "ls").splitlines() == [
        "ID     HOSTNAME   STATUS   AVAILABILITY   MANAGER STATUS   ADDRESS         ENGINE VERSION",
        "n1 *   n1         Ready    Active         Leader           10.0.0.1:2377",
        "n2     n2         Ready    Active                          10.0.0.1",
        "n3     n3         Down     Drain                           10.0.0.1",
    ]
    assert daemon.ok("node", "ls", "-q", "--filter", "availability=drain") == "n3\n"
    own = json.loads(daemon.ok("node", "ls", "--format", "json").splitlines()[0])
    assert (own["Self"], own["ManagerStatus"]) == (True, "Leader")


def test_a_node_is_changed_by_name(daemon):
    daemon.ok("node", "update", "--availability", "drain", "--label-add", "rack=r1", "n2")
    spec = daemon.swarm.store.get_node("n2").spec
    assert (spec.availability, spec.labels) == (Availability.DRAIN, {"rack": "r1"})
    daemon.ok("node", "update", "--label-rm", "rack", "n2")
    assert daemon.swarm.store.get_node("n2").spec.labels == {}


def test_promotion_and_demotion_say_what_they_did(daemon):
    daemon.ok("node", "promote", "n1")
    assert daemon.ok("node", "promote", "n2", "n1") == (
        "Node n2 promoted to a manager.\nNode n1 is already a manager.\n"
    )
    daemon.members += (ManagerMember("n2", 2, "10.0.0.2:2377", leader=False, reachable=True),)
    assert daemon.ok("node", "demote", "n2") == "Node n2 demoted in the swarm.\n"
    assert daemon.swarm.store.get_node("n2").spec.role is Role.WORKER


def test_a_demotion_at_the_cost_of_the_quorum_is_refused(daemon):
    daemon.ok("node", "promote", "n1")
    assert "attempting to demote the last manager" in failing(daemon, "node", "demote", "n1")
    daemon.ok("node", "promote", "n2")
    daemon.blocker = "1 of 2 managers would remain reachable"
    assert daemon.blocker in failing(daemon, "node", "demote", "n1")


def test_a_node_that_is_up_is_removed_by_force_only(daemon):
    assert "is not down and can't be removed" in failing(daemon, "node", "rm", "n3")
    assert daemon.ok("node", "rm", "--force", "n3") == "n3\n"
    assert daemon.swarm.store.find_node(NodeId("n3")) is None


def test_tasks_of_this_node_are_listed_without_naming_it(daemon):
    create(daemon, "web", "--replicas", "3")
    rows = daemon.ok("node", "ps").splitlines()
    assert len(rows) == 2
    assert rows[1].split()[1].startswith("web.")
    assert len(daemon.ok("node", "ps", "n1", "n2").splitlines()) == 3


def test_a_node_is_inspected_by_name_or_as_self(daemon):
    documents = json.loads(daemon.ok("node", "inspect", "self", "n2"))
    assert [document["ID"] for document in documents] == ["n1", "n2"]
    assert documents[0]["ManagerStatus"]["Leader"] is True


def test_a_node_is_inspected_by_people_without_what_is_empty(daemon):
    lines = daemon.ok("node", "inspect", "--pretty", "n2").splitlines()
    assert lines[:3] == ["ID:           n2", "Hostname:     n2", "Status:       Ready"]
    assert "Memory:       8 GiB" in lines
    assert "CPUs:         4" in lines
    assert not any(line.startswith("Manager:") for line in lines)
    assert daemon.ok("node", "inspect", "--format", "pretty", "n2").splitlines() == lines


def test_this_node_is_called_self_by_every_command_on_nodes(daemon):
    assert daemon.ok("node", "update", "--label-add", "a=b", "self") == "n1\n"
    assert daemon.swarm.store.get_node("n1").spec.labels == {"a": "b"}
    assert daemon.ok("node", "promote", "self") == "Node self promoted to a manager.\n"
    assert "last manager" in failing(daemon, "node", "demote", "self")
    assert "must be demoted" in failing(daemon, "node", "rm", "self")
