"""A cluster of three on loopback: mutual TLS, real disks, everything in one process."""

from pathlib import Path

import msgspec
import pytest

from swarmd.raft.errors import NotLeader
from tests.support.raft_cluster import FAST, Cluster


async def three(directory: Path, **settings: int) -> Cluster:
    cluster = Cluster(directory, msgspec.structs.replace(FAST, **settings))
    await cluster.found("a")
    await cluster.join("b")
    await cluster.join("c")
    return cluster


async def test_three_members_elect_commit_and_resume_after_all_restarted(tmp_path: Path) -> None:
    cluster = await three(tmp_path)
    leader = await cluster.leader()
    assert await leader.propose(b"one") == 1
    assert await leader.propose(b"two") == 2
    assert await leader.read_barrier() == leader.applied_index
    follower = next(n for n in cluster.nodes.values() if not n.is_leader)
    with pytest.raises(NotLeader) as refusal:
        await follower.propose(b"three")
    assert refusal.value.leader is not None
    assert refusal.value.leader.node_id == leader.member.node_id
    await cluster.until(lambda: all(m.log == [b"one", b"two"] for m in cluster.machines.values()))

    for node_id in ("a", "b", "c"):
        await cluster.stop(node_id)
    for node_id in ("a", "b", "c"):
        await cluster.start(node_id)
    leader = await cluster.leader()
    assert await leader.propose(b"three") == 3
    await cluster.until(
        lambda: all(m.log == [b"one", b"two", b"three"] for m in cluster.machines.values())
    )
    assert cluster.fatal == {}
    await cluster.close()


async def test_a_late_member_is_caught_up_by_snapshot(tmp_path: Path) -> None:
    cluster = await three(tmp_path, snapshot_entries=50, trailing_entries=5)
    leader = await cluster.leader()
    late = next(i for i, n in cluster.nodes.items() if not n.is_leader)
    await cluster.stop(late)
    written = [b"entry %d" % number for number in range(300)]
    for data in written:
        await leader.propose(data)
    await cluster.until(lambda: leader.status().snapshot_index > 200)
    node = await cluster.start(late)
    await cluster.until(lambda: cluster.machines[late].log == written)
    assert node.status().snapshot_index > 0
    assert await leader.propose(b"last") == 301
    await cluster.until(lambda: cluster.machines[late].log == [*written, b"last"])
    await cluster.stop(late)
    await cluster.start(late)
    await cluster.until(lambda: cluster.machines[late].log == [*written, b"last"])
    assert cluster.fatal == {}
    await cluster.close()
