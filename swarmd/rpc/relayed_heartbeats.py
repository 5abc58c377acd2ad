"""Heartbeats on their way to the leader, those of a moment together.

Agents are told to send theirs at common moments (docs/design/dispatcher.md), so those that come to
one manager come in groups. Each passed on by itself would cost both managers a call; here a group
costs one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from swarmd.model.errors import Code
from swarmd.rpc.errors import RpcError, code_of, unavailable
from swarmd.rpc.pb import cluster as pb

# How long the first of a group waits for the others; a heartbeat may be seconds late.
_GATHER_S = 0.02

Carry = Callable[[pb.RelayHeartbeatsRequest], Awaitable[pb.RelayHeartbeatsResponse]]


class _Waiting(NamedTuple):
    node_id: str
    request: bytes
    answer: asyncio.Future[bytes]


class RelayedHeartbeats:
    """Asks the leader for the answers to heartbeats.

    Args:
        carry: brings a group to the leader; it may fail with `RpcError`.
    """

    def __init__(self, carry: Carry) -> None:
        self._carry = carry
        self._waiting: list[_Waiting] = []
        self._some = asyncio.Event()

    async def ask(self, node_id: str, request: bytes) -> bytes:
        """The leader's answer to a node's heartbeat, both serialized.

        Raises:
            RpcError: what the leader says, or why it could not be asked.
        """
        answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Waiting(node_id, request, answer))
        self._some.set()
        return await answer

    async def run(self) -> None:
        """Carry heartbeats to the leader as they come, until cancelled."""
        async with asyncio.TaskGroup() as groups:
            while True:
                await self._some.wait()
                await asyncio.sleep(_GATHER_S)
                self._some.clear()
                group, self._waiting = self._waiting, []
                groups.create_task(self._settle(group))

    async def _settle(self, group: list[_Waiting]) -> None:
        request = pb.RelayHeartbeatsRequest()
        for waiting in group:
            request.heartbeats.add(node_id=waiting.node_id, request=waiting.request)
        answers: list[pb.HeartbeatAnswer] = []
        failure = unavailable("this manager is stopping")
        try:
            answers = list((await self._carry(request)).answers)
            failure = RpcError(Code.INTERNAL, "the leader left a heartbeat without an answer")
        except RpcError as error:
            failure = error
        finally:
            for waiting, answer in zip(group, answers, strict=False):
                _settle_one(waiting, answer)
            for waiting in group[len(answers) :]:
                _fail(waiting, failure)


def _settle_one(waiting: _Waiting, answer: pb.HeartbeatAnswer) -> None:
    if answer.code:
        _fail(waiting, RpcError(code_of(answer.code), answer.message))
    elif not waiting.answer.done():
        waiting.answer.set_result(answer.response)


def _fail(waiting: _Waiting, error: RpcError) -> None:
    # Who left in the meantime is done already.
    if not waiting.answer.done():
        waiting.answer.set_exception(error)
