"""Becoming a manager, being one again after a restart, and ceasing to be one.

Which of these applies is read off the disk: a Raft directory that was never initialised means this
node has yet to join the other managers; one that was means it resumes. A member that others have
removed while its node is to be a manager, as after a demotion that was taken back before the node
had heard of it, joins anew: raft ids are used once.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from swarmd.model.errors import Rejection
from swarmd.model.ids import NodeId
from swarmd.model.states import Role
from swarmd.raft.members import Member
from swarmd.rpc.errors import RpcError
from swarmd.rpc.methods import MEMBERSHIP
from swarmd.rpc.pb import raft as pb
from swarmd.runtime.supervise import Supervisor
from swarmd.store.changes import Transaction

from .premises import Premises

if TYPE_CHECKING:
    from swarmd.manager.manager import Manager

log = logging.getLogger(__name__)

JOIN_RETRY_S = 1.0
JOIN_TIMEOUT_S = 5.0
MEMBER_LOOK_S = 0.05
MEMBER_LOOKS = 300  # 15 s until the leader is asked again


class ManagerHalf:
    """Makes, joins and ends the `Manager` of a node; `manager` is None while there is none.

    Args:
        role: what the node's certificate says, as of now.
        managers: the addresses of all managers known, as of now.
        on_removed: told when the others have removed this manager; `start` then joins anew.
    """

    def __init__(
        self,
        premises: Premises,
        *,
        node_id: NodeId,
        address: str,
        role: Callable[[], Role],
        managers: Callable[[], Sequence[str]],
        on_removed: Callable[[], None],
    ) -> None:
        self.manager: Manager | None = None
        self.problem = ""  # why this node is not a member of Raft yet
        self._premises = premises
        self._node_id = node_id
        self._address = address
        self._role = role
        self._managers = managers
        self._on_removed = on_removed
        self._watch: asyncio.Task[None] | None = None
        self._tasks = Supervisor("manager-half")

    @property
    def is_complete(self) -> bool:
        """Whether there is a manager, and nobody has removed it."""
        return self.manager is not None and not self.manager.raft.removed.is_set()

    async def found(self, raft_id: str, transaction: Transaction) -> None:
        """Be the first manager of a new cluster; returns when its founding is committed."""
        self._premises.wipe()
        self._premises.found(self._own(raft_id))
        manager = await self._start(transaction)
        await manager.founded.wait()

    async def start(self) -> None:
        """Resume from the disk, or join the managers this node knows.

        Joining may take its time; it is given up when the node is no longer to be a manager.
        """
        if self.manager is None and self._premises.is_initialised():
            manager = await self._start(None)
            if self._is_listed(manager):
                return
            # The daemon ended before the managers had taken this one in, and nobody remembers.
            log.info("manager.join_resumed raft.id=%s", manager.raft.raft_id)
        await self._join()

    async def stop(self) -> None:
        manager, self.manager = self.manager, None
        if self._watch is not None:
            self._watch.cancel()
        if manager is not None:
            await manager.stop()

    async def end(self) -> None:
        """Cease to be a manager: stop and forget the replica."""
        await self.stop()
        self._premises.wipe()

    async def _join(self) -> None:
        """Become a member, asking again until this node finds itself among the members."""
        while self._role() is Role.MANAGER:
            answer = await self._ask_to_join()
            if answer is not None:
                await self._prepare(answer)
                if await self._is_member():
                    self.problem = ""
                    return
            await asyncio.sleep(JOIN_RETRY_S)

    async def _prepare(self, answer: pb.JoinResponse) -> None:
        raft_id = str(answer.raft_id)
        if self.manager is not None and self.manager.raft.raft_id == raft_id:
            return
        await self.end()
        self._premises.prepare(self._own(raft_id))
        await self._start(None)

    async def _is_member(self) -> bool:
        assert self.manager is not None
        raft = self.manager.raft
        for _ in range(MEMBER_LOOKS):
            if self._is_listed(self.manager):
                log.info("manager.joined raft.id=%s members=%d", raft.raft_id, len(raft.members))
                return True
            await asyncio.sleep(MEMBER_LOOK_S)
        return False

    @staticmethod
    def _is_listed(manager: Manager) -> bool:
        """Whether the configuration in this manager's log has it."""
        return any(member.raft_id == manager.raft.raft_id for member in manager.raft.members)

    async def _ask_to_join(self) -> pb.JoinResponse | None:
        request = pb.JoinRequest(addr=self._address)
        for addr in self._managers():
            if addr == self._address:
                continue
            channel = self._premises.dial(addr)
            try:
                answer: pb.JoinResponse = await channel.stub(MEMBERSHIP).Join(
                    request, timeout_s=JOIN_TIMEOUT_S
                )
                return answer
            except (RpcError, Rejection) as error:
                self._note_problem(f"the manager at {addr} did not take this one in: {error}")
            finally:
                await channel.close()
        if not self.problem:
            self._note_problem("this node knows no other manager that could send it the state")
        return None

    def _note_problem(self, problem: str) -> None:
        if problem != self.problem:
            log.warning("manager.join_failed reason=%s", problem)
        self.problem = problem

    async def _start(self, transaction: Transaction | None) -> Manager:
        manager = self._premises.make_manager(transaction)
        await manager.start()
        self.manager = manager
        self._watch = self._tasks.spawn(self._await_removal(manager), name="removal")
        return manager

    async def _await_removal(self, manager: Manager) -> None:
        await manager.raft.removed.wait()
        if self.manager is manager:
            self._on_removed()

    def _own(self, raft_id: str) -> Member:
        return Member(raft_id, self._node_id, self._address)
