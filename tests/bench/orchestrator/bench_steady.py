"""A store of 1,000 nodes and 30,000 tasks: its memory, one change, and a new leader.

    python -m tests.bench.orchestrator.bench_steady [--nodes 1000] [--tasks 30000]

For one large service and for a thousand small ones: how much memory the tables take (the growth of
the resident set), how long a planner takes from scratch, how long a pass takes after one task
failed or one node came, and how long an explanation takes. CPU time; of passes the median and the
worst of a hundred.
"""

from __future__ import annotations

import argparse
import gc
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

from swarmd.model.ids import NodeId, ServiceId, TaskId
from swarmd.model.service import Service
from swarmd.model.states import TaskState
from swarmd.model.task import Task, TaskStatus
from swarmd.orchestrator.explain import explain_service
from swarmd.runtime.garbage import present_left_out
from swarmd.store.changes import Create, SetTaskStatus
from tests.bench.orchestrator.bench_planner import Bench
from tests.support.cluster import START, a_node, a_service_spec, a_task_spec

PASSES = 100
MIB = 1 << 20


def resident() -> int:
    """Bytes of this process in memory."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def fill(bench: Bench, nodes: int, tasks: int, services: int) -> None:
    """Running tasks as a dispatcher leaves them, without planning them one by one."""
    each = tasks // services
    for number in range(services):
        service = Service(
            id=ServiceId(f"{number:025}"),
            spec=a_service_spec(f"s{number}", replicas=each, task=a_task_spec(cpus=0.1)),
        )
        bench.commit(Create(service))
        running = []
        for copy in range(each):
            serial = number * each + copy
            running.append(
                Task(
                    id=TaskId(f"{serial:025}"),
                    created_at=START,
                    service_id=service.id,
                    service_name=service.spec.name,
                    slot=copy + 1,
                    node_id=NodeId(f"n{serial % nodes:03}"),
                    spec=service.spec.task_template,
                    desired_state=TaskState.RUNNING,
                    status=TaskStatus(
                        state=TaskState.RUNNING, timestamp=bench.now, message="started"
                    ),
                )
            )
        bench.commit(*map(Create, running))


def failures(bench: Bench, tasks: int) -> list[float]:
    """CPU seconds of the pass after one task failed."""
    found = []
    for number in range(PASSES):
        task = bench.store.get_task(f"{(number * 7919) % tasks:025}")
        status = TaskStatus(state=TaskState.FAILED, timestamp=bench.now, err="boom")
        bench.commit(SetTaskStatus(task.id, status))
        found.append(one_pass(bench))
    return found


def joins(bench: Bench) -> list[float]:
    """The same after one node came."""
    found = []
    for number in range(PASSES):
        bench.commit(Create(a_node(f"new{number}", cpus=64)))
        found.append(one_pass(bench))
    return found


def one_pass(bench: Bench) -> float:
    """CPU seconds of one `plan`; what it wants is committed, and planned to its end, unmeasured."""
    assert bench.planner is not None
    started = time.process_time()
    actions = bench.planner.plan(bench.env())
    spent = time.process_time() - started
    if actions:
        bench.commit(*actions)
        bench.settle()
    return spent


def explanations(bench: Bench) -> list[float]:
    """CPU seconds of explaining a service, as the leader does."""
    assert bench.planner is not None
    found = []
    for service in bench.store.services()[:PASSES]:
        started = time.process_time()
        explain_service(service, bench.store, bench.now, bench.planner.fleet)
        found.append(time.process_time() - started)
    return found


def measure(nodes: int, tasks: int, services: int) -> None:
    gc.collect()
    before = resident()
    bench = Bench(nodes)
    planner, bench.planner = bench.planner, None
    del planner
    fill(bench, nodes, tasks, services)
    gc.collect()
    store = resident() - before
    with present_left_out():  # as the engine does for each term
        started = time.process_time()
        bench.elect()
        scanned = time.process_time() - started
        bench.settle()
        recovered = time.process_time() - started
        gc.collect()
        whole = resident() - before
        explained = explanations(bench)
        failed, joined = failures(bench, tasks), joins(bench)
    print(
        f"{nodes} nodes, {tasks} tasks, {services} services: store {store / MIB:.0f} MiB, with the "
        f"planner {whole / MIB:.0f} MiB; recovery {scanned:.3f} s, with its first pass "
        f"{recovered:.3f} s"
    )
    print(f"  one service explained: {statistics.median(explained) * 1e3:.1f} ms")
    for what, values in (("task failed", failed), ("node came", joined)):
        print(
            f"  one {what}: its pass takes {statistics.median(values) * 1e3:.2f} ms, "
            f"the worst of {PASSES} {max(values) * 1e3:.2f} ms"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nodes", type=int, default=1_000)
    parser.add_argument("--tasks", type=int, default=30_000)
    parser.add_argument("--services", type=int, help="only so many, in this process")
    options = parser.parse_args()
    if options.services is not None:
        measure(options.nodes, options.tasks, options.services)
        return
    for services in (1, 1_000):  # each in a process of its own, for the sake of its memory
        subprocess.run(
            [
                *(sys.executable, "-m", "tests.bench.orchestrator.bench_steady"),
                *("--nodes", str(options.nodes), "--tasks", str(options.tasks)),
                *("--services", str(services)),
            ],
            check=True,
        )


if __name__ == "__main__":
    main()
