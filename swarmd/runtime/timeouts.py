"""`asyncio.timeout` that also expires in a task which was cancelled before and went on.

In the first versions of Python 3.11, one of which Debian 12 has, a timeout that expires takes any
earlier request to cancel its task for one that is still to be obeyed, and lets the cancellation
through: the task ends without a word. A `TaskGroup` whose child failed leaves a request behind.
"""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Self


class Timeout(asyncio.Timeout):  # type: ignore[misc]  # nothing about it is final but a mark
    """As its base in later versions: only requests from within the block count."""

    async def __aenter__(self) -> Self:
        self._earlier = cancellations()
        await super().__aenter__()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        await super().__aexit__(exc_type, exc_val, exc_tb)
        ours = exc_type is asyncio.CancelledError and self.expired()
        if ours and cancellations() <= self._earlier:
            raise TimeoutError from exc_val


def timeout(delay_s: float | None) -> Timeout:
    """Raise TimeoutError unless the block is over within so many seconds; None: never."""
    loop = asyncio.get_running_loop()
    return Timeout(None if delay_s is None else loop.time() + delay_s)


def cancellations() -> int:
    """How often this task was told to end, as far as nobody has taken that back."""
    task = asyncio.current_task()
    return 0 if task is None else task.cancelling()
