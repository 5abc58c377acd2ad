"""What running containers cost their agent: `python -m tests.bench.containers idle`.

Memory of agent and keeper beyond what they take without containers, per container; and how often
they wake up while nothing happens.
"""

from __future__ import annotations

import asyncio
import gc
import os
import tempfile
from pathlib import Path

from swarmd.model.states import TaskState
from swarmd.model.task import Task
from tests.support.containers import ContainerWorker, a_container, a_container_worker, an_id
from tests.support.workers import eventually

CONTAINERS = int(os.environ.get("CONTAINERS", "50"))
IDLE_S = 20


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="swb", dir="/tmp") as directory:
        asyncio.run(measure(Path(directory)))


async def measure(directory: Path) -> None:
    async with a_container_worker(directory) as worker:
        first = a_container(an_id(), "sleep", "1000", grace_ns=1)
        await run(worker, [first])
        before = memory(worker)
        more = [a_container(an_id(), "sleep", "1000", grace_ns=1) for _ in range(CONTAINERS)]
        await run(worker, [first, *more])
        after = memory(worker)
        per_task = {name: (after[name] - before[name]) / CONTAINERS / 1e6 for name in after}
        await asyncio.sleep(5)
        woken = {name: -switches(pid) for name, pid in processes(worker).items()}
        await asyncio.sleep(IDLE_S)
        for name, pid in processes(worker).items():
            woken[name] += switches(pid)
        print(
            f"{CONTAINERS} containers: "
            + ", ".join(f"{name} {size:.3f} MB each" for name, size in per_task.items())
            + f"; woken in {IDLE_S} s while idle: "
            + ", ".join(f"{name} {count} times" for name, count in woken.items()),
            flush=True,
        )
        worker.assign()
        await eventually(lambda: not worker.worker.statuses(), "the removal")


async def run(worker: ContainerWorker, tasks: list[Task]) -> None:
    worker.assign(*tasks)
    for task in tasks:
        while worker.status(task.id).state < TaskState.RUNNING:
            await asyncio.sleep(0.05)


def processes(worker: ContainerWorker) -> dict[str, int]:
    return {"agent": os.getpid(), "keeper": worker.keeper_pid}


def memory(worker: ContainerWorker) -> dict[str, int]:
    """Bytes of each process that are its own."""
    gc.collect()
    found = {}
    for name, pid in processes(worker).items():
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        sizes = [int(line.split()[1]) for line in lines if line.startswith("Private_")]
        found[name] = sum(sizes) * 1024
    return found


def switches(pid: int) -> int:
    """How often the process has waited for something, in all its threads."""
    count = 0
    for path in Path(f"/proc/{pid}/task").iterdir():
        for line in (path / "status").read_text().splitlines():
            if line.startswith("voluntary_ctxt_switches"):
                count += int(line.split()[1])
    return count
