"""How much CPU the planner takes to create, watch, scale and update large services.

    python -m tests.bench.orchestrator.bench_planner [--nodes 500] [--tasks 5000]

Measured is the time inside the planner (`plan` and `observe`), the store's share apart. Status
reports stream in as from a dispatcher: in batches, one state after another.
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

from msgspec.structs import replace

from swarmd.model.cluster import Cluster
from swarmd.model.env import Env
from swarmd.model.ids import ClusterId, NodeId, ServiceId
from swarmd.model.instant import MILLISECOND, Instant
from swarmd.model.node import NodeStatus
from swarmd.model.service import Service
from swarmd.model.spec import UpdateConfig
from swarmd.model.states import NodeState, TaskState
from swarmd.model.task import TaskStatus
from swarmd.orchestrator.planner import Planner
from swarmd.runtime.chance import RandomIds
from swarmd.store.changes import (
    Action,
    Committed,
    Create,
    Delete,
    Entry,
    Kind,
    SetTaskStatus,
    Transaction,
    Update,
)
from swarmd.store.store import Store
from tests.support.cluster import COMING_UP, START, a_node, a_service_spec, a_task_spec

BATCH = 200
T = TypeVar("T")


class Bench:
    """A store and a planner with a stopwatch around each."""

    def __init__(self, nodes: int) -> None:
        self.store = Store()
        self.now = START
        self.planner_s = self.store_s = 0.0
        self.actions = self.passes = 0
        self.planner: Planner | None = None
        self._ids = RandomIds()
        self._rng = random.Random(1)
        self.commit(Create(Cluster(id=ClusterId("c"))))
        self.commit(*[Create(a_node(f"n{i:03}", cpus=64)) for i in range(nodes)])
        self.store.subscribe(self._observe)
        self.elect()

    def elect(self) -> None:
        self.planner = self._timed(lambda: Planner(self.store, self.env()))

    def reset(self) -> None:
        self.planner_s = self.store_s = 0.0
        self.actions = self.passes = 0

    def commit(self, *actions: Action) -> None:
        self.now = Instant(self.now + MILLISECOND)
        entry = Entry(self.now, NodeId("leader"), (Transaction(actions, atomic=False),))
        before, started = self.planner_s, time.perf_counter()
        self.store.apply(self.store.index + 1, entry)
        self.store_s += time.perf_counter() - started - (self.planner_s - before)

    def settle(self) -> None:
        assert self.planner is not None
        planner = self.planner
        while True:
            self.passes += 1
            actions = self._timed(lambda: planner.plan(self.env()))
            if not actions:
                return
            self.actions += len(actions)
            self.commit(*actions)

    def agents(self) -> None:
        """Every agent takes every task where it is wanted, a batch of reports at a time."""
        while moves := list(self._moves()):
            for start in range(0, len(moves), BATCH):
                self.commit(*moves[start : start + BATCH])
                self.settle()

    def _moves(self) -> Iterator[Action]:
        for task in self.store.tasks():
            state = task.status.state
            if not TaskState.ASSIGNED <= state <= TaskState.RUNNING:
                continue
            node = self.store.get_node(task.node_id)
            if node.status.state is NodeState.DOWN:
                continue
            goal: TaskState | None
            if task.desired_state > TaskState.COMPLETE:
                goal = TaskState.SHUTDOWN
            else:
                limit = min(task.desired_state, TaskState.RUNNING)
                goal = next((nxt for nxt in COMING_UP if state < nxt <= limit), None)
            if goal is not None:
                yield SetTaskStatus(task.id, TaskStatus(state=goal, timestamp=self.now))

    def _observe(self, committed: Committed) -> None:
        if self.planner is not None:
            planner = self.planner
            self._timed(lambda: planner.observe(committed))

    def _timed(self, work: Callable[[], T]) -> T:
        started = time.perf_counter()
        result = work()
        self.planner_s += time.perf_counter() - started
        return result

    def env(self) -> Env:
        return Env(self.now, self._ids, self._rng)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nodes", type=int, default=500)
    parser.add_argument("--tasks", type=int, default=5000)
    options = parser.parse_args()
    bench, tasks = Bench(options.nodes), options.tasks
    service_id = ServiceId("web")

    def report(what: str, count: int) -> None:
        print(
            f"{what:44} {bench.planner_s:7.3f} s planner {bench.store_s:7.3f} s store "
            f"{count / bench.planner_s:9.0f} tasks/s {bench.actions:6} actions {bench.passes:5} "
            "passes"
        )
        bench.reset()

    def respec(replicas: int, image: str, config: UpdateConfig | None = None) -> None:
        spec = a_service_spec(
            replicas=replicas, task=a_task_spec(image=image, cpus=0.1), update_config=config
        )
        old = bench.store.find_service(service_id)
        if old is None:
            bench.commit(Create(Service(id=service_id, spec=spec)))
        else:
            new = replace(
                old, spec=spec, spec_version=old.version, previous_spec=old.spec, update_status=None
            )
            bench.commit(Update(new, old.version))
        bench.settle()

    respec(tasks, "web:1")
    report("create: planned and committed", tasks)
    bench.agents()
    report("create: status reports until all run", tasks)
    bench.elect()
    bench.settle()
    report("election: recover and first pass", tasks)
    for number in range(10):
        node = bench.store.get_node(f"n{number:03}")
        bench.commit(Update(replace(node, status=NodeStatus(state=NodeState.DOWN)), node.version))
    bench.settle()
    bench.agents()
    report("10 nodes die: replaced and running", 10 * tasks // options.nodes)
    respec(tasks // 2, "web:1")
    bench.agents()
    report("scale to half, to the last task deleted", tasks // 2)
    respec(tasks, "web:1")
    bench.agents()
    report("scale up again", tasks // 2)
    respec(tasks, "web:2", UpdateConfig(parallelism=0))
    bench.agents()
    report("update of all slots at once", tasks)
    respec(tasks, "web:3", UpdateConfig(parallelism=100))
    bench.agents()
    report("update of 100 slots at a time", tasks)
    service = bench.store.get_service(service_id)
    bench.commit(Delete(Kind.SERVICE, service.id))
    bench.settle()
    bench.agents()
    report("remove, to the last task deleted", tasks)


if __name__ == "__main__":
    main()
