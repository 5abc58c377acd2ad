"""The known faults of the library's core, one by one, against the guarded one.

Letters are those of docs/design/raft.md. Members are real, time is virtual.
"""

import errno
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from swarmd.raft.config import RaftConfig
from swarmd.raft.core import DATA, DENIED, DISCARDED, DONE
from swarmd.raft.errors import FatalError
from swarmd.raft.members import Change, Member, Operation, encode_change
from swarmd.raft.messages import (
    Append,
    AppendReply,
    HigherTerm,
    PeerMessage,
    PreVote,
    SnapshotOffer,
    TimeoutNow,
    Vote,
    VoteReply,
)
from swarmd.raft.replica import Replica
from tests.support.raft_sim_world import Host, Violation, World

CONFIG = RaftConfig(snapshot_entries=20, trailing_entries=5, segment_bytes=8192, reserve_bytes=4096)


@contextmanager
def cluster(size: int = 3, seed: int = 1) -> Iterator[World]:
    world = World(seed, CONFIG, slow_disks=False)
    with world.loop.installed():
        world.found(size)
        world.run(1.0)
        yield world


def running(host: Host) -> Replica:
    assert host.replica is not None
    return host.replica


def roles(world: World) -> tuple[Replica, list[Replica]]:
    leader = world.leader()
    assert leader is not None
    return leader, [
        running(h) for _, h in sorted(world.hosts.items()) if h.replica is not leader and h.replica
    ]


def isolate(world: World, replica: Replica, *, quietly: bool = False) -> None:
    name = replica.own.raft_id
    for other in sorted(world.hosts):
        if other != name:
            if quietly:
                world.one_way |= {(name, other), (other, name)}
            else:
                world.cut.add(frozenset((name, other)))
                world.set_link(name, other, up=False)


def say(replica: Replica, sender: Replica, message: PeerMessage) -> None:
    replica.receive(sender.own.raft_id, message)


def test_a_snapshot_offer_does_not_commit_the_receivers_own_tail() -> None:
    """Hazard A: a leader of the past came back with entries nobody else has."""
    with cluster() as world:
        leader, (follower, _) = roles(world)
        journal, core = follower.journal, follower.core
        journal.add(DATA + b"never agreed", journal.last_index + 1, core.term)
        commit = core.commit
        offer = SnapshotOffer(core.term, journal.last_index + 50, core.term, 1)
        say(follower, leader, offer)
        assert core.commit == commit
        assert b"never agreed" not in dict(world.hosts[follower.own.raft_id].machine.items).values()


def test_an_older_snapshot_is_not_installed() -> None:
    """Hazard E."""
    with cluster() as world:
        for _ in range(60):
            world.write()
            world.run(0.02)
        world.run(1.0)
        leader, (follower, _) = roles(world)
        info = follower.snapshots.newest
        assert info is not None
        assert info.header.index < follower.core.commit
        before = follower.core.applied
        assert not follower.install(info)
        assert follower.core.applied == before
        fetched: list[int] = []
        follower.fetch_with(lambda leader, index: fetched.append(index), lambda: False)
        say(follower, leader, SnapshotOffer(leader.core.term, info.header.index, 1, 1))
        assert fetched == []


def test_replies_of_another_term_say_nothing_about_this_one() -> None:
    """Hazard D."""
    with cluster() as world:
        leader, (follower, _) = roles(world)
        isolate(world, follower, quietly=True)
        for _ in range(5):
            leader.core.command(DATA + b"x", lambda result, reason: None)
        leader.driver.wake()
        world.run(0.1)
        match = leader.core.match_index(follower.own.raft_id)
        last, term = leader.journal.last_index, leader.core.term
        assert match < last
        say(leader, follower, AppendReply(term - 1, last + 1, False, True, 1))
        assert leader.core.match_index(follower.own.raft_id) == match
        say(leader, follower, AppendReply(term, last + 1, False, True, 1))
        assert leader.core.match_index(follower.own.raft_id) == last


def test_a_reply_about_entries_the_leader_does_not_have_is_ignored() -> None:
    with cluster() as world:
        leader, (follower, _) = roles(world)
        last = leader.journal.last_index
        say(leader, follower, AppendReply(leader.core.term, last + 100, False, True, 1))
        assert leader.core.match_index(follower.own.raft_id) <= last


def test_two_membership_changes_are_never_under_way_at_once() -> None:
    """Hazard M: two at once gave a split brain."""
    with cluster() as world:
        leader, _ = roles(world)
        answers: list[int] = []
        for name in ("x", "y"):
            change = Change(Operation.ADD, Member(name, name, f"{name}:1"))
            leader.core.command(
                encode_change(change), lambda result, reason: answers.append(reason)
            )
        leader.driver.wake()
        world.run(0.01)
        assert answers == [DENIED]
        assert len(leader.core.configuration.members) == 4
        world.run(1.0)
        assert answers == [DENIED, DONE]


def test_the_leader_does_not_remove_itself() -> None:
    with cluster() as world:
        leader, _ = roles(world)
        problem = leader.core.change_problem(Change(Operation.REMOVE, leader.own))
        assert problem is not None
        assert "transfer" in problem


def test_a_member_that_was_cut_off_does_not_raise_the_term() -> None:
    """Hazard P: it asks first, and nobody says yes."""
    with cluster() as world:
        leader, (follower, _) = roles(world)
        term = leader.core.term
        isolate(world, follower)
        world.run(20.0)
        assert follower.core.term == term
        world.heal()
        world.run(3.0)
        assert leader.core.leading
        assert leader.core.term == term


def test_a_question_is_not_answered_with_yes_while_the_leader_is_heard() -> None:
    with cluster() as world:
        leader, (one, other) = roles(world)
        replies: list[bytes] = []
        world.send = lambda sender, to, frame: replies.append(frame)  # type: ignore[method-assign]
        question = PreVote(leader.core.term + 1, 10_000, 10_000)
        say(one, other, question)
        one.driver.receive(other.own.raft_id, question)
        assert replies == []


def test_a_leader_of_the_past_is_told_the_term() -> None:
    with cluster() as world:
        leader, (follower, other) = roles(world)
        say(leader, follower, HigherTerm(leader.core.term + 5))
        assert not leader.core.leading
        world.run(5.0)
        assert world.leader() is not None
        assert follower.core.term > 5
        assert other.core.term == follower.core.term


def test_an_isolated_leader_steps_down_in_time_and_answers_unknown() -> None:
    with cluster() as world:
        leader, _ = roles(world)
        lost: list[bool] = []
        leader.on_step_down = lambda: lost.append(True)
        isolate(world, leader, quietly=True)
        world.run(2.0)
        assert not leader.core.leading
        assert lost == [True]


def test_commands_still_queued_when_leadership_is_lost_certainly_did_not_happen() -> None:
    with cluster() as world:
        leader, (follower, _) = roles(world)
        answers: list[int] = []
        leader.core.command(DATA + b"x", lambda result, reason: answers.append(reason))
        say(leader, follower, HigherTerm(leader.core.term + 1))
        assert answers == [DISCARDED]


def test_one_member_cannot_vote_twice_for_the_same_candidate() -> None:
    """Hazard J: votes are counted by voter."""
    with cluster(5) as world:
        _, (candidate, voter, *_) = roles(world)
        world.send = lambda sender, to, frame: None  # type: ignore[method-assign]
        candidate.core.may_campaign = True
        candidate.core._SyncObj__raftElectionDeadline = 0
        candidate.core.tick()
        term = candidate.core.term
        for _ in range(5):
            say(candidate, voter, VoteReply(term))
        assert not candidate.core.leading


def test_votes_of_strangers_do_not_count() -> None:
    with cluster() as world:
        _, (candidate, _) = roles(world)
        world.send = lambda sender, to, frame: None  # type: ignore[method-assign]
        candidate.core.may_campaign = True
        candidate.core._SyncObj__raftElectionDeadline = 0
        candidate.core.tick()
        candidate.receive("stranger", VoteReply(candidate.core.term))
        candidate.receive("stranger", HigherTerm(99))
        assert not candidate.core.leading
        assert candidate.core.term < 99


def test_nobody_but_the_leader_makes_a_follower_campaign() -> None:
    with cluster() as world:
        leader, (one, other) = roles(world)
        say(one, other, TimeoutNow(one.core.term))
        world.run(1.0)
        assert world.leader() is leader


def test_the_leadership_moves_at_once_when_the_leader_asks() -> None:
    with cluster() as world:
        leader, (successor, _) = roles(world)
        world.run(1.0)
        assert leader.core.transfer(successor.own.raft_id)
        world.run(0.3)
        assert world.leader() is successor


def test_a_removed_member_is_not_heard_any_more() -> None:
    with cluster() as world:
        leader, (gone, _) = roles(world)
        world.remove(gone.own.raft_id)
        world.run(1.0)
        term = leader.core.term
        say(leader, gone, Vote(term + 10, 10_000, 10_000))
        say(leader, gone, AppendReply(term, 5, False, True, 1))
        assert leader.core.leading
        assert leader.core.term == term


def test_a_removal_that_was_never_committed_does_not_deafen() -> None:
    with cluster() as world:
        leader, (other, third) = roles(world)
        isolate(world, leader)
        world.remove(other.own.raft_id)
        world.run(0.05)
        assert leader.core.configuration.was_removed(other.own.raft_id)
        world.run(5.0)
        world.heal()
        world.run(5.0)
        assert {r.core.leader_id for r in (leader, other, third)} <= {
            other.own.raft_id,
            third.own.raft_id,
        }
        assert leader.core.configuration.find(other.own.raft_id) is not None


def test_a_large_divergent_tail_is_replaced_in_a_few_round_trips() -> None:
    """Hazard F: the library goes back one entry per heartbeat."""
    with cluster() as world:
        leader, _ = roles(world)
        isolate(world, leader, quietly=True)
        for _ in range(1_000):
            leader.core.command(DATA + b"lost", lambda result, reason: None)
        leader.driver.wake()
        world.run(3.0)
        assert leader.journal.last_index > 1_000
        world.write()
        world.heal()
        world.run(1.5)
        now = world.leader()
        assert now is not None
        assert leader.journal.last_index == now.journal.last_index < 1_000


def test_a_failed_sync_stops_the_member_loudly() -> None:
    with cluster() as world:
        leader, _ = roles(world)
        world.hosts[leader.own.raft_id].disk.fail_next["sync"] = errno.EIO
        leader.core.command(DATA + b"x", lambda result, reason: None)
        leader.driver.wake()
        with pytest.raises(Violation, match="journal could not be written"):
            world.run(1.0)
        assert leader.driver.stopped


def test_a_contradiction_below_the_commit_index_stops_the_member() -> None:
    with cluster() as world:
        leader, (follower, _) = roles(world)
        stopped: list[FatalError] = []
        follower.on_fatal = stopped.append
        core = follower.core
        assert core.commit >= 4
        say(follower, leader, Append(core.term, core.commit, 2, 1, 1, ((core.term + 7, b"other"),)))
        assert "committed here" in str(stopped[0])
        assert follower.driver.stopped


def test_nothing_is_acknowledged_without_a_sync() -> None:
    with cluster() as world:
        leader, _ = roles(world)
        for _ in range(20):
            syncs = {name: host.disk.syncs for name, host in world.hosts.items()}
            acked = len(world.acked)
            world.write()
            while len(world.acked) == acked:
                world.run(0.001)
            synced = [name for name, host in world.hosts.items() if host.disk.syncs > syncs[name]]
            assert leader.own.raft_id in synced
            assert len(synced) >= 2


def test_heartbeats_go_on_while_the_leaders_disk_is_slow() -> None:
    with cluster() as world:
        leader, (follower, _) = roles(world)
        world.disk_latency = lambda: 1.5  # type: ignore[method-assign]
        term = leader.core.term
        for _ in range(6):
            world.write()
            world.run(1.0)
        assert leader.core.term == term
        assert leader.core.leading
        assert follower.core.leader_id == leader.own.raft_id


def test_a_leader_whose_disk_hangs_is_replaced() -> None:
    with cluster() as world:
        leader, _ = roles(world)
        for worker in world.hosts[leader.own.raft_id].workers:
            worker._latency = lambda: 3600.0
        leader.core.command(DATA + b"x", lambda result, reason: None)
        leader.driver.wake()
        world.run(6.0)
        new = world.leader()
        assert new is not None
        assert new is not leader


def test_a_follower_without_room_stays_but_takes_no_entries() -> None:
    with cluster() as world:
        leader, (follower, _) = roles(world)
        follower.driver.receiver.refuses_entries = lambda: True
        last, term = follower.journal.last_index, leader.core.term
        for _ in range(10):
            world.write()
            world.run(0.2)
        assert follower.journal.last_index == last
        assert leader.core.term == term
        assert len(world.acked) == 10
        follower.driver.receiver.refuses_entries = lambda: False
        world.run(1.0)
        assert follower.journal.last_index > last


def test_patience_lets_a_silent_leader_be_silent_for_longer() -> None:
    with cluster() as world:
        leader, others = roles(world)
        for replica in (leader, *others):
            replica.core.set_patience(4.0)
        world.run(4.0)  # deadlines drawn before have passed
        term = leader.core.term
        isolate(world, leader, quietly=True)
        world.run(1.8)
        assert [replica.core.term for replica in others] == [term, term]
        assert leader.core.leading
        world.run(20.0)
        assert any(replica.core.leading for replica in others)
        assert not leader.core.leading
