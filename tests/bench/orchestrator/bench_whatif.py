"""CPU time of questions, moves and preemption on 1,000 nodes with 30,000 tasks.

python -m tests.bench.orchestrator.bench_whatif
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable

from swarmd.model.cluster import Cluster
from swarmd.model.env import Env
from swarmd.model.ids import ClusterId, NodeId, ServiceId, TaskId
from swarmd.model.instant import SECOND, Instant
from swarmd.model.service import Service
from swarmd.model.states import TaskState
from swarmd.model.task import Task, TaskStatus
from swarmd.orchestrator.planner import Planner
from swarmd.orchestrator.rebalance import plan_moves
from swarmd.orchestrator.whatif import rehearse
from swarmd.orchestrator.whatif.hypothesis import Hypothesis, NodeDown, NodesAdded, ServiceScaled
from swarmd.runtime.chance import RandomIds
from swarmd.store.changes import Create, Entry, Object, Transaction
from swarmd.store.store import Store
from tests.support.cluster import LEADER, START, a_node, a_service_spec, a_task_spec

NODES, SERVICES, REPLICAS = 1_000, 300, 100
NOW = Instant(START + 10 * SECOND)


def a_state(*, cpus: float, empty: int = 0) -> list[Object]:
    """Full nodes, `empty` ones besides, and services spread over the full ones."""
    records: list[Object] = [Cluster(id=ClusterId("cluster"))]
    records += (a_node(f"n{number:04}", cpus=cpus) for number in range(NODES))
    records += (a_node(f"x{number:04}", cpus=cpus) for number in range(empty))
    for number in range(SERVICES):
        spec = a_service_spec(f"s{number}", replicas=REPLICAS, task=a_task_spec(cpus=1))
        service = Service(id=ServiceId(f"s{number}"), spec=spec)
        records.append(service)
        records += (_task(service, number * REPLICAS + slot, slot + 1) for slot in range(REPLICAS))
    return records


def _task(service: Service, number: int, slot: int) -> Task:
    return Task(
        id=TaskId(f"t{number:06}"),
        created_at=START,
        ran_at=START,
        service_id=service.id,
        service_name=service.spec.name,
        slot=slot,
        node_id=NodeId(f"n{number % NODES:04}"),
        spec=service.spec.task_template,
        desired_state=TaskState.RUNNING,
        status=TaskStatus(state=TaskState.RUNNING, timestamp=START),
    )


def an_env() -> Env:
    return Env(NOW, RandomIds(random.Random(1)), random.Random(2), NOW)


def measure(name: str, work: Callable[[], object]) -> None:
    started = time.process_time()
    answer = work()
    print(f"{name:<44} {time.process_time() - started:6.2f} s   {answer}")


def main() -> None:
    records = a_state(cpus=64)
    questions: dict[str, tuple[Hypothesis, ...]] = {
        "simulate: a node dies": (NodeDown("n0005"),),
        "simulate: 1,000 replicas more": (ServiceScaled("s1", REPLICAS + 1_000),),
        "simulate: 100 nodes join": (NodesAdded(100, "n0001"),),
    }
    for name, supposed in questions.items():
        measure(name, lambda it=supposed: _shifts(records, it))  # type: ignore[misc]
    for name, empty in (("rebalance: all is level", 0), ("rebalance: 100 empty nodes", 100)):
        store = Store()
        store.restore(1, a_state(cpus=64, empty=empty))
        measure(name, lambda it=store: f"{len(plan_moves(it, NOW).moves)} moves")  # type: ignore[misc]
    _preempt()


def _shifts(records: list[Object], supposed: tuple[Hypothesis, ...]) -> str:
    return f"{len(rehearse(1, records, supposed, an_env()).shifts)} tasks"


def _preempt() -> None:
    store = Store()
    store.restore(1, a_state(cpus=30))
    env = an_env()
    planner = Planner(store, env)
    store.subscribe(planner.observe)

    def commit(transaction: Transaction) -> None:
        store.apply(store.index + 1, Entry(NOW, LEADER, (transaction,)))

    def settle() -> str:
        while actions := planner.plan(env):
            commit(Transaction(actions, atomic=False))
        ending = sum(task.desired_state is TaskState.SHUTDOWN for task in store.tasks())
        return f"{ending} told to stop"

    def create(name: str, replicas: int, cpus: float) -> None:
        spec = a_service_spec(name, replicas=replicas, task=a_task_spec(cpus=cpus, priority=5))
        commit(Transaction((Create(Service(id=ServiceId(name), spec=spec)),)))

    settle()
    create("urgent", 500, 2)
    measure("preempt: 500 tasks on full nodes", settle)
    create("hopeless", 1, 200)
    measure("preempt: one that nothing helps", settle)


if __name__ == "__main__":
    main()
