"""The one loop of the leader: committed changes in, one batch of decisions out, again.

The planner is pure; this shell feeds it every commit, proposes what it decides as one entry, and
sleeps until the next commit or the planner's earliest deadline. A plan made on stale data is
harmless: its stale actions are dropped when applied and the next pass plans again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from swarmd.model.env import Env
from swarmd.model.errors import Rejection
from swarmd.model.instant import SECOND
from swarmd.orchestrator.allocator.books import Books
from swarmd.orchestrator.planner import Planner
from swarmd.orchestrator.scheduler.fleet import Fleet
from swarmd.runtime.clock import Clock
from swarmd.runtime.garbage import present_left_out
from swarmd.runtime.timeouts import timeout
from swarmd.store.changes import Committed, Transaction
from swarmd.store.store import Store

from .writer import Writer

log = logging.getLogger(__name__)

SLEEP_NS_MAX = 30 * SECOND

RETRY_S = 0.1


class Engine:
    """Runs one `Planner` for one term of leadership."""

    def __init__(
        self, store: Store, writer: Writer, *, clock: Clock, env: Callable[[], Env]
    ) -> None:
        self._store = store
        self._writer = writer
        self._clock = clock
        self._env = env
        self._changed = asyncio.Event()
        self._planner: Planner | None = None

    @property
    def fleet(self) -> Fleet | None:
        """What the scheduler knows of the nodes, for questions; None while there is no planner."""
        return self._planner.fleet if self._planner is not None else None

    @property
    def books(self) -> Books | None:
        """Who holds which addresses and ports, for questions; None while there is no planner."""
        return self._planner.books if self._planner is not None else None

    async def run(self) -> None:
        """Plan until cancelled; a crash of the planner is raised, for a new engine to start."""
        with present_left_out():  # the store as it is, which makes passes even
            while True:
                try:
                    await self._plan()
                except Rejection as rejection:
                    # Leadership is about to be lost or handed over, or the disk is full.
                    log.warning("engine.write_failed reason=%s", rejection.message)
                    await asyncio.sleep(RETRY_S)

    async def _plan(self) -> None:
        """Plan until a write fails: what a planner believes to have done is then not true."""
        planner = self._planner = Planner(self._store, self._env())

        def observe(committed: Committed) -> None:
            planner.observe(committed)
            self._changed.set()

        unsubscribe = self._store.subscribe(observe)
        try:
            while True:
                self._changed.clear()
                actions = planner.plan(self._env())
                if actions:
                    await self._writer.submit(Transaction(actions, atomic=False))
                elif not planner.dirty:
                    await self._wait(planner.next_deadline())
        finally:
            unsubscribe()
            self._planner = None

    async def _wait(self, deadline: int | None) -> None:
        if deadline is None:
            await self._changed.wait()
            return
        # Deadlines are times of day: after a step of the clock a long sleep would miss them.
        delay_ns = min(deadline - self._clock.now(), SLEEP_NS_MAX)
        if delay_ns <= 0:
            await asyncio.sleep(0)
            return
        try:
            async with timeout(delay_ns / 1e9):
                await self._changed.wait()
        except TimeoutError:
            return
