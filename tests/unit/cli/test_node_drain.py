"""`swarmd node drain`, with and without waiting."""

from __future__ import annotations

from swarmd.model.states import Availability, UpdateOrder
from tests.support.commands import create, failing


def test_a_drain_leads_all_tasks_away_and_shows_them_go(daemon):
    create(daemon, "web", "--replicas", "6")
    out = daemon.ok("node", "drain", "--drain-order", "start-first", "--wait", "n2")
    assert out.splitlines()[-1] == "Node n2 is empty."
    node = daemon.swarm.store.get_node("n2")
    assert node.spec.availability is Availability.DRAIN
    assert node.spec.drain_order is UpdateOrder.START_FIRST
    service = daemon.swarm.store.find_service_by_name("web")
    assert daemon.swarm.nodes_of(service.id)["n2"] == 0


def test_without_waiting_a_drain_is_only_asked_for(daemon):
    create(daemon, "web", "--replicas", "3")
    assert daemon.ok("node", "drain", "n2") == "Node n2 is being drained.\n"


def test_a_drain_that_is_not_over_in_time_says_what_is_left_and_why(daemon):
    create(daemon, "web", "--replicas", "3", "--replicas-max-per-node", "1")
    words = ("node", "drain", "--drain-order", "start-first", "--deadline", "1s", "n2")
    message = failing(daemon, *words, code=124)
    assert "node n2 is not empty after 1s: web." in message
    assert "waits for its successor, which is pending: no suitable node" in message


def test_the_order_of_drains_is_set_beforehand(daemon):
    daemon.ok("node", "update", "--drain-order", "start-first", "n1")
    assert daemon.swarm.store.get_node("n1").spec.drain_order is UpdateOrder.START_FIRST
