"""Errands: calls that a manager has this node carry out, on services of the node itself.

The node listens at the manager of its session, carries out what it is asked one call beside the
other, and answers each by a call of its own. Only unary calls of the services it was given are
carried out, whoever asks.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Any

from swarmd.agent.core.patience import retry_delay_ns
from swarmd.model.env import Rng
from swarmd.model.errors import Code, Rejection
from swarmd.model.instant import SECOND
from swarmd.rpc.call import Call, Peer
from swarmd.rpc.errors import RpcError
from swarmd.rpc.methods import BY_PATH
from swarmd.rpc.pb import errands as pb
from swarmd.runtime.supervise import Supervisor

log = logging.getLogger(__name__)

ERRANDS = "swarmd.v1.Errands"


class ErrandServer:
    """Carries out errands for whichever manager it follows.

    Args:
        services: implementations by the full name of their service.
    """

    def __init__(self, services: Mapping[str, object], *, rng: Rng) -> None:
        self._services = services
        self._rng = rng
        self._broker: Any = None
        self._changed = asyncio.Event()
        self._tasks = Supervisor("errands")

    def follow(self, broker: Any) -> None:
        """Take errands from this stub of the Errands service from now on; None: from nobody."""
        self._broker = broker
        self._changed.set()

    async def run(self) -> None:
        """Listen until cancelled."""
        try:
            while True:
                self._changed.clear()
                listening = None
                if self._broker is not None:
                    listening = self._tasks.spawn(self._listen(self._broker), name="listen")
                await self._changed.wait()
                if listening is not None:
                    listening.cancel()
        finally:
            await self._tasks.stop()

    async def _listen(self, broker: Any) -> None:
        failures = 0
        while True:
            try:
                async for errand in broker.Listen(pb.ListenForErrandsRequest()):
                    failures = 0
                    self._tasks.spawn(self._carry_out(broker, errand), name=errand.id)
            except RpcError as error:
                if error.code is Code.UNIMPLEMENTED:
                    log.warning("errands.not_brokered reason=%s", error.message)
                    return
                log.info("errands.unheard reason=%s", error.message)
            failures += 1
            await asyncio.sleep(retry_delay_ns(failures, self._rng) / SECOND)

    async def _carry_out(self, broker: Any, errand: pb.Errand) -> None:
        answer = pb.ErrandAnswer(id=errand.id)
        try:
            answer.response = await self._answer(errand.method, errand.request)
        except Rejection as rejection:
            answer.code, answer.message = rejection.code.value, rejection.message
        try:
            await broker.Answer(answer)
        except RpcError as error:
            log.info("errand.unanswered id=%s reason=%s", errand.id, error.message)

    async def _answer(self, path: str, request: bytes) -> bytes:
        method = BY_PATH.get(path)
        service = self._services.get(method.service) if method is not None else None
        if method is None or service is None or not method.is_unary:
            raise Rejection(Code.UNIMPLEMENTED, f"this node does not serve {path}")
        call = Call(Peer(local=True), method.path)
        response = await getattr(service, method.name)(call, method.parse_request(request))
        data: bytes = response.SerializeToString()
        return data
