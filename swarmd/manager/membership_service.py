"""Letting managers into Raft and out of it: `RaftMembership` and `Health` of the wire contract.

A manager that joins asks the leader for a Raft id and the list of members, starts with an empty
log, and is added in the background once it has caught up, so that a slow newcomer never costs the
quorum. A manager that asks although it is a member has lost its disk: its old id, which may have
voted, is retired first and it comes back under a new one.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from swarmd.manager.consensus import as_rejection
from swarmd.model.errors import Code, Rejection, failed_precondition, invalid
from swarmd.model.ids import NodeId
from swarmd.model.states import Role
from swarmd.raft.errors import ProposalError, RaftError
from swarmd.raft.members import Member
from swarmd.raft.node import RaftNode
from swarmd.rpc.call import Call
from swarmd.rpc.pb import health as health_pb
from swarmd.rpc.pb import raft as pb
from swarmd.rpc.sockets import format_address, split_address
from swarmd.runtime.supervise import Supervisor
from swarmd.store.view import View

log = logging.getLogger(__name__)

UNSPECIFIED = ("0.0.0.0", "::", "")


class MembershipService:
    """Runs on the leader; `draw_raft_id` gives ids never used before."""

    def __init__(self, raft: RaftNode, view: View, *, draw_raft_id: Callable[[], str]) -> None:
        self._raft = raft
        self._view = view
        self._draw_raft_id = draw_raft_id
        self._joining: dict[str, Member] = {}  # by node id
        self._adding: dict[str, asyncio.Task[None]] = {}
        self._tasks = Supervisor("membership")

    async def stop(self) -> None:
        await self._tasks.stop()

    async def Join(self, call: Call, request: pb.JoinRequest) -> pb.JoinResponse:
        if not self._raft.is_leader:
            raise failed_precondition("this manager does not lead; join through the leader")
        node_id = call.node_id
        self._require_manager(NodeId(node_id))
        address = _address(request.addr, call.peer.address)
        member = self._joining.get(node_id)
        if member is None or member.address != address:
            await self._give_up(node_id)
            await self._retire(node_id)
            member = Member(self._draw_raft_id(), node_id, address)
            self._joining[node_id] = member
            self._adding[node_id] = self._tasks.spawn(self._add(member), name=f"add-{node_id}")
        members = [_member_to_pb(known) for known in self._raft.members]
        return pb.JoinResponse(raft_id=int(member.raft_id), members=members)

    async def Leave(self, call: Call, request: pb.LeaveRequest) -> pb.LeaveResponse:
        """Take a manager out of Raft; a manager may do so for itself only."""
        if not request.HasField("node"):
            raise invalid("the member that leaves is missing from the request")
        member = next((m for m in self._raft.members if m.node_id == call.node_id), None)
        if member is None:
            return pb.LeaveResponse()
        blocker = self._raft.removal_blocker(member.raft_id)
        if blocker is not None:
            raise failed_precondition(blocker)
        try:
            await self._raft.remove_member(member.raft_id)
        except ProposalError as error:
            raise as_rejection(error) from error
        return pb.LeaveResponse()

    def _require_manager(self, node_id: NodeId) -> None:
        """Refuse a node that is being demoted: its certificate does not say so yet."""
        node = self._view.find_node(node_id)
        if node is not None and Role.WORKER in (node.role, node.spec.role):
            raise failed_precondition(
                f"node {node_id} is not to be a manager; promote it first (`swarmd node promote`)"
            )

    async def _give_up(self, node_id: str) -> None:
        """End an attempt to add the node that it has made obsolete, or all others wait for it."""
        adding = self._adding.pop(node_id, None)
        if adding is not None and not adding.done():
            adding.cancel()
            await asyncio.wait({adding})

    async def _retire(self, node_id: str) -> None:
        known = next((m for m in self._raft.members if m.node_id == node_id), None)
        if known is None:
            return
        blocker = self._raft.removal_blocker(known.raft_id)
        if blocker is not None:
            raise failed_precondition(
                f"manager {node_id} joins anew but its former self cannot be removed: {blocker}"
            )
        log.info("membership.retire raft.id=%s node.id=%s", known.raft_id, node_id)
        try:
            await self._raft.remove_member(known.raft_id)
        except ProposalError as error:
            raise as_rejection(error) from error

    async def _add(self, member: Member) -> None:
        try:
            await self._raft.add_member(member)
            log.info("membership.added node.id=%s address=%s", member.node_id, member.address)
        except RaftError as error:
            log.warning("membership.add_failed node.id=%s reason=%s", member.node_id, error)
        finally:
            if self._joining.get(member.node_id) is member:
                del self._joining[member.node_id]
                self._adding.pop(member.node_id, None)


class HealthService:
    """`Raft` is served from the moment this manager is a member."""

    def __init__(self, raft: RaftNode) -> None:
        self._raft = raft

    def Check(
        self, call: Call, request: health_pb.HealthCheckRequest
    ) -> health_pb.HealthCheckResponse:
        statuses = health_pb.HealthCheckResponse.ServingStatus
        if request.service not in ("", "Raft", "ControlAPI"):
            raise Rejection(Code.NOT_FOUND, f"there is no service {request.service!r} to check")
        joined = any(member.raft_id == self._raft.raft_id for member in self._raft.members)
        serving = request.service == "" or joined
        return health_pb.HealthCheckResponse(
            status=statuses.SERVING if serving else statuses.NOT_SERVING
        )


def _address(given: str, caller: str) -> str:
    """The joining manager's address; an unspecified host is where the call came from."""
    try:
        host, port = split_address(given)
    except ValueError as error:
        raise invalid(f"{given!r} is not an address: {error}") from error
    if host in UNSPECIFIED:
        host, _ = split_address(caller)
    return format_address((host, port))


def _member_to_pb(member: Member) -> pb.RaftMember:
    return pb.RaftMember(raft_id=int(member.raft_id), node_id=member.node_id, addr=member.address)
