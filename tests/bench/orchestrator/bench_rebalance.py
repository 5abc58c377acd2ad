"""A look at 1,000 nodes and 30,000 tasks, as the leader takes it: its portions, and the moves.

    python -m tests.bench.orchestrator.bench_rebalance [--nodes 1000] [--tasks 30000]

For one large service and for a thousand small ones, when all is level and when a tenth of the nodes
have just come; with spread, and with binpack, where a look asks most. CPU time of the passes: how
many there were, the longest, all together.
"""

from __future__ import annotations

import argparse
import gc
import time

from msgspec.structs import replace

from swarmd.model.cluster import Cluster, ClusterSpec, RebalanceConfig, SchedulingConfig
from swarmd.model.ids import ClusterId
from swarmd.model.instant import MINUTE, Instant
from swarmd.model.node import NodeSpec
from swarmd.model.states import Strategy
from swarmd.runtime.garbage import present_left_out
from swarmd.store.changes import Create, Update
from tests.bench.orchestrator.bench_planner import Bench
from tests.bench.orchestrator.bench_steady import fill
from tests.support.cluster import a_node


def configure(bench: Bench, strategy: Strategy) -> None:
    """Switch rebalancing on."""
    rebalance = RebalanceConfig(enabled=True, cooldown_ns=0, max_moves=100)
    spec = ClusterSpec(scheduling=SchedulingConfig(strategy=strategy, rebalance=rebalance))
    old = bench.store.find_cluster()
    if old is None:
        bench.commit(Create(Cluster(id=ClusterId("cluster"), spec=spec)))
    else:
        bench.commit(Update(replace(old, spec=spec), old.version))


def look(bench: Bench) -> tuple[list[float], int]:
    """CPU seconds of the passes until the look is over, and how many moves it began."""
    assert bench.planner is not None
    passes = []
    while True:
        started = time.process_time()
        actions = bench.planner.plan(bench.env())
        passes.append(time.process_time() - started)
        if actions:
            bench.commit(*actions)
            moves = sum(isinstance(action, Create) for action in actions)
            if moves:
                return passes, moves
            continue
        at = bench.planner.next_deadline()
        if at is None:
            return passes, 0
        bench.now = Instant(max(at, bench.now))


def report(options: argparse.Namespace, services: int, strategy: Strategy, joined: int) -> None:
    bench = Bench(options.nodes)
    fill(bench, options.nodes, options.tasks, services)
    bench.elect()
    bench.settle()
    with present_left_out():
        configure(bench, strategy)
        if strategy is Strategy.SPREAD:
            look(bench)  # all is level
            bench.now = Instant(bench.now + MINUTE)
            node = bench.store.nodes()[0]
            bench.commit(Update(replace(node, spec=NodeSpec(labels={"a": "b"})), node.version))
        for number in range(joined):
            bench.commit(Create(a_node(f"new{number}", cpus=64)))
        gc.collect()
        assert bench.planner is not None
        assert not bench.planner.plan(
            bench.env()
        )  # takes note of what changed, and begins the look
        passes, moves = look(bench)
    print(
        f"{strategy.value:8} {services:5} services {joined:4} new nodes: {len(passes):4} passes, "
        f"the longest {max(passes) * 1e3:6.1f} ms, all {sum(passes):6.2f} s, {moves} moves",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nodes", type=int, default=1_000)
    parser.add_argument("--tasks", type=int, default=30_000)
    options = parser.parse_args()
    for services in (1, 1_000):
        for joined in (0, options.nodes // 10):
            report(options, services, Strategy.SPREAD, joined)
    report(options, 1_000, Strategy.BINPACK, 0)


if __name__ == "__main__":
    main()
