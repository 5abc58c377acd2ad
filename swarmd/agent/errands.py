"""Errands: calls that a manager has this node carry out, on services of the node itself.

The node listens at the manager of its session, carries out what it is asked one call beside the
other, and answers each by a call of its own. Only unary calls of the services it was given are
carried out, whoever asks.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from swarmd.agent.listening import Listener
from swarmd.model.env import Rng
from swarmd.model.errors import Code, Rejection
from swarmd.rpc.call import Call, Peer
from swarmd.rpc.errors import RpcError
from swarmd.rpc.methods import BY_PATH
from swarmd.rpc.pb import errands as pb

log = logging.getLogger(__name__)

ERRANDS = "swarmd.v1.Errands"


class ErrandServer:
    """Carries out errands for whichever manager it follows; see `Listener` for `follow` and `run`.

    Args:
        services: implementations by the full name of their service.
    """

    def __init__(self, services: Mapping[str, object], *, rng: Rng) -> None:
        self._services = services
        self._listener = Listener(
            "errands",
            listen=lambda broker: broker.Listen(pb.ListenForErrandsRequest()),
            serve=self._carry_out,
            rng=rng,
        )
        self.follow = self._listener.follow
        self.run = self._listener.run

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
        if method is None or not method.is_unary or not hasattr(service, method.name):
            raise Rejection(Code.UNIMPLEMENTED, f"this node does not serve {path}")
        call = Call(Peer(local=True), method.path)
        response = await getattr(service, method.name)(call, method.parse_request(request))
        data: bytes = response.SerializeToString()
        return data
