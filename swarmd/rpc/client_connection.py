"""A connection to a gRPC server: the asyncio shell of the client role.

Calls are handles in a dictionary; there is no task per call or connection. Deadlines are kept here
as timers and told to the server as well.
"""

from __future__ import annotations

import asyncio
from collections import deque

from swarmd.model.errors import Code
from swarmd.rpc.connection import Connection
from swarmd.rpc.errors import OK, RpcError, unavailable
from swarmd.rpc.h2.endpoint import Endpoint
from swarmd.rpc.h2.errors import ErrorCode
from swarmd.rpc.h2.events import (
    ConnectionFailed,
    HeadersReceived,
    MessageReceived,
    MessageRefused,
    PeerFinished,
    PeerLeaving,
    SendReady,
    StreamLost,
)
from swarmd.rpc.h2.hpack_decoder import BlockCache
from swarmd.rpc.h2.limits import Limits
from swarmd.rpc.metadata import EMPTY, Metadata
from swarmd.rpc.response_head import parse_response
from swarmd.runtime.clock import Clock

# Blocks repeat across the connections of a process, as in a load generator with 500 agents.
_CACHE = BlockCache()


class ClientCall:
    """One call: send messages, then read answers until `receive` returns None.

    A failure is raised by `receive` (and by `send`, when it has happened by then). `cancel` may be
    called at any time and more than once.
    """

    __slots__ = (
        "_connection",
        "_error",
        "_messages",
        "_over",
        "_sendable",
        "_waiter",
        "stream_id",
        "timer",
        "trailers",
    )

    def __init__(self, connection: ClientConnection, stream_id: int) -> None:
        self._connection = connection
        self.stream_id = stream_id
        self.timer: asyncio.TimerHandle | None = None
        self.trailers: Metadata = EMPTY
        self._messages: deque[bytes] = deque()
        self._error: RpcError | None = None
        self._over = False
        self._waiter: asyncio.Future[None] | None = None
        self._sendable: asyncio.Future[None] | None = None

    async def send(self, message: bytes) -> None:
        """Send a message; returns when the next one may follow."""
        if self._over:
            # The server has said its last word: `receive` tells which.
            return
        if not self._connection.send(self.stream_id, message):
            self._sendable = asyncio.get_running_loop().create_future()
            await self._sendable

    def done_sending(self) -> None:
        """There are no more messages of ours."""
        if not self._over:
            self._connection.finish(self.stream_id)

    async def receive(self) -> bytes | None:
        """The next message; None after the last one of a call that succeeded.

        Raises:
            RpcError: the call failed. Messages that came before have been returned.
        """
        while not self._messages:
            if self._over:
                if self._error is not None:
                    raise self._error
                return None
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        message = self._messages.popleft()
        self._connection.consumed(self.stream_id, message)
        return message

    def cancel(self) -> None:
        """Give the call up; the server is told."""
        self._connection.cancel(self, Code.ABORTED, "the caller gave up")

    # --- for the connection

    def put(self, message: bytes) -> None:
        self._messages.append(message)
        self._wake(self._waiter)

    def end(self, error: RpcError | None) -> None:
        self._over = True
        self._error = error
        if self.timer is not None:
            self.timer.cancel()
        self._wake(self._waiter)
        self._wake(self._sendable)

    def send_ready(self) -> None:
        self._wake(self._sendable)

    @staticmethod
    def _wake(future: asyncio.Future[None] | None) -> None:
        if future is not None and not future.done():
            future.set_result(None)


class ClientConnection(Connection):
    """Calls over one connection. Once it is `closed`, calls fail and another one is needed."""

    def __init__(self, *, limits: Limits, clock: Clock) -> None:
        super().__init__(Endpoint(client=True, limits=limits, cache=_CACHE), clock)
        self.closed = False
        self._calls: dict[int, ClientCall] = {}

    def start(
        self, block: bytes, message: bytes | None, timeout_ns: int | None, *, label: str
    ) -> ClientCall:
        """Begin a call with these encoded headers, and with `message` if it is the only one.

        Raises:
            RpcError: UNAVAILABLE and unprocessed: the connection takes no more calls.
        """
        if self.closed or not self._h2.can_open():
            raise unavailable("the connection is closing", unprocessed=True)
        if message is None:
            stream_id = self._h2.open(block)
        else:
            stream_id = self._h2.request(block, message)
        call = ClientCall(self, stream_id)
        self._calls[stream_id] = call
        if timeout_ns is not None:
            call.timer = self._loop.call_later(
                timeout_ns / 1e9,
                self.cancel,
                call,
                Code.DEADLINE_EXCEEDED,
                f"{label} got no answer within {timeout_ns / 1e9:g} s",
            )
        self._flush_soon()
        return call

    @property
    def usable(self) -> bool:
        """Whether another call can be started now."""
        return not self.closed and self._h2.can_open()

    def close(self) -> None:
        """End all calls and the connection."""
        if not self.closed:
            self.closed = True
            self._fail_all(unavailable("the connection was closed"))
            self._h2.leave(ErrorCode.NO_ERROR, "")
            self._flush()
            self._transport.close()

    # --- for calls

    def send(self, stream_id: int, message: bytes) -> bool:
        """Queue a message; False when it has to wait for the server."""
        sent = self._h2.send_message(stream_id, message)
        self._flush_soon()
        return sent

    def finish(self, stream_id: int) -> None:
        """End our side of a call."""
        self._h2.finish_request(stream_id)
        self._flush_soon()

    def cancel(self, call: ClientCall, code: Code, message: str) -> None:
        """End a call from our side."""
        if self._calls.pop(call.stream_id, None) is not None:
            self._h2.reset(call.stream_id, ErrorCode.CANCEL)
            self._flush_soon()
            call.end(RpcError(code, message))

    # --- asyncio.Protocol

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = True
        reason = f": {exc}" if exc is not None else ""
        self._fail_all(unavailable(f"the connection was lost{reason}"))

    # --- events

    def _on_headers(self, event: HeadersReceived) -> None:
        if not event.end_stream:
            # Response headers; whatever they say, the end will tell how the call went.
            return
        call = self._calls.pop(event.stream_id, None)
        if call is None:
            return
        # Whatever we still had to say on this stream, nobody listens any more.
        self._h2.reset(event.stream_id, ErrorCode.NO_ERROR)
        answer = parse_response(event.fields)
        call.trailers = answer.trailers
        if answer.code == OK:
            call.end(None)
        else:
            call.end(answer.as_error())

    def _on_message(self, event: MessageReceived) -> None:
        call = self._calls.get(event.stream_id)
        if call is not None:
            call.put(event.message)

    def _on_finished(self, event: PeerFinished) -> None:
        call = self._calls.get(event.stream_id)
        if call is not None:
            self.cancel(call, Code.INTERNAL, "the server ended the call without a status")

    def _on_stream_lost(self, event: StreamLost) -> None:
        call = self._calls.pop(event.stream_id, None)
        if call is None:
            return
        if event.code == ErrorCode.REFUSED_STREAM:
            call.end(unavailable("the server takes no more calls", unprocessed=True))
        elif event.by_peer:
            call.end(unavailable(f"the server reset the call ({_name(event.code)})"))
        else:
            call.end(RpcError(Code.INTERNAL, f"the server's answer is malformed: {event.reason}"))

    def _on_refused(self, event: MessageRefused) -> None:
        call = self._calls.get(event.stream_id)
        if call is not None:
            self.cancel(call, Code(event.status), event.reason)

    def _on_send_ready(self, event: SendReady) -> None:
        call = self._calls.get(event.stream_id)
        if call is not None:
            call.send_ready()

    def _on_leaving(self, event: PeerLeaving) -> None:
        for stream_id in [i for i in self._calls if i > event.last_stream_id]:
            call = self._calls.pop(stream_id)
            self._h2.reset(stream_id, ErrorCode.CANCEL)
            call.end(unavailable(f"the server is leaving: {event.reason}", unprocessed=True))

    def _on_failed(self, event: ConnectionFailed) -> None:
        self._fail_all(RpcError(Code.INTERNAL, f"the server broke the protocol: {event.reason}"))
        self.closed = True
        self._flush()
        self._transport.close()

    def _fail_all(self, error: RpcError) -> None:
        calls = list(self._calls.values())
        self._calls.clear()
        for call in calls:
            call.end(RpcError(error.code, error.message))

    def _flushed(self) -> None:
        if self._h2.peer_leaving and not self._calls and not self.closed:
            self.close()


def _name(code: int) -> str:
    try:
        return ErrorCode(code).name
    except ValueError:
        return f"code {code}"
