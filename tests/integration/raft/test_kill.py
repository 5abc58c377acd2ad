"""kill -9 under load, with compaction running: nothing that was acknowledged may be missing."""

import asyncio
import random
import signal
from pathlib import Path

import pytest

from tests.support.raft_proc_cluster import ProcessCluster

COMPACTING = {"snapshot_entries": 200, "trailing_entries": 50, "segment_bytes": 65536}


async def under_load(cluster: ProcessCluster, rounds: int, strike: str, seed: int) -> None:
    rng, stopping = random.Random(seed), False
    async with asyncio.TaskGroup() as clients:
        for number in range(8):
            clients.create_task(cluster.load(f"client{number}", lambda: stopping))
        for _ in range(rounds):
            await cluster.leader()
            await asyncio.sleep(rng.uniform(0.1, 0.5))
            match strike:
                case "one":
                    names = [rng.choice(list(cluster.processes))]
                case "leader":
                    names = [(await cluster.leader()).node_id]
                case "majority":
                    names = rng.sample(list(cluster.processes), 2)
                case _:
                    names = list(cluster.processes)
            for name in names:
                await cluster.processes[name].kill()
            await asyncio.sleep(rng.uniform(0.0, 0.3))
            for name in names:
                await cluster.processes[name].start()
        stopping = True
    await cluster.check()


@pytest.mark.parametrize("strike", ["one", "leader", "majority", "all"])
async def test_killing_members_under_load_loses_nothing(tmp_path: Path, strike: str) -> None:
    cluster = ProcessCluster(tmp_path, **COMPACTING)
    try:
        await cluster.form()
        await under_load(cluster, 5, strike, seed=len(strike))
        assert len(cluster.acked) > 50
    finally:
        await cluster.close()


async def test_a_member_alone_keeps_everything_it_acknowledged(tmp_path: Path) -> None:
    cluster = ProcessCluster(tmp_path, 1, **COMPACTING)
    try:
        await cluster.form()
        await under_load(cluster, 8, "all", seed=1)
        assert len(cluster.acked) > 50
    finally:
        await cluster.close()


async def test_a_leader_stopped_for_longer_than_the_time_out_is_replaced_and_follows(
    tmp_path: Path,
) -> None:
    cluster = ProcessCluster(tmp_path, **COMPACTING)
    try:
        await cluster.form()
        await cluster.write("before")
        old = await cluster.leader()
        old.signal(signal.SIGSTOP)
        old.ready = False
        try:
            new = await cluster.leader()
            assert new.node_id != old.node_id
            assert await cluster.write("meanwhile")
        finally:
            old.signal(signal.SIGCONT)
        late = await old.ask("propose", text="too late")
        assert late["outcome"] in ("no", "unknown")
        await cluster.check()
    finally:
        await cluster.close()
