"""Group commit: every write of this manager goes through one queue and rides in shared entries.

While an entry is on its way through Raft, requests and engine passes collect; the next entry takes
them all. One entry is in flight at a time, so an entry is always planned against the state its
predecessor left (docs/design/store.md).
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from swarmd.model.errors import Code, Rejection
from swarmd.model.ids import NodeId
from swarmd.model.instant import Instant
from swarmd.runtime.clock import Clock
from swarmd.runtime.supervise import Supervisor
from swarmd.store.changes import Applied, Entry, Transaction
from swarmd.store.codec import encode_entry

ACTIONS_PER_ENTRY_MAX = 2_000
ENTRY_BYTES_MAX = 1_572_864  # swarm mode's 1.5 MiB per proposal
QUEUED_MAX = 10_000

Propose = Callable[[bytes], Awaitable[Applied]]


class _Waiting(NamedTuple):
    transaction: Transaction
    answer: asyncio.Future[int]


class Writer:
    """Proposes transactions; `submit` returns once they are committed and applied here."""

    def __init__(self, propose: Propose, *, node_id: NodeId, clock: Clock) -> None:
        self._propose = propose
        self._node_id = node_id
        self._clock = clock
        self._queue: deque[_Waiting] = deque()
        self._wake = asyncio.Event()
        self._tasks = Supervisor("writer")

    def start(self) -> None:
        self._tasks.keep(self._pump, name="pump")

    async def stop(self) -> None:
        await self._tasks.stop()
        self._fail_queued(Rejection(Code.UNAVAILABLE, "this manager is shutting down; ask another"))

    async def submit(self, transaction: Transaction) -> int:
        """Commit `transaction` and return its log index.

        Raises:
            Rejection: an atomic transaction was refused, nothing of it is stored; or this manager
                can't write now (UNAVAILABLE: the message says whether it may have happened).
        """
        if len(self._queue) >= QUEUED_MAX:
            raise Rejection(
                Code.RESOURCE_EXHAUSTED,
                f"{QUEUED_MAX} writes are waiting on this manager already; try again later",
            )
        answer: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._queue.append(_Waiting(transaction, answer))
        self._wake.set()
        return await answer

    async def _pump(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._queue:
                await self._commit(self._take())

    def _take(self) -> list[_Waiting]:
        """The transactions of the next entry: at least one, then as many as the limit allows."""
        batch = [self._queue.popleft()]
        actions = len(batch[0].transaction.actions)
        while self._queue:
            actions += len(self._queue[0].transaction.actions)
            if actions > ACTIONS_PER_ENTRY_MAX:
                break
            batch.append(self._queue.popleft())
        return batch

    async def _commit(self, batch: list[_Waiting]) -> None:
        entry = Entry(
            now=Instant(self._clock.now()),
            proposer=self._node_id,
            transactions=tuple(waiting.transaction for waiting in batch),
        )
        data = encode_entry(entry)
        if len(data) > ENTRY_BYTES_MAX:
            await self._commit_smaller(batch, len(data))
            return
        try:
            applied = await self._propose(data)
        except Rejection as rejection:
            for waiting in batch:
                _refuse(waiting, rejection)
            return
        except BaseException:
            for waiting in batch:
                waiting.answer.cancel()
            raise
        for waiting, refusal in zip(batch, applied.refusals, strict=True):
            if refusal is not None and waiting.transaction.atomic:
                _refuse(waiting, refusal)
            elif not waiting.answer.done():
                waiting.answer.set_result(applied.index)

    async def _commit_smaller(self, batch: list[_Waiting], size_bytes: int) -> None:
        """Commit a batch that is too large for one entry in halves.

        An atomic transaction can't be split, so one that is too large alone is refused.
        """
        if len(batch) > 1:
            middle = len(batch) // 2
            await self._commit(batch[:middle])
            await self._commit(batch[middle:])
            return
        waiting = batch[0]
        actions = waiting.transaction.actions
        if waiting.transaction.atomic or len(actions) == 1:
            _refuse(
                waiting,
                Rejection(
                    Code.RESOURCE_EXHAUSTED,
                    f"the change takes {size_bytes} bytes, more than the {ENTRY_BYTES_MAX} "
                    "that fit one log entry; make the spec smaller",
                ),
            )
            return
        middle = len(actions) // 2
        loop = asyncio.get_running_loop()
        first = _Waiting(Transaction(actions[:middle], atomic=False), loop.create_future())
        await self._commit([first])
        if first.answer.exception() is not None:
            _refuse(waiting, first.answer.exception())
            return
        await self._commit([_Waiting(Transaction(actions[middle:], atomic=False), waiting.answer)])

    def _fail_queued(self, rejection: Rejection) -> None:
        while self._queue:
            _refuse(self._queue.popleft(), rejection)


def _refuse(waiting: _Waiting, error: BaseException | None) -> None:
    if error is not None and not waiting.answer.done():
        waiting.answer.set_exception(error)
