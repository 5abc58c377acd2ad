"""A connection to our gRPC server: the asyncio shell around the protocol machine.

A call whose handler is a plain function is answered within `data_received`, together with
everything else that arrived, in one write. Any other call gets a task. The connection owns its
calls: when it is lost, they are cancelled.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from swarmd.model.errors import Code, Rejection
from swarmd.rpc import answers
from swarmd.rpc.answering import answer, parse, serialize
from swarmd.rpc.call import Call, Line, Peer
from swarmd.rpc.connection import Connection
from swarmd.rpc.errors import OK, RpcError
from swarmd.rpc.exchange import Exchange
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
from swarmd.rpc.line import TcpLine
from swarmd.rpc.relayed_line import line_of
from swarmd.rpc.request_head import Malformed, Unsupported, parse_request_head
from swarmd.rpc.router import Router
from swarmd.runtime.clock import Clock, SystemClock
from swarmd.runtime.supervise import Supervisor

log = logging.getLogger(__name__)

_LONGEST_TIMER_S = 365 * 86_400.0
# asyncio would wait 30 s for the peer's half of closing TLS, and stock clients do not send it.
_GOODBYE_S = 0.25


class Relay(Protocol):
    """Passes calls on to the leader."""

    async def pass_on(self, exchange: Exchange) -> bytes | None:
        """Answer `exchange` with what the leader says; as `answering.answer`."""
        ...


class ServerConnection(Connection):
    """Serves the calls of one peer. `on_lost` is called once, when the connection is over."""

    def __init__(
        self,
        *,
        router: Router,
        relay: Relay,
        peer: Peer,
        limits: Limits,
        cache: BlockCache,
        tasks: Supervisor,
        on_lost: Callable[[ServerConnection], None],
        clock: Clock | None = None,
        line: TcpLine | None = None,
    ) -> None:
        endpoint = Endpoint(client=False, limits=limits, cache=cache)
        super().__init__(endpoint, clock if clock is not None else SystemClock())
        self.peer = peer
        self._line = line
        # Calls admitted so far.
        self.served = 0
        self._router = router
        self._relay = relay
        self._tasks = tasks
        self._on_lost = on_lost
        self._exchanges: dict[int, Exchange] = {}
        self._stopping = False
        self._lost = False

    @property
    def calls(self) -> int:
        """How many calls are under way."""
        return len(self._exchanges)

    def stop(self) -> None:
        """Take no more calls, end the streams, let single answers be finished."""
        self._stopping = True
        self._h2.leave(ErrorCode.NO_ERROR, "this manager is stopping")
        for exchange in list(self._exchanges.values()):
            if not exchange.resolution.method.is_unary:
                self._refuse(exchange, Code.UNAVAILABLE, "this manager is stopping")
        self._flush()

    def abort(self) -> None:
        """Close at once, whatever is under way."""
        self._transport.abort()

    # --- asyncio.Protocol

    def pause_writing(self) -> None:
        # Answers that need no flow control would pile up for a client that sends and never reads.
        super().pause_writing()
        self._transport.pause_reading()

    def resume_writing(self) -> None:
        self._transport.resume_reading()
        super().resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost = True
        if self._line is not None:
            self._line.end(exc)
        for exchange in list(self._exchanges.values()):
            self._drop(exchange)
        self._on_lost(self)

    # --- events

    def _on_headers(self, event: HeadersReceived) -> None:
        stream_id = event.stream_id
        known = self._exchanges.get(stream_id)
        if known is not None:
            # Trailers of a request carry nothing that matters here.
            self._end_input(known)
            return
        try:
            head = parse_request_head(event.fields)
        except Malformed:
            self._h2.reset(stream_id, ErrorCode.PROTOCOL_ERROR)
            return
        except Unsupported as error:
            self._h2.finish_response(stream_id, answers.http_only(error.status))
            return
        try:
            resolution = self._router.resolve(self.peer, head.path, head.metadata)
        except Rejection as rejection:
            if rejection.code == Code.PERMISSION_DENIED:
                log.info(
                    "rpc.denied method=%s peer=%s reason=%s",
                    head.path,
                    self.peer.address,
                    rejection.message,
                )
            block = answers.trailers_only(rejection.code, rejection.message, ())
            self._h2.finish_response(stream_id, block)
            return
        deadline_ns = None
        if head.timeout_ns is not None:
            deadline_ns = self._clock.monotonic() + head.timeout_ns
        caller = resolution.caller
        line: Line | None = self._line
        if caller is not self.peer:
            line = line_of(caller, self._line, self._clock)
        call = Call(caller, head.path, head.metadata, deadline_ns, line)
        exchange = Exchange(self, stream_id, call, resolution)
        self._exchanges[stream_id] = exchange
        self.served += 1
        if not resolution.method.is_unary:
            self._start(exchange)
        if event.end_stream:
            self._end_input(exchange)

    def _on_message(self, event: MessageReceived) -> None:
        exchange = self._exchanges.get(event.stream_id)
        if exchange is not None:
            exchange.put(event.message)

    def _on_finished(self, event: PeerFinished) -> None:
        exchange = self._exchanges.get(event.stream_id)
        if exchange is not None:
            self._end_input(exchange)

    def _end_input(self, exchange: Exchange) -> None:
        exchange.end_input()
        handler = exchange.resolution.handler
        if exchange.resolution.method.is_unary and exchange.task is None:
            if handler is None or handler.is_async:
                self._start(exchange)
            else:
                self._answer_now(exchange, handler.function)

    def _on_stream_lost(self, event: StreamLost) -> None:
        exchange = self._exchanges.get(event.stream_id)
        if exchange is not None:
            self._drop(exchange)

    def _on_refused(self, event: MessageRefused) -> None:
        exchange = self._exchanges.get(event.stream_id)
        if exchange is not None:
            self._refuse(exchange, Code(event.status), event.reason)

    def _on_send_ready(self, event: SendReady) -> None:
        exchange = self._exchanges.get(event.stream_id)
        if exchange is not None:
            exchange.send_ready()

    def _on_leaving(self, event: PeerLeaving) -> None:
        self._stopping = True

    def _on_failed(self, event: ConnectionFailed) -> None:
        log.warning("rpc.violation peer=%s reason=%s", self.peer.address, event.reason)
        self._flush()
        self._close()

    # --- answering

    def _answer_now(self, exchange: Exchange, function: Callable[[Call, Any], Any]) -> None:
        method = exchange.resolution.method
        message = exchange.take_only()
        try:
            if message is None:
                raise Rejection(Code.INVALID_ARGUMENT, f"{method.path} takes one request")
            request = parse(method.parse_request, message, method.path)
            response = serialize(function(exchange.call, request))
        except Exception as error:
            self._fail(exchange, error)
            return
        self._respond(exchange, response)

    def _start(self, exchange: Exchange) -> None:
        deadline_ns = exchange.call.deadline_ns
        if deadline_ns is not None:
            left_s = (deadline_ns - self._clock.monotonic()) / 1e9
            exchange.timer = self._loop.call_later(
                min(max(left_s, 0.0), _LONGEST_TIMER_S), self._expire, exchange
            )
        exchange.task = self._tasks.spawn(self._run(exchange), name=exchange.call.method)

    async def _run(self, exchange: Exchange) -> None:
        handler = exchange.resolution.handler
        try:
            if handler is None:
                response = await self._relay.pass_on(exchange)
            else:
                response = await answer(handler, exchange)
        except Exception as error:
            self._fail(exchange, error)
        else:
            if response is None:
                self._finish(exchange, OK, "")
            else:
                self._respond(exchange, response)
        self._flush_soon()

    def send(self, exchange: Exchange, message: bytes) -> bool:
        """Queue a message of a stream; False when it has to wait for the client."""
        if exchange.finished:
            return True
        if not exchange.headers_sent:
            exchange.headers_sent = True
            self._h2.send_headers(exchange.stream_id, answers.HEADERS)
        sent = self._h2.send_message(exchange.stream_id, message)
        self._flush_soon()
        return sent

    def _respond(self, exchange: Exchange, response: bytes) -> None:
        if exchange.finished:
            return
        extra = exchange.call.trailers
        block = answers.trailers(OK, "", extra) if extra else answers.TRAILERS_OK
        self._release(exchange)
        self._h2.respond(exchange.stream_id, answers.HEADERS, response, block)

    def _fail(self, exchange: Exchange, error: Exception) -> None:
        extra = exchange.call.trailers
        if isinstance(error, RpcError):
            extra = [*extra, *error.trailers]
        if isinstance(error, Rejection | RpcError):
            self._finish(exchange, error.code, error.message, extra)
            return
        method = exchange.call.method
        log.error("rpc.crashed method=%s peer=%s", method, self.peer.address, exc_info=error)
        self._finish(exchange, Code.INTERNAL, f"{method} failed; the log of the manager says why")

    def _refuse(self, exchange: Exchange, code: Code, message: str) -> None:
        """End a call from outside its handler."""
        self._finish(exchange, code, message)
        self._cancel(exchange)

    def _expire(self, exchange: Exchange) -> None:
        self._refuse(exchange, Code.DEADLINE_EXCEEDED, f"{exchange.call.method} took too long")
        self._flush()

    def _finish(
        self,
        exchange: Exchange,
        code: int,
        message: str,
        extra: Sequence[tuple[str, str]] | None = None,
    ) -> None:
        if exchange.finished:
            return
        extra = exchange.call.trailers if extra is None else extra
        if exchange.headers_sent:
            block = answers.trailers(code, message, extra)
        else:
            block = answers.trailers_only(code, message, extra)
        self._release(exchange)
        self._h2.finish_response(exchange.stream_id, block)

    def _drop(self, exchange: Exchange) -> None:
        """Nobody waits for the answer any more."""
        self._release(exchange)
        self._cancel(exchange)

    def _cancel(self, exchange: Exchange) -> None:
        exchange.call.cancelled = True
        if exchange.task is not None:
            exchange.task.cancel()

    def _release(self, exchange: Exchange) -> None:
        exchange.finished = True
        self._exchanges.pop(exchange.stream_id, None)
        if exchange.timer is not None:
            exchange.timer.cancel()

    # --- closing

    def _flushed(self) -> None:
        if self._stopping and not self._h2.streams:
            self._close()

    def _close(self) -> None:
        if not self._transport.is_closing():
            self._transport.close()
            self._loop.call_later(_GOODBYE_S, self._hang_up)

    def _hang_up(self) -> None:
        """End a connection that was closed but whose peer has not answered TLS's goodbye."""
        if self._lost:
            return
        if self._transport.get_write_buffer_size():
            self._loop.call_later(_GOODBYE_S, self._hang_up)
        else:
            self._transport.abort()
