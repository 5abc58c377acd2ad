"""What both ends of a gRPC connection have in common: bytes in, events out, one write per turn.

A subclass says what the events of the protocol machine mean and calls `_flush_soon` when it has
given the machine something to send.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

from swarmd.rpc.h2.endpoint import Endpoint
from swarmd.rpc.h2.events import (
    ConnectionFailed,
    Event,
    HeadersReceived,
    MessageReceived,
    MessageRefused,
    PeerFinished,
    PeerLeaving,
    SendReady,
    StreamLost,
)
from swarmd.runtime.clock import Clock


class Connection(asyncio.Protocol, ABC):
    """One connection in either role; made inside a running event loop."""

    def __init__(self, endpoint: Endpoint, clock: Clock) -> None:
        self._h2 = endpoint
        self._clock = clock
        self._transport: asyncio.Transport
        self._loop = asyncio.get_running_loop()
        self._flush_scheduled = False
        self._on_event: dict[type[Event], Callable[[Any], None]] = {
            HeadersReceived: self._on_headers,
            MessageReceived: self._on_message,
            PeerFinished: self._on_finished,
            StreamLost: self._on_stream_lost,
            MessageRefused: self._on_refused,
            SendReady: self._on_send_ready,
            PeerLeaving: self._on_leaving,
            ConnectionFailed: self._on_failed,
        }

    def consumed(self, stream_id: int, message: bytes) -> None:
        """A message was taken: the peer may send more."""
        self._h2.consumed(stream_id, message)
        self._flush_soon()

    # --- asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if not isinstance(transport, asyncio.Transport):
            raise AssertionError("a stream transport is needed")
        self._transport = transport
        self._flush()

    def data_received(self, data: bytes) -> None:
        self._dispatch(self._h2.receive(data, self._clock.monotonic()))

    def eof_received(self) -> bool:
        return False

    def pause_writing(self) -> None:
        self._h2.hold()

    def resume_writing(self) -> None:
        self._dispatch(self._h2.release())

    def _dispatch(self, events: list[Event]) -> None:
        handlers = self._on_event
        for event in events:
            handlers[type(event)](event)
        self._flush()

    # --- events

    @abstractmethod
    def _on_headers(self, event: HeadersReceived) -> None: ...

    @abstractmethod
    def _on_message(self, event: MessageReceived) -> None: ...

    @abstractmethod
    def _on_finished(self, event: PeerFinished) -> None: ...

    @abstractmethod
    def _on_stream_lost(self, event: StreamLost) -> None: ...

    @abstractmethod
    def _on_refused(self, event: MessageRefused) -> None: ...

    @abstractmethod
    def _on_send_ready(self, event: SendReady) -> None: ...

    @abstractmethod
    def _on_leaving(self, event: PeerLeaving) -> None: ...

    @abstractmethod
    def _on_failed(self, event: ConnectionFailed) -> None: ...

    # --- writing

    @abstractmethod
    def _flushed(self) -> None:
        """Everything there was to send is with the transport: the time to close, if it is over."""

    def _flush(self) -> None:
        self._flush_scheduled = False
        data = self._h2.take()
        if data and not self._transport.is_closing():
            self._transport.write(data)
        self._flushed()

    def _flush_soon(self) -> None:
        """Write at the end of this turn of the loop, with whatever else it brings."""
        if not self._flush_scheduled:
            self._flush_scheduled = True
            self._loop.call_soon(self._flush)
