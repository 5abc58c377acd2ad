"""Linearizable reads without writing: one heartbeat round proves that nobody else leads.

A read notes the commit index and waits until a majority has answered a round that began after
it, then until that index is applied. All reads that wait at one moment share a round.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import msgspec

from swarmd.raft.core import GuardedCore
from swarmd.raft.errors import OutcomeUnknown


class _Read(msgspec.Struct):
    round: int
    commit: int
    future: asyncio.Future[int]


class Reads:
    """Reads waiting on the ready leader."""

    def __init__(
        self, core: GuardedCore, loop_call: Callable[[Callable[[], None]], object]
    ) -> None:
        self._core, self._call_soon = core, loop_call
        self._waiting: list[_Read] = []
        self._round_planned = False

    def barrier(self) -> asyncio.Future[int]:
        """The applied index once it is certain to cover every write completed before now."""
        future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Read(self._core.round + 1, self._core.commit, future))
        if not self._round_planned:
            self._round_planned = True
            self._call_soon(self._begin_round)
        return future

    def _begin_round(self) -> None:
        self._round_planned = False
        if self._core.leading:
            self._core.heartbeat()
            self.advance()

    def advance(self) -> None:
        """Answer the reads whose round is complete."""
        if not self._waiting:
            return
        confirmed, applied = self._core.quorum_round(), self._core.applied
        left = []
        for read in self._waiting:
            if read.future.done():
                continue
            if read.round <= confirmed and read.commit <= applied:
                read.future.set_result(applied)
            else:
                left.append(read)
        self._waiting = left

    def leadership_lost(self, reason: str) -> None:
        """Nobody can be answered any more."""
        for read in self._waiting:
            if not read.future.done():
                read.future.set_exception(OutcomeUnknown(f"{reason}; read again"))
        self._waiting.clear()
