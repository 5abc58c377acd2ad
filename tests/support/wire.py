"""Channels that call handlers in the same process, with messages serialized as on a real wire."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import aclosing
from typing import Any

from swarmd.model.errors import Code, Rejection
from swarmd.rpc.answering import serialize
from swarmd.rpc.call import Call, Peer
from swarmd.rpc.errors import RpcError
from swarmd.rpc.identity import WORKER, Identity
from swarmd.rpc.metadata import Metadata
from swarmd.rpc.methods import SERVICES, Method


class DirectChannel:
    """A connection of `node_id` to whatever `services` answers at the moment of each call.

    `gate` is asked before every call and may raise the error that the call is to end with.
    """

    def __init__(
        self,
        node_id: str,
        services: Mapping[str, object],
        gate: Callable[[Call], None] = lambda _: None,
    ) -> None:
        self.closed = False
        self._peer = Peer(identity=Identity(node_id, "c1", (WORKER,)), address="10.0.0.1:4711")
        self._services = services
        self._gate = gate

    def stub(self, service: str) -> Any:
        return _Stub(self, service)

    async def close(self) -> None:
        self.closed = True

    def call(self, method: Method, request: Any, metadata: Any) -> Any:
        call = Call(self._peer, method.path, Metadata.of(*metadata))
        if method.server_streaming:
            return self._stream(method, call, request)
        return self._unary(method, call, request)

    def _handler(self, method: Method, call: Call) -> Any:
        if self.closed:
            raise RpcError(Code.UNAVAILABLE, "the channel is closed")
        self._gate(call)
        handler = getattr(self._services.get(method.service), method.name, None)
        if handler is None:
            raise RpcError(Code.UNIMPLEMENTED, f"unknown method {method.path}")
        return handler

    async def _unary(self, method: Method, call: Call, request: Any) -> Any:
        handler = self._handler(method, call)
        if not method.client_streaming:
            request = method.parse_request(request.SerializeToString())
        try:
            answer = handler(call, request)
            if inspect.iscoroutine(answer):
                answer = await answer
        except Rejection as rejection:
            raise _error(rejection, call) from None
        return method.parse_response(serialize(answer))

    async def _stream(self, method: Method, call: Call, request: Any) -> AsyncIterator[Any]:
        handler = self._handler(method, call)
        request = method.parse_request(request.SerializeToString())
        try:
            async with aclosing(handler(call, request)) as answers:
                async for answer in answers:
                    yield method.parse_response(serialize(answer))
        except Rejection as rejection:
            raise _error(rejection, call) from None


class _Stub:
    def __init__(self, channel: DirectChannel, service: str) -> None:
        self._channel = channel
        self._methods = SERVICES[service]

    def __getattr__(self, name: str) -> Any:
        method = self._methods[name]

        def call(request: Any, *, metadata: Any = ()) -> Any:
            return self._channel.call(method, request, metadata)

        return call


def _error(rejection: Rejection, call: Call) -> RpcError:
    trailers = Metadata.of(*call.trailers)
    return RpcError(rejection.code, rejection.message, trailers=trailers)
