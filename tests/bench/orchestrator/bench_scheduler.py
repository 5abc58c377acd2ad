"""How long placing takes: by size of the fleet, number of services, and what they ask.

    python -m tests.bench.orchestrator.bench_scheduler [--large]

Measured is `place` from the requirement to the last decision, on a fleet that knows its nodes; CPU
time, the best of five, so that a busy machine does not count. What is compared takes turns.
"""

from __future__ import annotations

import argparse
import gc
import random
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

from swarmd.model.node import Node
from swarmd.model.spec import Placement
from swarmd.model.states import Strategy
from swarmd.model.task import Task
from swarmd.orchestrator.scheduler.fleet import Fleet
from swarmd.orchestrator.scheduler.placement import place
from swarmd.orchestrator.scheduler.requirement import requirement_of
from tests.support.cluster import a_node
from tests.support.fleet import NOW, a_fleet, a_task, numbered, spread_over

ZONES, RACKS, DISKS = 10, 40, 4
ROUNDS = 5

Wish = Callable[[int], Placement | None]


class Load(NamedTuple):
    """So many tasks of so many services, each asking for what `wish` says of its number."""

    name: str
    nodes: int
    tasks: int
    services: int
    wish: Wish


def nothing(_: int) -> Placement | None:
    return None


def constrained(number: int) -> Placement:
    """A third of the nodes by one label, none of a disk, and a zone if it can be had."""
    return Placement(
        constraints=(
            f"node.labels.tier=={number % 3}",
            f"node.labels.disk!={number % DISKS}",
            f"node.labels.zone==~zone-{number % ZONES}*",
        )
    )


def affine(number: int) -> Placement:
    """Spread over zones, constrained, away from one other service, near another if possible."""
    return spread_over(
        "node.labels.zone",
        constraints=(f"node.labels.disk!={number % DISKS}",),
        affinities=(f"service!=s{number - 2}", f"service==~s{number - 1}"),
    )


def hard(number: int) -> Placement:
    """Constraints and an affinity that refuse, no wishes."""
    return Placement(
        constraints=(f"node.labels.tier=={number % 3}", "node.labels.zone!=/^zone-0$/"),
        affinities=(f"service!=s{number - 1}", "image!=mysql*"),
    )


def near(number: int) -> Placement | None:
    """Nine of ten services on the nodes of the tenth, which may be anywhere."""
    first = number - number % 10
    return Placement(affinities=(f"service==s{first}",)) if number != first else None


def packed(_: int) -> Placement:
    return Placement(strategy=Strategy.BINPACK)


def by_lot(_: int) -> Placement:
    return Placement(strategy=Strategy.RANDOM)


def nodes(count: int) -> Iterator[Node]:
    """Machines with labels that classes are made of, and one label of their own."""
    for number in range(count):
        labels = {
            "zone": f"zone-{number % ZONES}",
            "rack": f"rack-{number % RACKS}",
            "disk": str(number % DISKS),
            "tier": str(number % 3),
            "serial": str(number),
        }
        yield a_node(f"n{number:05}", cpus=64, memory=256 << 30, labels=labels)


def tasks(load: Load) -> list[tuple[Task, list[Task]]]:
    each = load.tasks // load.services
    groups = []
    for number in range(load.services):
        task = a_task(
            f"t{number}",
            service=f"s{number}",
            cpus=0.1,
            memory=64 << 20,
            placement=load.wish(number),
        )
        groups.append((task, [numbered(task, copy) for copy in range(each)]))
    return groups


def seconds(load: Load, work: list[tuple[Task, list[Task]]], machines: list[Node]) -> float:
    """CPU seconds of one run on a fresh fleet."""
    fleet: Fleet = a_fleet(machines)
    rng = random.Random(1)
    gc.collect()
    started = time.process_time()
    placed = 0
    for sample, group in work:
        for decision in place(fleet, requirement_of(sample), group, now=NOW, rng=rng):
            placed += decision.node_id is not None
    spent = time.process_time() - started
    if placed != load.tasks:
        raise AssertionError(f"{load.name}: {placed} of {load.tasks} tasks were placed")
    return spent


def report(load: Load, beside: Load | None = None) -> None:
    """Print what a load costs, and how much more than the other, which takes turns with it."""
    machines = list(nodes(load.nodes))
    loads = [load, beside] if beside is not None else [load]
    works = [tasks(each) for each in loads]
    best = [
        min(times)
        for times in zip(
            *(
                [seconds(each, work, machines) for each, work in zip(loads, works, strict=True)]
                for _ in range(ROUNDS)
            ),
            strict=True,
        )
    ]
    ratio = f"{best[0] / best[1]:6.2f} x {loads[1].name}" if beside is not None else ""
    print(
        f"{load.name:28} {load.nodes:6} nodes {load.tasks:7} tasks {load.services:5} services "
        f"{best[0]:7.3f} s {best[0] / load.tasks * 1e6:6.1f} µs/task{ratio}",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--large", action="store_true", help="also 100,000 tasks")
    options = parser.parse_args()
    for count in (10_000, 100_000) if options.large else (10_000,):
        plain = {
            services: Load("plain", 1_000, count, services, nothing) for services in (1, 1_000)
        }
        for load in plain.values():
            report(load)
        for name, wish in (
            ("constraints", constrained),
            ("constraints and affinities", hard),
            ("near another service", near),
            ("spread, affinities, wishes", affine),
            ("binpack", packed),
            ("random", by_lot),
        ):
            for services in (1, 1_000):
                report(Load(name, 1_000, count, services, wish), beside=plain[services])
    print("cost per task by size of the fleet, ten tasks per node")
    for services_per_node in (0, 1):
        for size in (100, 1_000, 10_000):
            services = size * services_per_node or 1
            report(Load("plain", size, size * 10, services, nothing))


if __name__ == "__main__":
    main()
