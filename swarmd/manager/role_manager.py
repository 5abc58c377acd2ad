"""Promotion and demotion: roles follow what operators want, one Raft change at a time.

A promotion sets the node's role; the node sees it in its session, renews its certificate and joins
Raft by itself. A demotion first takes the member out of Raft, guarded by the quorum, and only then
sets the role to worker. A leader that is to be demoted hands leadership over first; its successor
finishes the job. `plan_roles` decides from the view alone, so an election loses nothing.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from enum import Enum
from typing import NamedTuple

from msgspec.structs import replace

from swarmd.model.errors import Rejection
from swarmd.model.node import Node
from swarmd.model.states import Role
from swarmd.raft.errors import RaftError
from swarmd.raft.members import Member
from swarmd.raft.node import RaftNode
from swarmd.runtime.timeouts import timeout
from swarmd.store.changes import Change, Committed, Kind, Transaction, Update
from swarmd.store.store import Store

from .writer import Writer

log = logging.getLogger(__name__)

RETRY_S = 2.0


class StepKind(Enum):
    SET_ROLE = "set role"
    REMOVE_MEMBER = "remove member"
    TRANSFER_LEADERSHIP = "transfer leadership"


class RoleStep(NamedTuple):
    """One thing to do; `node` for SET_ROLE, `raft_id` for REMOVE_MEMBER."""

    kind: StepKind
    node: Node | None = None
    role: Role | None = None
    raft_id: str = ""


def plan_roles(
    nodes: Sequence[Node], members: Sequence[Member], *, own_node_id: str
) -> tuple[RoleStep, ...]:
    """What separates roles from desired roles, harmless steps first.

    Members whose node object is gone are removed as if demoted.
    """
    by_node = {member.node_id: member for member in members}
    steps: list[RoleStep] = []
    removals: list[RoleStep] = []
    for node in nodes:
        member = by_node.pop(node.id, None)
        if node.spec.role is node.role:
            if member is not None and node.role is Role.WORKER:  # it was joining when demoted
                removals.append(_removal(member, own_node_id))
            continue
        if node.spec.role is Role.MANAGER or member is None:
            steps.append(RoleStep(StepKind.SET_ROLE, node=node, role=node.spec.role))
        else:
            removals.append(_removal(member, own_node_id))
    removals.extend(_removal(member, own_node_id) for member in by_node.values())
    return (*steps, *removals)


def concerns_roles(change: Change) -> bool:
    """Whether a change of a node may call for a step at once."""
    old = change.old if isinstance(change.old, Node) else None
    new = change.new if isinstance(change.new, Node) else None
    if old is None or new is None:
        there = new or old
        return there is not None and (there.role, there.spec.role) != (Role.WORKER, Role.WORKER)
    return (old.role, old.spec.role) != (new.role, new.spec.role)


def _removal(member: Member, own_node_id: str) -> RoleStep:
    if member.node_id == own_node_id:
        return RoleStep(StepKind.TRANSFER_LEADERSHIP)
    return RoleStep(StepKind.REMOVE_MEMBER, raft_id=member.raft_id)


class RoleManager:
    """Carries the steps out on the leader, again and again until nothing is left to do."""

    def __init__(self, store: Store, writer: Writer, raft: RaftNode, *, own_node_id: str) -> None:
        self._store = store
        self._writer = writer
        self._raft = raft
        self._own_node_id = own_node_id
        self._changed = asyncio.Event()
        self._later: asyncio.TimerHandle | None = None

    async def run(self) -> None:
        """Reconcile on every change of a role, and every two seconds while something is pending.

        Other changes of nodes are followed by a pass within two seconds.
        """
        unsubscribe = self._store.subscribe(self._observe)
        try:
            while True:
                self._changed.clear()
                self._forget_later()
                pending = await self._pass()
                try:
                    async with timeout(RETRY_S if pending else None):
                        await self._changed.wait()
                except TimeoutError:
                    continue
        finally:
            unsubscribe()
            self._forget_later()

    def _forget_later(self) -> None:
        if self._later is not None:
            self._later.cancel()
            self._later = None

    def _observe(self, committed: Committed) -> None:
        nodes = [change for change in committed.changes if change.kind is Kind.NODE]
        if any(concerns_roles(change) for change in nodes):
            self._changed.set()
        elif nodes and self._later is None:
            # A pass looks at every node, and nodes come in hundreds; but members change as well.
            self._later = asyncio.get_running_loop().call_later(RETRY_S, self._changed.set)

    async def _pass(self) -> bool:
        steps = plan_roles(self._store.nodes(), self._raft.members, own_node_id=self._own_node_id)
        for step in steps:
            try:
                await self._take(step)
            except (Rejection, RaftError) as error:
                log.warning("role.step_failed step=%s reason=%s", step.kind.value, error)
        return bool(steps)

    async def _take(self, step: RoleStep) -> None:
        match step.kind:
            case StepKind.SET_ROLE:
                assert step.node is not None
                assert step.role is not None
                await self._set_role(step.node, step.role)
            case StepKind.REMOVE_MEMBER:
                await self._remove(step.raft_id)
            case StepKind.TRANSFER_LEADERSHIP:
                log.info("role.transfer reason=demotion of the leader")
                await self._raft.transfer_leadership()

    async def _set_role(self, node: Node, role: Role) -> None:
        reason = f"node {node.id} becomes a {role.value}"
        update = Update(replace(node, role=role), base=node.version, reason=reason)
        await self._writer.submit(Transaction((update,)))
        log.info("role.changed node.id=%s role=%s", node.id, role.value)

    async def _remove(self, raft_id: str) -> None:
        blocker = self._raft.removal_blocker(raft_id)
        if blocker is not None:
            log.warning("role.demotion_waits raft.id=%s reason=%s", raft_id, blocker)
            return
        await self._raft.remove_member(raft_id)
        self._changed.set()
