"""Figures of the replicated log, beside etcd's from the same run where etcd is installed.

    python -m tests.bench.raft.bench_raft [--rounds 3] [--seconds 3] [--kills 20] [--only NAMES]

Both run three members with mutual TLS and a synced journal on this machine; ours encrypts its
journal as well. Our load is produced inside the leader's process, where the API server would
produce it; etcd's comes over one mutual-TLS connection from a minimal client. Rounds alternate
between the two; medians are printed.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import shutil
import statistics
from pathlib import Path
from typing import Any

from swarmd.raft import founding as raft
from tests.bench.raft.etcd import Etcd, scratch
from tests.support.raft_proc_cluster import ProcessCluster

LOADS = {
    "1 outstanding, 200 B": (1, 200, 1),
    "256 outstanding, 200 B": (256, 200, 1),
    "256 outstanding, 2 kB": (256, 2_000, 1),
    "1 outstanding, 200 changes of 200 B": (1, 40_000, 200),
    "8 outstanding, 200 changes of 200 B": (8, 40_000, 200),
}
PRODUCTION = {"segment_bytes": 16 << 20, "reserve_bytes": 4 << 20}


async def throughput(rounds: int, seconds: float) -> None:
    """Writes per second of both, and the ratio."""
    with scratch() as directory:
        ours = ProcessCluster(Path(directory) / "ours", **PRODUCTION)
        etcd = Etcd(Path(directory)) if shutil.which("etcd") else None
        try:
            await ours.form()
            if etcd is not None:
                await etcd.start()
            for name, (outstanding, size, changes) in LOADS.items():
                mine: list[dict[str, Any]] = []
                theirs: list[dict[str, float]] = []
                for _ in range(rounds):
                    leader = await ours.leader()
                    answer = await leader.ask(
                        "load", outstanding=outstanding, size=size, seconds=seconds
                    )
                    assert answer["outcome"] == "ok", answer
                    mine.append(answer["result"])
                    if etcd is not None:
                        theirs.append(await etcd.load(outstanding, size, seconds))
                _report(name, changes, mine, theirs)
        finally:
            await ours.close()
            if etcd is not None:
                await etcd.stop()


def _report(
    name: str, changes: int, mine: list[dict[str, Any]], theirs: list[dict[str, float]]
) -> None:
    rate = statistics.median(r["per_second"] for r in mine) * changes
    p50 = statistics.median(r["p50_ms"] for r in mine)
    p99 = statistics.median(r["p99_ms"] for r in mine)
    line = f"{name:<38} ours {rate:>9,.0f}/s p50 {p50:6.2f} ms p99 {p99:7.2f} ms"
    if theirs:
        peer = statistics.median(r["per_second"] for r in theirs) * changes
        peer50 = statistics.median(r["p50_ms"] for r in theirs)
        line += f"   etcd {peer:>9,.0f}/s p50 {peer50:6.2f} ms   ratio {rate / peer:5.2f}"
    print(line, flush=True)


async def failover(kills: int) -> None:
    """From kill -9 of the leader to the first write another member has committed."""
    times = []
    with scratch() as directory:
        cluster = ProcessCluster(Path(directory), **PRODUCTION)
        loop = asyncio.get_running_loop()
        try:
            await cluster.form()
            for number in range(kills):
                await cluster.write(f"before {number}")
                await asyncio.sleep(0.5)
                victim = await cluster.leader()
                started = loop.time()
                await victim.kill()
                await cluster.write(f"after {number}")
                times.append(loop.time() - started)
                await victim.start()
                await asyncio.sleep(1.0)
        finally:
            await cluster.close()
    times.sort()
    print(
        f"leader killed to next commit: median {statistics.median(times):.2f} s, "
        f"p90 {times[len(times) * 9 // 10]:.2f} s, worst of {kills} {times[-1]:.2f} s",
        flush=True,
    )


async def idle(seconds: float = 20.0) -> None:
    """Share of a core each member needs when nothing happens."""
    with scratch() as directory:
        cluster = ProcessCluster(Path(directory), **PRODUCTION)
        try:
            await cluster.form()
            await asyncio.sleep(2.0)
            before = {n: (await p.ask("cpu"))["result"] for n, p in cluster.processes.items()}
            await asyncio.sleep(seconds)
            for name, process in cluster.processes.items():
                used = (await process.ask("cpu"))["result"] - before[name]
                role = "leader" if process.ready else "follower"
                print(f"idle {role}: {100 * used / seconds:.2f} % of a core", flush=True)
        finally:
            await cluster.close()


async def joiner(megabytes: int = 50) -> None:
    """A fresh member joining a cluster with this much state, and what writers notice."""
    with scratch() as directory:
        cluster = ProcessCluster(Path(directory), 4, **PRODUCTION, snapshot_entries=200)
        last = list(cluster.processes)[-1]
        late = cluster.processes.pop(last)
        loop = asyncio.get_running_loop()
        try:
            await cluster.form()
            leader = await cluster.leader()
            piece = "x" * 100_000
            for number in range(megabytes * 10):
                await cluster.write(f"{number} {piece}")
            async with asyncio.timeout(60):
                while (await leader.ask("status"))["result"]["snapshot_index"] < 200:
                    await asyncio.sleep(0.1)
            await asyncio.sleep(1.0)
            cluster.processes[last] = late
            member = cluster.member(last)
            raft.prepare_join(cluster.directory / last, member)
            await late.start()
            stop = asyncio.Event()
            waits: list[float] = []

            async def writer() -> None:
                while not stop.is_set():
                    started = loop.time()
                    await cluster.write(f"w{started}")
                    waits.append(loop.time() - started)

            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(writer())
                started = loop.time()
                answer = await leader.ask(
                    "add", raft_id=member.raft_id, node_id=last, address=member.address
                )
                took = loop.time() - started
                stop.set()
            assert answer["outcome"] == "ok", answer
            waits.sort()
            print(
                f"join with {megabytes} MB of state: {took:.2f} s; "
                f"writes meanwhile p99 {waits[len(waits) * 99 // 100] * 1e3:.0f} ms "
                f"of {len(waits)}",
                flush=True,
            )
        finally:
            cluster.processes[last] = late
            await cluster.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--only", default="idle,throughput,failover,joiner")
    options = parser.parse_args()
    for name in options.only.split(","):
        with contextlib.suppress(KeyboardInterrupt):
            match name:
                case "throughput":
                    asyncio.run(throughput(options.rounds, options.seconds))
                case "failover":
                    asyncio.run(failover(options.kills))
                case "idle":
                    asyncio.run(idle())
                case "joiner":
                    asyncio.run(joiner())


if __name__ == "__main__":
    main()
