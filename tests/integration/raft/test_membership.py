"""Joining, leaving, moving and starting over, over real connections."""

import asyncio
import contextlib
import shutil
from pathlib import Path

import pytest

from swarmd.raft import founding
from swarmd.raft.errors import MembershipRefused, NotLeader, OutcomeUnknown, ProposalError
from swarmd.raft.members import Member
from tests.support.raft_cluster import FAST, Cluster


async def three(directory: Path) -> Cluster:
    cluster = Cluster(directory)
    await cluster.found("a")
    await cluster.join("b")
    await cluster.join("c")
    return cluster


async def test_members_come_and_go_under_load(tmp_path: Path) -> None:
    cluster = await three(tmp_path)
    acked: list[bytes] = []
    stopping = False

    async def client(number: int) -> None:
        count = 0
        while not stopping:
            data = b"%d-%d" % (number, count)
            with contextlib.suppress(ProposalError):
                await (await cluster.leader()).propose(data)
                acked.append(data)
            count += 1
            await asyncio.sleep(0)

    async with asyncio.TaskGroup() as clients:
        for number in range(4):
            clients.create_task(client(number))
        for generation in range(1, 5):
            node = await cluster.join("d", generation)
            leader = await cluster.leader()
            await leader.remove_member(node.raft_id)
            await cluster.until(node.removed.is_set)
            await cluster.stop("d")
            shutil.rmtree(tmp_path / "d")
        stopping = True
    leader = await cluster.leader()
    await leader.propose(b"end")
    await cluster.until(
        lambda: all(
            m.log[-1:] == [b"end"] for i, m in cluster.machines.items() if i in cluster.nodes
        )
    )
    for node_id in cluster.nodes:
        log = cluster.machines[node_id].log
        assert len(set(log)) == len(log)
        assert set(acked) <= set(log)
    assert len(acked) > 50
    assert cluster.fatal == {}
    await cluster.close()


async def test_a_removed_member_is_told_and_cannot_come_back_under_its_old_id(
    tmp_path: Path,
) -> None:
    cluster = await three(tmp_path)
    leader = await cluster.leader()
    gone = next(n for n in cluster.nodes.values() if n is not leader)
    await leader.remove_member(gone.raft_id)
    await cluster.until(gone.removed.is_set)
    assert leader.removal_blocker(gone.raft_id) is not None
    with pytest.raises(MembershipRefused, match="cannot come back"):
        await leader.add_member(gone.member)
    await cluster.close()


async def test_a_member_that_was_down_when_it_was_removed_is_told_when_it_calls(
    tmp_path: Path,
) -> None:
    cluster = await three(tmp_path)
    leader = await cluster.leader()
    name, gone = next((i, n) for i, n in cluster.nodes.items() if n is not leader)
    raft_id = gone.raft_id
    await cluster.stop(name)
    await leader.remove_member(raft_id)
    node = await cluster.start(name)
    await cluster.until(node.removed.is_set)
    await cluster.close()


async def test_the_leader_hands_over_before_it_is_removed(tmp_path: Path) -> None:
    cluster = await three(tmp_path)
    leader = await cluster.leader()
    with pytest.raises(MembershipRefused, match="transfer the leadership"):
        await leader.remove_member(leader.raft_id)
    await leader.transfer_leadership()
    await cluster.until(lambda: any(n.is_leader for n in cluster.nodes.values()))
    new = await cluster.leader()
    assert new is not leader
    await new.remove_member(leader.raft_id)
    await cluster.until(leader.removed.is_set)
    await cluster.close()


async def test_removing_a_live_member_that_the_quorum_needs_is_refused(tmp_path: Path) -> None:
    cluster = await three(tmp_path)
    leader = await cluster.leader()
    down, up = [i for i, n in cluster.nodes.items() if n is not leader]
    up_id, down_id = cluster.nodes[up].raft_id, cluster.nodes[down].raft_id
    await cluster.stop(down)
    await cluster.until(lambda: leader.removal_blocker(up_id) is not None)
    with pytest.raises(MembershipRefused, match="would lose the quorum"):
        await leader.remove_member(up_id)
    assert leader.removal_blocker(down_id) is None
    await leader.remove_member(down_id)
    assert len(leader.members) == 2
    await cluster.close()


async def test_a_member_with_a_wiped_disk_joins_anew(tmp_path: Path) -> None:
    cluster = await three(tmp_path)
    leader = await cluster.leader()
    for number in range(20):
        await leader.propose(b"%d" % number)
    name, node = next((i, n) for i, n in cluster.nodes.items() if n is not leader)
    old = node.raft_id
    await cluster.stop(name)
    shutil.rmtree(tmp_path / name)
    with pytest.raises(MembershipRefused, match="remove that member first"):
        await leader.add_member(Member(f"{name}.1", name, "127.0.0.1:1"))
    await leader.remove_member(old)
    await cluster.join(name, 1)
    await cluster.until(lambda: len(cluster.machines[name].log) == 20)
    await cluster.close()


async def test_concurrent_changes_happen_one_after_the_other(tmp_path: Path) -> None:
    cluster = await three(tmp_path)
    leader = await cluster.leader()
    for name in ("d", "e"):
        founding.prepare_join(tmp_path / name, cluster._member(name, 0), config=FAST)
        await cluster.start(name)
    async with asyncio.TaskGroup() as changes:
        for name in ("d", "e"):
            changes.create_task(leader.add_member(cluster.nodes[name].member))
    assert [m.node_id for m in leader.members] == ["a", "b", "c", "d", "e"]
    assert await leader.propose(b"x") == 1
    await cluster.close()


async def test_a_join_that_cannot_be_reached_is_given_up_with_the_address(tmp_path: Path) -> None:
    import msgspec

    cluster = Cluster(tmp_path, msgspec.structs.replace(FAST, catch_up_timeout_ns=300_000_000))
    leader = await cluster.found("a")
    with pytest.raises(MembershipRefused, match=r"127\.0\.0\.1:1 did not receive the log"):
        await leader.add_member(Member("x.0", "x", "127.0.0.1:1"))
    assert await leader.propose(b"still alone") == 1
    await cluster.close()


async def test_only_the_leader_changes_the_membership(tmp_path: Path) -> None:
    cluster = await three(tmp_path)
    leader = await cluster.leader()
    follower = next(n for n in cluster.nodes.values() if n is not leader)
    with pytest.raises(NotLeader) as refusal:
        await follower.remove_member(leader.raft_id)
    assert refusal.value.leader is not None
    with pytest.raises(NotLeader):
        await follower.read_barrier()
    await cluster.close()


async def test_a_member_comes_back_at_another_address(tmp_path: Path) -> None:
    cluster = await three(tmp_path)
    leader = await cluster.leader()
    name, node = next((i, n) for i, n in cluster.nodes.items() if n is not leader)
    raft_id, before = node.raft_id, node.member.address
    await cluster.stop(name)
    moved = await cluster.start(name, move=True)
    assert moved.member.address != before

    def recorded() -> bool:
        return all(
            m.address == moved.member.address
            for n in cluster.nodes.values()
            for m in n._core.configuration.members
            if m.raft_id == raft_id
        )

    await cluster.until(recorded)
    await (await cluster.leader()).propose(b"x")
    await cluster.until(lambda: cluster.machines[name].log == [b"x"])
    await cluster.close()


async def test_all_members_come_back_at_other_addresses_but_one(tmp_path: Path) -> None:
    cluster = await three(tmp_path)
    await (await cluster.leader()).propose(b"x")
    for name in ("a", "b", "c"):
        await cluster.stop(name)
    await cluster.start("a")
    await cluster.start("b", move=True)
    await cluster.start("c", move=True)
    leader = await cluster.leader()
    assert await leader.propose(b"y") == 2
    await cluster.close()


async def test_a_survivor_alone_can_found_the_cluster_anew(tmp_path: Path) -> None:
    cluster = await three(tmp_path)
    leader = await cluster.leader()
    for number in range(10):
        await leader.propose(b"%d" % number)
    await cluster.until(lambda: len(cluster.machines["b"].log) == 10)
    others = [cluster.nodes[i].raft_id for i in ("a", "c")]
    for name in ("a", "b", "c"):
        await cluster.stop(name)
    founding.force_new_cluster(tmp_path / "b", cluster._member("b", 1), config=FAST)
    survivor = await cluster.start("b")
    await cluster.until(lambda: survivor.is_leader)
    assert len(cluster.machines["b"].log) == 10
    assert await survivor.propose(b"new") == 11
    assert [m.raft_id for m in survivor.members] == ["b.1"]
    # One of the others is refused for ever and changes nothing.
    other = await cluster.start("a")
    term = survivor.term
    await asyncio.sleep(1.0)
    assert survivor._core.configuration.was_removed(others[0])
    assert survivor.is_leader
    assert survivor.term == term
    assert other.leader is None
    await cluster.close()


async def test_stopping_answers_everybody_who_waits(tmp_path: Path) -> None:
    cluster = await three(tmp_path)
    leader = await cluster.leader()
    followers = [i for i, n in cluster.nodes.items() if n is not leader]
    for name in followers:
        await cluster.stop(name)
    waiting = asyncio.ensure_future(leader.propose(b"x"))
    reading = asyncio.ensure_future(leader.read_barrier())
    await asyncio.sleep(0.01)
    await cluster.stop(next(iter(cluster.nodes)))
    for future in (waiting, reading):
        with pytest.raises((OutcomeUnknown, NotLeader)):
            await future


async def test_leadership_is_watched_to_the_end(tmp_path: Path) -> None:
    cluster = await three(tmp_path)
    leader = await cluster.leader()
    seen = []

    async def watch() -> None:
        async for leadership in leader.watch_leadership():
            seen.append(leadership)  # noqa: PERF401 - looked at while it grows

    task = asyncio.ensure_future(watch())
    await cluster.until(lambda: bool(seen))
    assert seen[0].ready
    assert seen[0].leader == leader.member
    await leader.transfer_leadership()
    await cluster.until(lambda: seen[-1].leader is not None and not seen[-1].ready)
    assert seen[-1].term > seen[0].term
    await cluster.close()
    await task


async def test_keys_rotate_while_the_member_runs(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path)
    node = await cluster.found("a")
    await node.propose(b"one")
    await node.rotate_dek()
    await node.propose(b"two")
    await node.rotate_kek(b"operator's key")
    await node.propose(b"three")
    await cluster.stop("a")
    node = await cluster.start("a", kek=b"operator's key")
    await cluster.until(lambda: node.is_leader)
    assert cluster.machines["a"].log == [b"one", b"two", b"three"]
    await cluster.close()
