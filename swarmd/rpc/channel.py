"""Calling services: a channel to one address, and stubs made from descriptors.

    channel = Channel("10.0.0.5:2377", tls=ClientTls(root_pem, cert_pem, key_pem))
    control = channel.stub("docker.swarmkit.v1.Control")
    answer = await control.ListNodes(pb.control.ListNodesRequest(), timeout_s=5)
    async for message in channel.stub("...Dispatcher").Session(request): ...

A channel connects when it is first used and again when the connection is lost; it never repeats a
call by itself. Everything fails with `RpcError`.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterable, AsyncIterator, Callable
from functools import partial
from typing import Any

from google.protobuf.message import DecodeError

from swarmd.model.errors import Code
from swarmd.rpc import pb, sockets
from swarmd.rpc.client_connection import ClientCall, ClientConnection
from swarmd.rpc.errors import RpcError, unavailable
from swarmd.rpc.h2.hpack_encoder import encode
from swarmd.rpc.h2.limits import TRUSTED, Limits
from swarmd.rpc.h2.text import format_timeout, rounded_timeout
from swarmd.rpc.metadata import EMPTY, Metadata, Pairs, metadata_of
from swarmd.rpc.methods import SERVICES, Method
from swarmd.rpc.tls import ClientTls, client_context, unverified_context
from swarmd.rpc.two_way import TwoWayCall
from swarmd.runtime.clock import Clock, SystemClock
from swarmd.runtime.timeouts import timeout

CONNECT_TIMEOUT_S = 5.0


class Channel:
    """Calls to one address over one connection.

    Args:
        address: `host:port`, or `unix:/path` for a local socket.
        tls: required for TCP; a unix socket is spoken to in plain.
    """

    def __init__(
        self,
        address: str,
        tls: ClientTls | None = None,
        *,
        connect_timeout_s: float = CONNECT_TIMEOUT_S,
        limits: Limits = TRUSTED,
        clock: Clock | None = None,
    ) -> None:
        self.address = address
        self._tls = tls
        self._connect_timeout_s = connect_timeout_s
        self._limits = limits
        self._clock = clock if clock is not None else SystemClock()
        self._context: ssl.SSLContext | None = None
        self._connection: ClientConnection | None = None
        self._connecting = asyncio.Lock()
        self._closed = False
        authority = tls.server_name if tls is not None else "localhost"
        self._prefix = (
            (b":method", b"POST"),
            (b":scheme", b"https" if tls is not None else b"http"),
            (b":authority", authority.encode()),
        )
        # Header blocks by path and timeout: agents send the same few for ever.
        self._blocks: dict[tuple[str, int | None], bytes] = {}

    @property
    def is_connected(self) -> bool:
        """Whether the next call goes out over a connection that stands, as far as is known."""
        return self._connection is not None and self._connection.usable

    def stub(self, service: str) -> Stub:
        """The methods of `service`, given by its full name."""
        return Stub(self, service)

    async def close(self) -> None:
        """End all calls; further ones fail. Safe to call twice."""
        self._closed = True
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    async def start(
        self,
        path: str,
        message: bytes | None,
        *,
        metadata: Metadata = EMPTY,
        timeout_ns: int | None = None,
    ) -> ClientCall:
        """Begin a call in terms of bytes; with `message` None, messages are sent by the call.

        Connecting counts against the timeout.
        """
        connection = self._connection
        if connection is None or not connection.usable:
            begun = self._clock.monotonic()
            connection = await self._connect(timeout_ns)
            if timeout_ns is not None:
                timeout_ns = max(timeout_ns - (self._clock.monotonic() - begun), 1)
        block = self._block(path, timeout_ns)
        if metadata.fields:
            block += encode(metadata.fields)
        return connection.start(block, message, timeout_ns, label=path)

    async def unary(
        self,
        path: str,
        message: bytes,
        *,
        metadata: Metadata = EMPTY,
        timeout_ns: int | None = None,
    ) -> bytes:
        """One message there, one message back, both as bytes."""
        call = await self.start(path, message, metadata=metadata, timeout_ns=timeout_ns)
        return await only_answer(call, path)

    def _block(self, path: str, timeout_ns: int | None) -> bytes:
        if timeout_ns is not None:
            timeout_ns = rounded_timeout(timeout_ns)
        key = (path, timeout_ns)
        block = self._blocks.get(key)
        if block is None:
            fields = [
                *self._prefix,
                (b":path", path.encode()),
                (b"te", b"trailers"),
                (b"content-type", b"application/grpc"),
            ]
            if timeout_ns is not None:
                fields.append((b"grpc-timeout", format_timeout(timeout_ns)))
            block = encode(fields)
            if len(self._blocks) >= 256:
                self._blocks.clear()
            self._blocks[key] = block
        return block

    async def _connect(self, timeout_ns: int | None) -> ClientConnection:
        limit_s = self._connect_timeout_s
        if timeout_ns is not None:
            limit_s = min(limit_s, timeout_ns / 1e9)
        try:
            async with timeout(limit_s), self._connecting:
                connection = self._connection
                if connection is None or not connection.usable:
                    if self._closed:
                        raise unavailable("the channel was closed", unprocessed=True)
                    connection = await self._dial()
                    self._connection = connection
                return connection
        except TimeoutError:
            raise unavailable(
                f"{self.address} did not answer within {limit_s:g} s", unprocessed=True
            ) from None
        except ssl.SSLCertVerificationError as error:
            raise unavailable(
                f"{self.address} does not have the expected certificate: {error.verify_message}",
                unprocessed=True,
            ) from error
        except (OSError, ValueError) as error:
            raise unavailable(
                f"cannot connect to {self.address}: {error}", unprocessed=True
            ) from error

    async def _dial(self) -> ClientConnection:
        loop = asyncio.get_running_loop()

        def protocol() -> ClientConnection:
            return ClientConnection(limits=self._limits, clock=self._clock)

        if self.address.startswith(sockets.UNIX_PREFIX):
            path = self.address.removeprefix(sockets.UNIX_PREFIX)
            _, connection = await loop.create_unix_connection(protocol, path)
            return connection
        if self._tls is None:
            raise AssertionError("TCP is spoken within TLS only")
        if self._context is None:
            self._context = client_context(self._tls)
        host, port = sockets.split_address(self.address)
        transport, connection = await loop.create_connection(
            protocol, host, port, ssl=self._context, server_hostname=self._tls.server_name
        )
        sockets.detect_dead_peers(transport.get_extra_info("socket"))
        return connection


class Stub:
    """The methods of one service as attributes.

    A unary method and one with a client stream are awaited; one with a server stream is an async
    iterator, to be closed (`contextlib.aclosing`) when it is left early; one with both is awaited
    without a request and gives a `TwoWayCall`. Keyword arguments:
    `timeout_s` for the whole call, `metadata` as `Metadata` or pairs of key and value.
    """

    def __init__(self, channel: Channel, service: str) -> None:
        for name, method in SERVICES[service].items():
            setattr(self, name, _bind(channel, method))

    def __getattr__(self, name: str) -> Callable[..., Any]:
        raise AttributeError(f"the service has no method {name}")


def _bind(channel: Channel, method: Method) -> Callable[..., Any]:
    path = method.path

    async def unary(
        request: Any, *, timeout_s: float | None = None, metadata: Pairs = EMPTY
    ) -> Any:
        call = await channel.start(
            path,
            request.SerializeToString(),
            metadata=metadata_of(metadata),
            timeout_ns=_ns(timeout_s),
        )
        return _parse(method, await only_answer(call, path))

    async def server_stream(
        request: Any, *, timeout_s: float | None = None, metadata: Pairs = EMPTY
    ) -> AsyncIterator[Any]:
        call = await channel.start(
            path,
            request.SerializeToString(),
            metadata=metadata_of(metadata),
            timeout_ns=_ns(timeout_s),
        )
        try:
            while (message := await call.receive()) is not None:
                yield _parse(method, message)
        finally:
            call.cancel()

    async def client_stream(
        requests: AsyncIterable[Any], *, timeout_s: float | None = None, metadata: Pairs = EMPTY
    ) -> Any:
        call = await channel.start(
            path, None, metadata=metadata_of(metadata), timeout_ns=_ns(timeout_s)
        )
        try:
            async for request in requests:
                await call.send(request.SerializeToString())
            call.done_sending()
            return _parse(method, await only_answer(call, path))
        finally:
            call.cancel()

    async def two_way(*, timeout_s: float | None = None, metadata: Pairs = EMPTY) -> TwoWayCall:
        call = await channel.start(
            path, None, metadata=metadata_of(metadata), timeout_ns=_ns(timeout_s)
        )
        return TwoWayCall(call, partial(_parse, method))

    if method.client_streaming:
        return two_way if method.server_streaming else client_stream
    return server_stream if method.server_streaming else unary


async def only_answer(call: ClientCall, path: str) -> bytes:
    """The one message of a call that answers with one."""
    try:
        message = await call.receive()
        if message is None:
            raise RpcError(Code.INTERNAL, f"{path} succeeded without an answer")
        await call.receive()
    finally:
        call.cancel()
    return message


def _parse(method: Method, message: bytes) -> Any:
    try:
        return method.parse_response(message)
    except DecodeError as error:
        raise RpcError(
            Code.INTERNAL, f"the answer of {method.path} cannot be decoded: {error}"
        ) from error


def _ns(timeout_s: float | None) -> int | None:
    return None if timeout_s is None else int(timeout_s * 1e9)


async def fetch_root_ca(address: str, *, timeout_s: float = CONNECT_TIMEOUT_S) -> bytes:
    """The root bundle of the cluster at `address`, from a server nobody has verified.

    The caller must compare it with the digest in a join token before using it.
    """
    channel = _Unverified(address, connect_timeout_s=timeout_s)
    try:
        authority = channel.stub("docker.swarmkit.v1.CA")
        answer = await authority.GetRootCACertificate(
            pb.ca.GetRootCACertificateRequest(), timeout_s=timeout_s
        )
    finally:
        await channel.close()
    certificate: bytes = answer.certificate
    return certificate


class _Unverified(Channel):
    """A channel to whoever answers; no name is sent, as stock nodes do it."""

    async def _dial(self) -> ClientConnection:
        host, port = sockets.split_address(self.address)
        _, connection = await asyncio.get_running_loop().create_connection(
            lambda: ClientConnection(limits=self._limits, clock=self._clock),
            host,
            port,
            ssl=unverified_context(),
            server_hostname="",
        )
        return connection
