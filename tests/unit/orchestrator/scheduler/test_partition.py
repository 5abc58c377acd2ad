"""Partitions: kept true by changes alone, split by what is asked about and nothing else."""

from __future__ import annotations

import random

from msgspec.structs import replace

from swarmd.model.ids import NodeId
from swarmd.model.states import NodeState, Strategy
from swarmd.orchestrator.scheduler import fleet as fleets
from swarmd.orchestrator.scheduler.fleet import Fleet
from swarmd.orchestrator.scheduler.kinds import SELECTIONS_MAX, Kinds
from swarmd.orchestrator.scheduler.load import Kind
from swarmd.orchestrator.scheduler.order import Order, Size
from swarmd.orchestrator.scheduler.partition import Partition
from swarmd.orchestrator.scheduler.statics import Statics
from tests.support.cluster import a_node
from tests.support.fleet import a_fleet, a_task, nodes_for

SPREAD = Order(Strategy.SPREAD)
ZONE = ("node.labels.zone",)


def cells(partition: Partition) -> list[list[str]]:
    return sorted(
        [str(entry[-2]) for entry in cell.entries] for cell, _ in partition.judged(Statics())
    )


def test_nodes_differ_only_in_what_somebody_asks_about() -> None:
    nodes = [a_node(f"n{i}", labels={"zone": str(i % 2), "serial": str(i)}) for i in range(4)]
    fleet = a_fleet(nodes)
    assert cells(fleet.partition((), SPREAD)) == [["n0", "n1", "n2", "n3"]]
    assert cells(fleet.partition(ZONE, SPREAD)) == [["n0", "n2"], ["n1", "n3"]]
    assert len(cells(fleet.partition(("node.id",), SPREAD))) == 4


def test_any_number_of_changes_leaves_a_partition_as_a_new_one_would_be() -> None:
    rng = random.Random(1)
    fleet = a_fleet([a_node(f"n{i}", labels={"zone": "a"}) for i in range(12)])
    own = Order(Strategy.SPREAD, service_id=a_task("t0").service_id)
    orders = (SPREAD, Order(Strategy.BINPACK, Size(10**9, 1 << 30)), own)
    for step in range(3000):
        number = rng.randrange(12)
        match rng.randrange(5):
            case 0:
                labels = {"zone": rng.choice("ab")}
                state = rng.choice([NodeState.READY, NodeState.DOWN])
                fleet.put_node(a_node(f"n{number}", labels=labels, state=state))
            case 1:
                fleet.drop_node(NodeId(f"n{number}"))
            case 2:
                fleet.forget(a_task(f"t{rng.randrange(40)}").id)
            case _:
                fleet.track(a_task(f"t{rng.randrange(40)}", node=f"n{number}", cpus=0.1))
        if step % rng.choice([1, 7, 400]) == 0:
            for order in orders:
                expected = cells(Partition(ZONE, order, list(fleet)))
                assert cells(fleet.partition(ZONE, order)) == expected


def test_partitions_out_of_use_make_room_and_come_back() -> None:
    fleet = a_fleet([a_node("n1"), a_node("n2")])
    first = fleet.partition(ZONE, SPREAD)
    assert fleet.partition(ZONE, SPREAD) is first
    for number in range(fleets.PARTITIONS_MAX):
        fleet.partition((f"node.labels.x{number}",), SPREAD)
    again = fleet.partition(ZONE, SPREAD)
    assert again is not first
    assert cells(again) == cells(first)


def test_selections_follow_kinds_that_come_and_go() -> None:
    kinds = Kinds()
    web, api = Kind(a_task(service="web")), Kind(a_task(service="api"))
    kinds.add(web)
    assert list(kinds.select("w", lambda kind: kind.service_name.startswith("w"))) == [web]
    wide = Kind(replace(a_task(service="wide"), spec_version=3))
    for kind in (api, wide):
        kinds.add(kind)
    assert list(kinds.select("w", lambda kind: False)) == [web, wide]
    kinds.remove(web)
    assert list(kinds.select("w", lambda kind: False)) == [wide]
    assert list(kinds.of_service("web")) == []
    replaced = Kind(replace(a_task(service="wide"), spec_version=3))
    kinds.add(replaced)
    kinds.remove(wide)
    assert list(kinds.of_service("wide")) == [replaced]
    for number in range(SELECTIONS_MAX):
        kinds.select(number, lambda kind: True)
    assert list(kinds.select("w", lambda kind: False)) == []


def test_an_empty_fleet_places_nothing() -> None:
    assert nodes_for(Fleet(), a_task(), 2) == []
