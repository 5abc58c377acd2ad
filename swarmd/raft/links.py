"""Connections between members: one protocol for each direction.

A member sends over the connection it dialled and receives over the one its peer dialled. What
flows back on a dialled connection is only the answer to the hello and, later, a goodbye.
The certificate decides who a peer is; the hello must agree with it.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Callable

from swarmd.raft.members import Member
from swarmd.raft.messages import (
    PEER,
    BadFrame,
    FetchSnapshot,
    FrameReader,
    Goodbye,
    Hello,
    PeerMessage,
    Welcome,
    decode_control,
    decode_peer,
    encode_frame,
)
from swarmd.rpc.identity import Identity, from_certificate
from swarmd.rpc.tls import RAFT_ALPN

log = logging.getLogger(__name__)

CONTROL_BYTES_MAX = 64 << 10
HELLO_SECONDS = 10.0
WINDOW_BYTES = 8 << 20


def verified_manager(transport: asyncio.BaseTransport, node_id: str) -> str | None:
    """Why the other end of a dialled connection is not manager `node_id`, or None when it is."""
    tls: ssl.SSLObject | None = transport.get_extra_info("ssl_object")
    der = tls.getpeercert(True) if tls is not None else None
    identity = from_certificate(der) if der else None
    if tls is None or identity is None:
        return "the peer shows no node certificate"
    if tls.selected_alpn_protocol() != RAFT_ALPN:
        return "the peer does not speak raft on this port"
    if not identity.is_manager:
        return f"node {identity.node_id} is not a manager"
    if identity.node_id != node_id:
        return f"node {identity.node_id} answered where node {node_id} was expected"
    return None


class Outbound(asyncio.Protocol):
    """The sending end of a link. `welcomed` ends with None, or with the goodbye of the peer."""

    def __init__(self, config_buffer_bytes: int, on_room: Callable[[], None]) -> None:
        loop = asyncio.get_running_loop()
        self.welcomed: asyncio.Future[Goodbye | None] = loop.create_future()
        self.closed: asyncio.Future[None] = loop.create_future()
        self.goodbye: Goodbye | None = None
        self._transport: asyncio.Transport | None = None
        self._reader = FrameReader(CONTROL_BYTES_MAX)
        self._buffer_bytes, self._on_room = config_buffer_bytes, on_room
        self.has_room = True

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.set_write_buffer_limits(high=WINDOW_BYTES)

    def data_received(self, data: bytes) -> None:
        try:
            for body in self._reader.feed(data):
                self._control(decode_control(body))
        except BadFrame as error:
            log.warning("raft.bad_frame reason=%s", error)
            self.close()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.welcomed.done():
            self.welcomed.set_result(Goodbye("closed", "the peer closed the connection"))
        if not self.closed.done():
            self.closed.set_result(None)

    def pause_writing(self) -> None:
        self.has_room = False

    def resume_writing(self) -> None:
        self.has_room = True
        self._on_room()

    def send(self, frame: bytes) -> None:
        """Write one frame; a peer that does not take what was sent before is cut off."""
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        transport.write(frame)
        if not self.has_room and transport.get_write_buffer_size() > self._buffer_bytes:
            log.warning("raft.peer_too_slow buffered=%s", transport.get_write_buffer_size())
            transport.abort()

    def close(self) -> None:
        """Drop the connection with whatever is still unsent."""
        if self._transport is not None:
            self._transport.abort()

    def _control(self, message: object) -> None:
        match message:
            case Welcome():
                if not self.welcomed.done():
                    self.welcomed.set_result(None)
            case Goodbye():
                self.goodbye = message
                if not self.welcomed.done():
                    self.welcomed.set_result(message)
                self.close()
            case _:
                raise BadFrame("unexpected control message")


class Inbound(asyncio.Protocol):
    """The receiving end of a link, or a request for a snapshot.

    `admit` judges the hello and answers with a goodbye or None; from then on consensus
    messages go to `deliver` until the connection is lost, which `lost` is told.
    """

    def __init__(
        self,
        identity: Identity,
        *,
        frame_bytes_max: int,
        admit: Callable[[Identity, Hello, Inbound], Goodbye | None],
        deliver: Callable[[Inbound, PeerMessage], None],
        fetch: Callable[[Inbound, FetchSnapshot], None],
        lost: Callable[[Inbound], None],
    ) -> None:
        self.identity = identity
        self.sender: Member | None = None
        self.purpose = ""
        self._frame_bytes_max = frame_bytes_max
        self._admit, self._deliver, self._fetch, self._lost = admit, deliver, fetch, lost
        self._reader = FrameReader(CONTROL_BYTES_MAX)
        self._transport: asyncio.Transport | None = None
        self._hello_timer: asyncio.TimerHandle | None = None
        self._may_write = asyncio.Event()
        self._may_write.set()
        self._gone = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        loop = asyncio.get_running_loop()
        self._hello_timer = loop.call_later(HELLO_SECONDS, self.abort)

    def data_received(self, data: bytes) -> None:
        try:
            for body in self._reader.feed(data):
                if self._gone:
                    return
                if self.sender is None:
                    self._hello(body)
                elif self.purpose == PEER:
                    self._deliver(self, decode_peer(body))
                else:
                    self._request(body)
        except BadFrame as error:
            log.warning("raft.bad_frame node.id=%s reason=%s", self.identity.node_id, error)
            self.abort()

    def pause_writing(self) -> None:
        self._may_write.clear()

    def resume_writing(self) -> None:
        self._may_write.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self._gone = True
        self._may_write.set()
        if self._hello_timer is not None:
            self._hello_timer.cancel()
        if self.sender is not None:
            self._lost(self)

    async def write(self, frame: bytes) -> None:
        """Write and wait for room.

        Raises:
            ConnectionError: the peer is gone.
        """
        await self._may_write.wait()
        if self._gone or self._transport is None:
            raise ConnectionResetError("the peer closed the snapshot stream")
        self._transport.write(frame)

    def dismiss(self, goodbye: Goodbye) -> None:
        """Say why and close."""
        if self._transport is not None and not self._gone:
            self._gone = True
            self._transport.write(encode_frame(goodbye))
            self._transport.close()

    def finish(self) -> None:
        """Close once everything is written."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.close()

    def abort(self) -> None:
        """Drop the connection; nothing that is still in it will be delivered."""
        self._gone = True
        if self._transport is not None:
            self._transport.abort()

    def _hello(self, body: bytes) -> None:
        hello = decode_control(body)
        if not isinstance(hello, Hello):
            raise BadFrame("the first message must be a hello")
        refusal = self._admit(self.identity, hello, self)
        if refusal is not None:
            log.info("raft.hello_refused node.id=%s reason=%s", self.identity.node_id, refusal.text)
            self.dismiss(refusal)
            return
        if self._hello_timer is not None:
            self._hello_timer.cancel()
        self.sender, self.purpose = hello.sender, hello.purpose
        if self.purpose == PEER:
            self._reader.max_bytes = self._frame_bytes_max
        assert self._transport is not None
        self._transport.write(encode_frame(Welcome()))

    def _request(self, body: bytes) -> None:
        request = decode_control(body)
        if not isinstance(request, FetchSnapshot):
            raise BadFrame("a snapshot connection carries one request")
        self._fetch(self, request)
