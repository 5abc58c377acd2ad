"""Becoming a manager, being one again after a restart, and ceasing to be one.

Which of these applies is read off the disk: a Raft directory that was never initialised means this
node has yet to join the other managers; one that was means it resumes.
"""

from __future__ import annotations

import asyncio
import logging
import shutil
from collections.abc import Callable, Sequence
from random import Random

from swarmd.manager.manager import MEMBERSHIP, Manager
from swarmd.model.errors import Rejection
from swarmd.raft import founding as raft_founding
from swarmd.raft.members import Member
from swarmd.rpc.channel import Channel
from swarmd.rpc.errors import RpcError
from swarmd.rpc.pb import raft as pb
from swarmd.rpc.router import Router
from swarmd.runtime.clock import Clock
from swarmd.store.changes import Transaction

from .paths import Paths
from .security import SecurityContext
from .settings import Settings

log = logging.getLogger(__name__)

JOIN_RETRY_S = 1.0
JOIN_TIMEOUT_S = 5.0
MEMBER_LOOK_S = 0.05
MEMBER_LOOKS = 300  # 15 s until the leader is asked again


class ManagerHalf:
    """Makes, joins and ends the `Manager` of a node; `manager` is None while there is none."""

    def __init__(
        self,
        *,
        security: SecurityContext,
        paths: Paths,
        settings: Settings,
        router: Router,
        managers: Callable[[], Sequence[str]],
        on_removed_node: Callable[[str], None],
        on_fatal: Callable[[str], None],
        clock: Clock,
        rng: Random,
    ) -> None:
        self.manager: Manager | None = None
        self.problem = ""  # why this node is not a member of Raft yet
        self._security = security
        self._paths = paths
        self._settings = settings
        self._router = router
        self._managers = managers
        self._on_removed_node = on_removed_node
        self._on_fatal = on_fatal
        self._clock = clock
        self._rng = rng

    async def found(self, raft_id: str, transaction: Transaction) -> None:
        """Be the first manager of a new cluster; returns when its founding is committed."""
        self._wipe()
        raft_founding.bootstrap(self._paths.raft, self._own(raft_id))
        manager = await self._start(transaction)
        await manager.founded.wait()

    async def start(self) -> None:
        """Resume from the disk, or join the managers this node knows."""
        if raft_founding.is_initialised(self._paths.raft):
            manager = await self._start(None)
            if self._is_listed(manager):
                return
            # The daemon ended before the managers had taken this one in, and nobody remembers.
            log.info("manager.join_resumed raft.id=%s", manager.raft.raft_id)
        await self._join()

    async def stop(self) -> None:
        manager, self.manager = self.manager, None
        if manager is not None:
            await manager.stop()

    async def end(self) -> None:
        """Cease to be a manager: stop and forget the replica."""
        await self.stop()
        self._wipe()

    async def _join(self) -> None:
        """Become a member, asking again until this node finds itself among the members."""
        while True:
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
        raft_founding.prepare_join(self._paths.raft, self._own(raft_id))
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
        request = pb.JoinRequest(addr=self._settings.advertise_addr)
        for addr in self._managers():
            if addr == self._settings.advertise_addr:
                continue
            channel = Channel(addr, self._security.client_tls())
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
        manager = Manager(
            node_id=self._security.node_id,
            raft_directory=self._paths.raft,
            raft_context=self._security.raft_client_context,
            advertise_addr=self._settings.advertise_addr,
            router=self._router,
            clock=self._clock,
            rng=self._rng,
            founding=transaction,
            on_removed_node=self._on_removed_node,
            on_fatal=self._on_fatal,
        )
        await manager.start()
        self.manager = manager
        return manager

    def _own(self, raft_id: str) -> Member:
        return Member(raft_id, self._security.node_id, self._settings.advertise_addr)

    def _wipe(self) -> None:
        shutil.rmtree(self._paths.raft, ignore_errors=True)
        self._paths.raft.mkdir(mode=0o700)
