"""Proposals waiting for their commit: admission, answers, and what a lost leadership means."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from swarmd.raft.config import RaftConfig
from swarmd.raft.core import DATA, DENIED, DISCARDED, DONE, QUEUE_FULL, GuardedCore
from swarmd.raft.errors import (
    Busy,
    MembershipRefused,
    OutcomeUnknown,
    ProposalError,
    Rejected,
    StorageFull,
    TooLarge,
)


class Proposer:
    """Puts commands into the leader's log and tells each caller what became of its own.

    `held` keeps new proposals out while the leadership is handed over; `low_on_space` says
    that the disk has no room for new work.
    """

    def __init__(self, core: GuardedCore, config: RaftConfig, wake: Callable[[], None]) -> None:
        self._core, self._config, self._wake = core, config, wake
        self._waiting: set[asyncio.Future[object]] = set()
        self._waiting_bytes = 0
        self.held = False
        self.low_on_space: Callable[[], bool] = lambda: False

    @property
    def waiting(self) -> int:
        """How many proposals await their commit."""
        return len(self._waiting)

    def data(self, data: bytes) -> asyncio.Future[object]:
        """Propose an entry for the state machine.

        Raises:
            TooLarge, Busy, StorageFull: it was not proposed.
        """
        limit = self._config.max_entry_bytes
        if len(data) > limit:
            raise TooLarge(f"the entry has {len(data)} bytes; the limit is {limit}")
        if self.low_on_space():
            raise StorageFull(
                "the disk under the raft journal is nearly full: free some space on this manager"
            )
        if self.held:
            raise Busy("the leadership is being handed over; try again in a moment")
        if (
            self.waiting >= self._config.max_waiting
            or self._waiting_bytes + len(data) > self._config.max_waiting_bytes
        ):
            raise Busy(f"{self.waiting} writes are waiting for their commit; try again later")
        return self.command(DATA + data)

    def command(self, command: bytes) -> asyncio.Future[object]:
        """Propose a raw log entry; the future's exceptions are `ProposalError`s."""
        future: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        size = len(command)
        self._waiting.add(future)
        self._waiting_bytes += size

        def forget(_: object) -> None:
            self._waiting.discard(future)
            self._waiting_bytes -= size

        def done(result: object, reason: int) -> None:
            if future.done():
                return
            if reason == DONE:
                future.set_result(result)
            else:
                future.set_exception(_refusal(reason))

        future.add_done_callback(forget)
        self._core.command(command, done)
        self._wake()
        return future

    def leadership_lost(self, reason: str) -> None:
        """Answer everybody at once: entries in the log may still be committed by others."""
        for future in list(self._waiting):
            if not future.done():
                future.set_exception(OutcomeUnknown(f"{reason}; the write may have happened"))


def _refusal(reason: int) -> ProposalError:
    if reason == DISCARDED:
        return Rejected("another leader took over before the write was stored; it did not happen")
    if reason == DENIED:
        return MembershipRefused("the membership cannot be changed right now")
    if reason == QUEUE_FULL:
        return Busy("too many writes wait for this manager; try again later")
    raise AssertionError(f"unexpected reason {reason}")
