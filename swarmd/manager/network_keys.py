"""The leader's part in the ring of network keys: has it made and replaced when that is due."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from swarmd.model.errors import Rejection
from swarmd.model.instant import SECOND, Instant
from swarmd.orchestrator.network_keys import ENTROPY_BYTES, due_at, rotated
from swarmd.runtime.clock import Clock
from swarmd.store.changes import Transaction, Update
from swarmd.store.store import Store

from .writer import Writer

log = logging.getLogger(__name__)

LOOK_S_MAX = 600.0  # clocks are set, and the machine may have slept
RETRY_S = 5.0


class KeyRotation:
    """Keeps the ring of the cluster as it should be, for one term.

    Args:
        entropy: random bytes that nobody else knows.
    """

    def __init__(
        self, store: Store, writer: Writer, *, clock: Clock, entropy: Callable[[int], bytes]
    ) -> None:
        self._store = store
        self._writer = writer
        self._clock = clock
        self._entropy = entropy

    async def run(self) -> None:
        """Look when a change is due, and make it, until cancelled."""
        while True:
            pause_s = await self.look()
            await asyncio.sleep(pause_s)

    async def look(self) -> float:
        """Change the ring if that is due; seconds until the next look."""
        cluster = self._store.find_cluster()
        if cluster is None:
            return RETRY_S
        now = Instant(self._clock.now())
        due = due_at(cluster)
        if now < due:
            return min((due - now) / SECOND, LOOK_S_MAX)
        change = Update(
            rotated(cluster, self._entropy(ENTROPY_BYTES), now),
            base=cluster.version,
            reason="network keys are replaced from time to time",
        )
        try:
            await self._writer.submit(Transaction((change,)))
        except Rejection as rejection:
            log.warning("network_keys.not_rotated reason=%s", rejection.message)
            return RETRY_S
        log.info("network_keys.rotated clock=%d", cluster.encryption_key_lamport_clock)
        return 0
