"""A call whose two sides speak as they like: messages there and back, in no fixed order.

    async with await stub.Run() as call:
        await call.send(request)
        async for answer in call: ...

Each direction is slowed down by whoever reads it. Leaving the block gives the call up.
"""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Any

from swarmd.rpc.client_connection import ClientCall


class TwoWayCall:
    """The caller's side. Everything that fails raises `RpcError`."""

    def __init__(self, call: ClientCall, parse: Callable[[bytes], Any]) -> None:
        self._call = call
        self._parse = parse

    async def send(self, request: Any) -> None:
        """Send a message; returns when the next one may follow. After the end it is dropped."""
        await self._call.send(request.SerializeToString())

    def done_sending(self) -> None:
        """There are no more messages of ours."""
        self._call.done_sending()

    async def receive(self) -> Any:
        """The next answer; None after the last one of a call that succeeded."""
        message = await self._call.receive()
        return None if message is None else self._parse(message)

    def cancel(self) -> None:
        """Give the call up; what has ended is left as it is."""
        self._call.cancel()

    def __aiter__(self) -> TwoWayCall:
        return self

    async def __anext__(self) -> Any:
        answer = await self.receive()
        if answer is None:
            raise StopAsyncIteration
        return answer

    async def __aenter__(self) -> TwoWayCall:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.cancel()
