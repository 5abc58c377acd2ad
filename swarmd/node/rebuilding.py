"""Making a swarm go on with one manager after the majority of its managers is lost for good.

The survivor becomes the only member of Raft and keeps everything in its log, since any of it may
have been promised. The other managers become workers in the state: should one come back after all,
it is told so in its first session and gives up its replica. Services and workers notice nothing
but the managers' absence.
"""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

from msgspec.structs import replace

from swarmd.manager.manager import Manager, draw_raft_id
from swarmd.model.errors import Code, Rejection, failed_precondition
from swarmd.model.instant import Instant
from swarmd.model.node import Node
from swarmd.model.states import Role
from swarmd.raft import founding
from swarmd.raft.errors import ProposalError
from swarmd.raft.members import Member
from swarmd.runtime.timeouts import timeout
from swarmd.store.changes import Transaction, Update
from swarmd.store.view import View

from .held_authority import has_expired
from .member import ClusterMember

log = logging.getLogger(__name__)

LEADER_LOOKS = 30  # three seconds: several elections' time, if there is a majority at all
LOOK_S = 0.1
ATTEMPTS = 5


async def require_rebuildable(
    member: ClusterMember | None, raft_directory: Path, now: Instant
) -> ClusterMember:
    """The membership to rebuild a swarm from; refuses where it would tear a living swarm apart.

    The only manager of a swarm has nothing to rebuild but its certificate, if that has expired.

    Raises:
        Rejection: this node holds no replica, or the swarm has a leader.
    """
    if member is None or member.security.role is not Role.MANAGER:
        raise failed_precondition(
            "there is nothing to rebuild a swarm from: this node is not a manager of one; run "
            "`swarmd init --force-new-cluster` on a manager that survived"
        )
    if not founding.is_initialised(raft_directory):
        raise failed_precondition(
            "this node was about to become a manager and holds no state yet; rebuild the swarm on "
            "a manager that survived"
        )
    manager = member.managing.manager
    for _ in range(LEADER_LOOKS if manager is not None else 0):
        assert manager is not None
        leader = manager.raft.leader
        if leader is not None and len(manager.raft.members) == 1:
            if has_expired(member.security, now):
                return member
            raise failed_precondition("this node is the only manager of its swarm already")
        if leader is not None and await _leads_a_majority(manager, leader):
            raise failed_precondition(
                f"the swarm has a leader, {leader.node_id} at {leader.address}, and needs no "
                "rebuilding; take managers out with `swarmd node demote`"
            )
        await asyncio.sleep(LOOK_S)
    return member


async def _leads_a_majority(manager: Manager, leader: Member) -> bool:
    """Whether `leader` is more than this manager's memory of having had a majority."""
    if leader.raft_id != manager.raft.raft_id:
        return True
    try:
        async with timeout(LOOK_S):
            await manager.raft.read_barrier()
    except (TimeoutError, ProposalError):
        return False
    return True


def stand_alone(raft_directory: Path, node_id: str, advertise_addr: str) -> None:
    """Make the stopped member in `raft_directory` the only one of its group."""
    founding.force_new_cluster(raft_directory, Member(draw_raft_id(), node_id, advertise_addr))
    log.warning("cluster.rebuilt node.id=%s the other managers are dropped", node_id)


def demotions(view: View, own_node_id: str) -> tuple[Update, ...]:
    """The writes that make workers of all other managers."""
    return tuple(
        Update(
            replace(node, role=Role.WORKER, spec=replace(node.spec, role=Role.WORKER)),
            base=node.version,
            reason="the swarm was rebuilt without this manager",
        )
        for node in view.nodes()
        if node.id != own_node_id and Role.MANAGER in (node.role, node.spec.role)
    )


async def demote_others(manager: Manager, own_node_id: str) -> tuple[Node, ...]:
    """Wait until `manager` leads, then drop the others; answers with those that were managers."""
    async for leadership in manager.raft.watch_leadership():
        if leadership.ready:
            break
    dropped: dict[str, Node] = {}
    for _ in range(ATTEMPTS):
        updates = demotions(manager.store, own_node_id)
        for update in updates:
            assert isinstance(update.record, Node)
            dropped[update.record.id] = update.record
        if not updates:
            return tuple(dropped.values())
        # Nodes change while they are looked at: what was refused is written by the next attempt.
        await manager.writer.submit(Transaction(updates, atomic=False))
    raise Rejection(
        Code.UNAVAILABLE,
        "the swarm was rebuilt but its former managers could not be made workers; "
        "do it with `swarmd node demote`",
    )
