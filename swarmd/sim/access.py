"""The way into a simulated container: a health check asks it how it is, and no more."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from swarmd.agent.executors.session import Command, NoSession, Session
from swarmd.model.spec import HealthConfig


class Look:
    """A command that looks whether its container is well; an `agent` `Process`."""

    def __init__(self, code: int, takes_s: float) -> None:
        loop = asyncio.get_running_loop()
        self.over: asyncio.Future[int] = loop.create_future()
        self._timer = loop.call_later(takes_s, self._end, code)

    async def signal(self, number: int) -> None:
        self._end(128 + number)

    async def resize(self, rows: int, columns: int) -> None:
        """It has no terminal."""

    async def end_input(self) -> None:
        """It reads nothing."""

    async def close(self) -> None:
        self._end(137)

    def _end(self, code: int) -> None:
        self._timer.cancel()
        if not self.over.done():
            self.over.set_result(code)


class SimAccess:
    """Implements `agent.executors.session.Access`.

    Args:
        well: whether the container is; None once it has ended.
        takes_s: how long a look takes.
    """

    image_health: HealthConfig | None = None
    pid = 0

    def __init__(self, well: Callable[[], bool | None], takes_s: Callable[[], float]) -> None:
        self._well, self._takes_s = well, takes_s

    async def attach(self, *, stdin: bool) -> Session:
        raise NoSession("a simulated container has no streams")

    async def run(self, command: Command) -> Session:
        well = self._well()
        if well is None:
            raise NoSession("the container has ended")
        return Session(Look(0 if well else 1, self._takes_s()), inlet=None, outlets={}, tty=False)

    def address_of(self, port: int) -> tuple[str, int]:
        raise AssertionError("nothing listens in a simulated container")
