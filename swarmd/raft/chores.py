"""What a leader does besides leading: it writes down where members are, and steps aside in time."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from swarmd.raft.core import GuardedCore
from swarmd.raft.errors import ProposalError
from swarmd.raft.members import Member
from swarmd.raft.membership import Membership
from swarmd.raft.peers import Peers
from swarmd.raft.threads import StoppableWorker
from swarmd.raft.wal import Wal
from swarmd.runtime.supervise import Supervisor

log = logging.getLogger(__name__)

_LOW_SPACE_SECONDS = 1.0


class AddressBook:
    """Where members have been found, itself included, put into the configuration by the leader."""

    def __init__(
        self, core: GuardedCore, peers: Peers, membership: Membership, tasks: Supervisor
    ) -> None:
        self._core, self._peers, self._membership, self._tasks = core, peers, membership, tasks
        self._recording = False

    def record(self) -> None:
        """Begin to write down what has changed, unless that is being done; for the leader alone."""
        if not self._recording and self._moved():
            self._recording = True
            self._tasks.spawn(self._record(), name="addresses")

    def _moved(self) -> list[Member]:
        """Members with addresses of which the configuration does not know."""
        known = self._core.configuration.members
        located = (self._peers.located(member) for member in known)
        return [member for member in located if member not in known]

    async def _record(self) -> None:
        try:
            for member in self._moved():
                await self._membership.move(member.raft_id, member.address)
        except ProposalError as error:
            log.info("raft.address_not_recorded reason=%s", error)
        finally:
            self._recording = False


async def watch_space(
    wal: Wal,
    worker: StoppableWorker,
    membership: Membership,
    *,
    stopped: Callable[[], bool],
    leads_others: Callable[[], bool],
) -> None:
    """Hand the office over while there is no room for new work; space may come back.

    Args:
        stopped: whether this member has stopped for good, and its journal is not to be touched.
        leads_others: whether this member leads and somebody could take over.
    """
    while True:
        await asyncio.sleep(_LOW_SPACE_SECONDS)
        if wal.low_on_space and not stopped():
            await worker.run(wal.look_for_space)
        if wal.low_on_space and leads_others():
            try:
                await membership.transfer(None)
            except ProposalError as error:
                log.warning("raft.low_on_space still_leading=%s", error)
