"""Calls of the leader to nodes, which listen for them and answer by calls of their own.

    call ──errand──► Listen ── node
         ◄─────────  Answer ──┘

What a node has not answered in time counts as not answered, whatever became of it: errands are
calls that may be repeated.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from swarmd.manager.pipe import Pipe
from swarmd.model.env import Ids
from swarmd.model.errors import Code, Rejection
from swarmd.model.ids import NodeId
from swarmd.rpc.call import Call
from swarmd.rpc.methods import BY_PATH
from swarmd.rpc.pb import errands as pb
from swarmd.runtime.timeouts import timeout

ERRANDS = "swarmd.v1.Errands"
UNDER_WAY_MAX = 10_000
# It may have to find another manager.
RETURN_S = 15.0


class Errands:
    """Implements `swarmd.v1.Errands`, and sends nodes on errands.

    Args:
        return_s: for a node to listen again before its errands are given up.
    """

    def __init__(self, *, ids: Ids, own_node_id: NodeId, return_s: float = RETURN_S) -> None:
        self._ids = ids
        self._own_node_id = own_node_id
        self._return_s = return_s
        self._listeners: dict[NodeId, list[Pipe[pb.Errand]]] = {}
        self._under_way: dict[str, tuple[NodeId, asyncio.Future[bytes]]] = {}

    async def call(self, node_id: NodeId, path: str, request: Any, *, within_s: float) -> Any:
        """The node's answer to a unary call.

        Raises:
            Rejection: the node's own, or UNAVAILABLE when it does not answer.
        """
        listeners = self._listeners.get(node_id)
        if not listeners:
            raise Rejection(Code.UNAVAILABLE, "not connected to the leader just now")
        if len(self._under_way) >= UNDER_WAY_MAX:
            raise Rejection(Code.RESOURCE_EXHAUSTED, "the leader waits for too many answers")
        errand = pb.Errand(id=self._ids.new(), method=path, request=request.SerializeToString())
        answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._under_way[errand.id] = (node_id, answer)
        try:
            async with timeout(within_s):
                await listeners[-1].put(errand)
                data = await answer
        except TimeoutError:
            raise Rejection(Code.UNAVAILABLE, f"did not answer within {within_s:g} s") from None
        finally:
            del self._under_way[errand.id]
        return BY_PATH[path].parse_response(data)

    def under_way(self) -> tuple[str, ...]:
        """The ids of errands that are not answered yet."""
        return tuple(self._under_way)

    def stop(self) -> None:
        """End all streams, and whatever waits for answers: the next leader is asked anew."""
        reason = Rejection(Code.ABORTED, "the leader of the swarm has changed; ask again")
        for listeners in self._listeners.values():
            for listener in listeners:
                listener.end(reason)
        for _, answer in self._under_way.values():
            if not answer.done():
                answer.set_exception(reason)

    async def Listen(
        self, call: Call, request: pb.ListenForErrandsRequest
    ) -> AsyncIterator[pb.Errand]:
        """Errands for the calling node."""
        node_id = self._caller(call)
        errands: Pipe[pb.Errand] = Pipe()
        self._listeners.setdefault(node_id, []).append(errands)
        try:
            async for errand in errands:
                yield errand
        finally:
            remaining = self._listeners[node_id]
            remaining.remove(errands)
            if not remaining:
                del self._listeners[node_id]
                asyncio.get_running_loop().call_later(self._return_s, self._give_up, node_id)

    async def Answer(self, call: Call, request: pb.ErrandAnswer) -> pb.ErrandAnswerResponse:
        """What came of an errand; an answer nobody waits for any more is dropped."""
        node_id, answer = self._under_way.get(request.id, (None, None))
        if answer is not None and node_id == self._caller(call) and not answer.done():
            if request.code:
                answer.set_exception(Rejection(_code(request.code), request.message))
            else:
                answer.set_result(request.response)
        return pb.ErrandAnswerResponse()

    def _give_up(self, node_id: NodeId) -> None:
        """End the errands of a node that is away: some may wait for an hour."""
        if node_id in self._listeners:
            return
        reason = "went away; whether it has done what it was asked is not known"
        for asked, answer in self._under_way.values():
            if asked == node_id and not answer.done():
                answer.set_exception(Rejection(Code.UNAVAILABLE, reason))

    def _caller(self, call: Call) -> NodeId:
        return NodeId(call.node_id) if call.node_id else self._own_node_id


def _code(number: int) -> Code:
    try:
        return Code(number)
    except ValueError:
        return Code.UNKNOWN
