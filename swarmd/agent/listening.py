"""Hearing what a manager wants of this node: a stream of orders, each served beside the others.

The stream is opened anew whenever it ends, and at another manager whenever the node's session moves
there. Orders under way are not touched by that.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

from swarmd.agent.core.patience import retry_delay_ns
from swarmd.model.env import Rng
from swarmd.model.errors import Code
from swarmd.model.instant import SECOND
from swarmd.rpc.errors import RpcError
from swarmd.runtime.supervise import Supervisor

log = logging.getLogger(__name__)


class Listener:
    """Listens at one broker at a time.

    Args:
        name: of what is listened for, in logs.
        listen: opens the stream at a broker (the stub of its service).
        serve: serves one order; runs until it is served, or the listener ends.
    """

    def __init__(
        self,
        name: str,
        *,
        listen: Callable[[Any], AsyncIterator[Any]],
        serve: Callable[[Any, Any], Coroutine[Any, Any, None]],
        rng: Rng,
    ) -> None:
        self._name = name
        self._open = listen
        self._serve = serve
        self._rng = rng
        self._broker: Any = None
        self._changed = asyncio.Event()
        self.tasks = Supervisor(name)  # of orders under way; ends with `run`

    def follow(self, broker: Any) -> None:
        """Listen at this broker from now on; None: at nobody."""
        self._broker = broker
        self._changed.set()

    async def run(self) -> None:
        """Listen until cancelled."""
        try:
            while True:
                self._changed.clear()
                listening = None
                if self._broker is not None:
                    listening = self.tasks.spawn(self._listen(self._broker), name="listen")
                await self._changed.wait()
                if listening is not None:
                    listening.cancel()
        finally:
            await self.tasks.stop()

    async def _listen(self, broker: Any) -> None:
        failures = 0
        while True:
            try:
                async for order in self._open(broker):
                    failures = 0
                    self.tasks.spawn(self._serve(broker, order), name="order")
            except RpcError as error:
                if error.code is Code.UNIMPLEMENTED:
                    log.warning("%s.not_brokered reason=%s", self._name, error.message)
                    return
                log.info("%s.unheard reason=%s", self._name, error.message)
            failures += 1
            await asyncio.sleep(retry_delay_ns(failures, self._rng) / SECOND)
