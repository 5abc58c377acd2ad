"""One call on a server, between the connection it came by and the task that answers it.

Messages from the client queue here until the handler takes them; the connection withholds credit
while they do, so the queue is bounded by the stream's window. A handler that sends faster than the
client reads waits in `send`.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

from swarmd.rpc.call import Call
from swarmd.rpc.router import Resolution


class Channel(Protocol):
    """What an exchange needs of its connection."""

    def send(self, exchange: Exchange, message: bytes) -> bool:
        """Queue a message; False when it has to wait for the client."""
        ...

    def consumed(self, stream_id: int, message: bytes) -> None:
        """A message was taken from the queue."""
        ...


class Exchange:
    """State of one call. `finished` once its status was sent or nobody is left to read it."""

    __slots__ = (
        "_channel",
        "_input_over",
        "_messages",
        "_sendable",
        "_waiter",
        "call",
        "finished",
        "headers_sent",
        "resolution",
        "stream_id",
        "task",
        "timer",
    )

    def __init__(
        self, channel: Channel, stream_id: int, call: Call, resolution: Resolution
    ) -> None:
        self._channel = channel
        self.stream_id = stream_id
        self.call = call
        self.resolution = resolution
        self.task: asyncio.Task[Any] | None = None
        self.timer: asyncio.TimerHandle | None = None
        self.headers_sent = False
        self.finished = False
        self._messages: deque[bytes] = deque()
        self._input_over = False
        self._waiter: asyncio.Future[None] | None = None
        self._sendable: asyncio.Future[None] | None = None

    # --- for the connection

    def put(self, message: bytes) -> None:
        """A message arrived."""
        self._messages.append(message)
        self._wake()

    def end_input(self) -> None:
        """The client sends no more."""
        self._input_over = True
        self._wake()

    def send_ready(self) -> None:
        """What waited was sent."""
        if self._sendable is not None and not self._sendable.done():
            self._sendable.set_result(None)

    def take_only(self) -> bytes | None:
        """The single message of a unary call; None when there is not exactly one."""
        return self._messages[0] if len(self._messages) == 1 else None

    # --- for the handler's task

    async def receive(self) -> bytes | None:
        """The next message, or None after the last."""
        while not self._messages:
            if self._input_over:
                return None
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        message = self._messages.popleft()
        self._channel.consumed(self.stream_id, message)
        return message

    async def send(self, message: bytes) -> None:
        """Send a message; returns when the next one may follow."""
        if not self._channel.send(self, message):
            self._sendable = asyncio.get_running_loop().create_future()
            await self._sendable

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


class Requests:
    """The messages of a client stream, parsed, for `async for` in a handler."""

    def __init__(self, exchange: Exchange, parse: Callable[[bytes], Any]) -> None:
        self._exchange = exchange
        self._parse = parse

    def __aiter__(self) -> Requests:
        return self

    async def __anext__(self) -> Any:
        message = await self._exchange.receive()
        if message is None:
            raise StopAsyncIteration
        return self._parse(message)
