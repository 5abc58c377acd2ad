"""A stock gRPC client with the stub interface of our channels: what any other agent would use."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import grpc

from swarmd.rpc.errors import RpcError, code_of
from swarmd.rpc.metadata import Metadata
from swarmd.rpc.methods import SERVICES, Method
from tests.support.certs import NodePair


class StockChannel:
    """A mutual TLS connection of the node that `pair` certifies, over grpcio."""

    def __init__(self, address: str, pair: NodePair) -> None:
        credentials = grpc.ssl_channel_credentials(pair.root_pem, pair.key_pem, pair.cert_pem)
        options = (
            ("grpc.ssl_target_name_override", "swarm-manager"),
            ("grpc.use_local_subchannel_pool", 1),
        )
        self._channel = grpc.aio.secure_channel(address, credentials, options=options)

    def stub(self, service: str) -> Any:
        return _Stub(self._channel, service)

    async def close(self) -> None:
        await self._channel.close()


class _Stub:
    def __init__(self, channel: grpc.aio.Channel, service: str) -> None:
        self._channel = channel
        self._methods = SERVICES[service]

    def __getattr__(self, name: str) -> Any:
        method = self._methods[name]
        kind = "_".join(
            "stream" if streaming else "unary"
            for streaming in (method.client_streaming, method.server_streaming)
        )
        start = getattr(self._channel, kind)(
            method.path,
            request_serializer=method.request.SerializeToString,
            response_deserializer=method.response.FromString,
        )
        run = _stream if method.server_streaming else _unary
        return lambda request, metadata=(): run(method, start(request, metadata=tuple(metadata)))


async def _unary(method: Method, call: Any) -> Any:
    try:
        return await call
    except grpc.aio.AioRpcError as error:
        raise _mapped(error) from error


async def _stream(method: Method, call: Any) -> AsyncIterator[Any]:
    try:
        async for message in call:
            yield message
    except grpc.aio.AioRpcError as error:
        raise _mapped(error) from error
    finally:
        call.cancel()


def _mapped(error: grpc.aio.AioRpcError) -> RpcError:
    trailers = Metadata.of(
        *((key, value) for key, value in error.trailing_metadata() or () if isinstance(value, str))
    )
    return RpcError(code_of(error.code().value[0]), error.details() or "", trailers=trailers)
