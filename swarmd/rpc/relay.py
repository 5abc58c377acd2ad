"""Passing calls on to the leader.

A manager that does not lead answers calls for the leader by asking it, under its own certificate,
and says on whose behalf. Bytes pass through unread. A caller that sends `swarmd-redirect: 1`
is told the leader's address instead and goes there by itself, which spares both managers.

The leader wants to know of silent machines, but cannot see those whose calls are relayed; this
manager watches them on its behalf (`silence`). Heartbeats, which are most of the calls, are passed
on in groups (`relayed_heartbeats`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from swarmd.model.errors import Code, Rejection
from swarmd.rpc.access import LINE, REDIRECT, forwarding_fields, without_forwarding
from swarmd.rpc.answering import answer
from swarmd.rpc.channel import Channel, only_answer
from swarmd.rpc.client_connection import ClientCall
from swarmd.rpc.errors import RpcError, unavailable
from swarmd.rpc.exchange import Exchange
from swarmd.rpc.metadata import EMPTY, Metadata
from swarmd.rpc.pb import cluster as pb
from swarmd.rpc.relayed_heartbeats import RelayedHeartbeats
from swarmd.rpc.router import Router
from swarmd.rpc.silence import SilenceWatch
from swarmd.runtime.clock import Clock

REDIRECT_WANTED = "swarmd-redirect"
LEADER_ADDRESS = "swarmd-leader"

# The stream that stands for a node's session: who holds it open is watched.
_SESSION = "/docker.swarmkit.v1.Dispatcher/Session"
_HEARTBEAT = "/docker.swarmkit.v1.Dispatcher/Heartbeat"
_RELAYS = "swarmd.v1.Relays"
_REPORT_S = 1.0
# As long as stock agents wait for the answer.
_HEARTBEATS_S = 5.0

# How long, and how often, to look for another leader when the last one cannot be reached: longer
# than an election takes.
_PATIENCE_NS = 10_000_000_000
_PAUSE_S = 0.05


class LeaderRelay:
    """Answers exchanges with what the leader says.

    Args:
        connect: a channel to a manager's address, under this manager's current certificate.
        own_address: what this manager is known by.
    """

    def __init__(
        self,
        *,
        router: Router,
        connect: Callable[[str], Channel],
        own_address: Callable[[], str],
        clock: Clock,
    ) -> None:
        self._router = router
        self._connect = connect
        self._own_address = own_address
        self._clock = clock
        self._channel: Channel | None = None
        self._silence = SilenceWatch(self._report_silence, clock)
        self._heartbeats = RelayedHeartbeats(self._carry_heartbeats)
        # To a leader that wants each heartbeat by itself.
        self._one_by_one: Channel | None = None

    async def run(self) -> None:
        """Carry heartbeats, and watch the machines whose sessions are relayed, until cancelled."""
        async with asyncio.TaskGroup() as parts:
            parts.create_task(self._silence.run())
            parts.create_task(self._heartbeats.run())

    async def pass_on(self, exchange: Exchange) -> bytes | None:
        """Relay one call; a single answer is returned, messages of a stream are sent on.

        Unary calls are tried again while the leader surely has not seen them. Others are not.
        """
        method = exchange.resolution.method
        give_up_ns = self._clock.monotonic() + _PATIENCE_NS
        while True:
            leader = await self._find_leader()
            if not leader:
                # This manager was elected in the meantime.
                return await answer(self._router.find_handler(method), exchange)
            if REDIRECT in exchange.call.metadata:
                # Not before the leader is known: who passed the call on may have learnt of this
                # manager's election before it can act on it.
                raise Rejection(
                    Code.RESOURCE_EXHAUSTED,
                    "more than one redirect to leader from: "
                    f"{exchange.call.metadata.all(REDIRECT)}",
                )
            if exchange.call.metadata.get(REDIRECT_WANTED) == "1":
                raise RpcError(
                    Code.UNAVAILABLE,
                    f"this manager does not lead; the leader is at {leader}",
                    trailers=Metadata.of((LEADER_ADDRESS, leader)),
                )
            try:
                return await self._relay(await self._channel_to(leader), exchange)
            except RpcError as error:
                late = self._clock.monotonic() > give_up_ns
                if late or not (error.unprocessed and method.is_unary):
                    raise _about_the_leader(error, leader) from error
            await asyncio.sleep(_PAUSE_S)

    async def reconnect(self) -> None:
        """Use a new connection from the next call on, after a change of certificate.

        Calls under way end as UNAVAILABLE.
        """
        channel, self._channel = self._channel, None
        if channel is not None:
            await channel.close()

    async def _find_leader(self) -> str:
        leadership = self._router.leadership
        if leadership is None:
            raise Rejection(Code.UNAVAILABLE, "this node is no longer a manager")
        return await leadership.find_leader()

    async def _channel_to(self, leader: str) -> Channel:
        if self._channel is not None and self._channel.address != leader:
            await self.reconnect()
        if self._channel is None:
            self._channel = self._connect(leader)
        return self._channel

    async def _report_silence(self, request: pb.ReportSilenceRequest) -> None:
        # Without a channel no call is passed on any more, and no line is the leader's.
        if self._channel is not None:
            await self._channel.stub(_RELAYS).ReportSilence(request, timeout_s=_REPORT_S)

    async def _carry_heartbeats(
        self, request: pb.RelayHeartbeatsRequest
    ) -> pb.RelayHeartbeatsResponse:
        if self._channel is None:
            raise unavailable("the connection to the leader was closed", unprocessed=True)
        relays = self._channel.stub(_RELAYS)
        response: pb.RelayHeartbeatsResponse = await relays.RelayHeartbeats(
            request, timeout_s=_HEARTBEATS_S
        )
        return response

    async def _relay(self, channel: Channel, exchange: Exchange) -> bytes | None:
        call = exchange.call
        if call.method == _HEARTBEAT and channel is not self._one_by_one:
            try:
                return await self._heartbeats.ask(call.node_id, _only_message(exchange))
            except RpcError as error:
                if error.code is not Code.UNIMPLEMENTED:
                    raise
                self._one_by_one = channel  # a leader of an earlier version
        if call.line is None or call.method != _SESSION:
            return await self._carry(channel, exchange, EMPTY)
        with self._silence.watching(call.node_id, call.line) as name:
            return await self._carry(channel, exchange, Metadata.of((LINE, name)))

    async def _carry(self, channel: Channel, exchange: Exchange, added: Metadata) -> bytes | None:
        call = exchange.call
        method = exchange.resolution.method
        metadata = Metadata(
            (
                *without_forwarding(call.metadata).fields,
                *forwarding_fields(call.peer, own_address=self._own_address()),
                *added.fields,
            )
        )
        timeout_ns = None
        if call.deadline_ns is not None:
            timeout_ns = max(call.deadline_ns - self._clock.monotonic(), 1)
        message = _only_message(exchange) if method.is_unary else None
        inner = await channel.start(method.path, message, metadata=metadata, timeout_ns=timeout_ns)
        try:
            if method.is_unary:
                response: bytes | None = await only_answer(inner, method.path)
            else:
                response = await self._relay_stream(inner, exchange)
            for key, value in inner.trailers:
                call.set_trailer(key, value)
            return response
        finally:
            inner.cancel()

    async def _relay_stream(self, inner: ClientCall, exchange: Exchange) -> bytes | None:
        """Carry messages both ways at once until the leader has said how the call ended."""
        failure: Exception | None = None
        response: bytes | None = None
        async with asyncio.TaskGroup() as tasks:
            upload = tasks.create_task(_upload(exchange, inner))
            try:
                if exchange.resolution.method.server_streaming:
                    while (message := await inner.receive()) is not None:
                        await exchange.send(message)
                else:
                    response = await only_answer(inner, exchange.call.method)
            except RpcError as error:
                # Kept out of the group, which would wrap it.
                failure = error
            upload.cancel()
        if failure is not None:
            raise failure
        return response


def _only_message(exchange: Exchange) -> bytes:
    message = exchange.take_only()
    if message is None:
        raise Rejection(Code.INVALID_ARGUMENT, f"{exchange.call.method} takes one request")
    return message


def _about_the_leader(error: RpcError, leader: str) -> RpcError:
    """The error as the caller sees it, who knows nothing of the connection behind this manager."""
    if error.code not in (Code.UNAVAILABLE, Code.DEADLINE_EXCEEDED) or error.trailers.fields:
        return error
    return RpcError(error.code, f"asking the leader at {leader}: {error.message}")


async def _upload(exchange: Exchange, inner: ClientCall) -> None:
    while (message := await exchange.receive()) is not None:
        await inner.send(message)
    inner.done_sending()
