"""Leaving a cluster: what the others are told, and what a manager is told first."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from swarmd.agent.remotes import Remote
from swarmd.raft.errors import RaftError
from swarmd.rpc.channel import Channel
from swarmd.rpc.errors import RpcError
from swarmd.rpc.pb import cluster as cluster_pb

if TYPE_CHECKING:
    from .member import ClusterMember

log = logging.getLogger(__name__)

LEAVE_TIMEOUT_S = 5.0
NODE_LIFECYCLE = "swarmd.v1.NodeLifecycle"


async def say_goodbye(member: ClusterMember) -> list[str]:
    """Tell the managers, as far as they can be reached; a leader hands over first."""
    notes: list[str] = []
    manager = member.managing.manager
    if manager is not None and len(manager.raft.members) > 1:
        try:
            if manager.raft.is_leader:
                await manager.raft.transfer_leadership()
        except RaftError as error:
            notes.append(f"leadership could not be handed over: {error}")
    await member.leave()
    if not await tell_leaving(member):
        notes.append("no manager could be told; the swarm will notice by missing heartbeats")
    return notes


async def tell_leaving(member: ClusterMember) -> bool:
    """Tell the first manager that answers that this node goes for good; whether one did."""
    return await tell_managers(
        member.agent.remotes.all(),
        lambda address: Channel(address, member.security.client_tls()),
    )


async def tell_managers(remotes: Iterable[Remote], dial: Callable[[str], Channel]) -> bool:
    """Say that the node that dials goes for good; whether a manager has heard it."""
    for remote in remotes:
        channel = dial(remote.addr)
        try:
            await channel.stub(NODE_LIFECYCLE).Leave(
                cluster_pb.LeaveClusterRequest(), timeout_s=LEAVE_TIMEOUT_S
            )
            return True
        except RpcError as error:
            log.warning("leave.failed manager=%s reason=%s", remote.addr, error)
        finally:
            await channel.close()
    return False


def why_managers_stay(member: ClusterMember) -> str:
    """The sentence for a manager that would leave without --force."""
    manager = member.managing.manager
    if manager is not None and len(manager.raft.members) <= 1:
        return (
            "this is the last manager: leaving ends the swarm and loses its state; "
            "`swarmd leave --force` does it"
        )
    return (
        "this node is a manager; demote it first (`swarmd node demote`), so that the others know "
        "of it, or leave with --force"
    )
