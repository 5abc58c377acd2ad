"""How a connection becomes a stream of a tunnel: within TLS, then without it.

    opener ──hello: its key──► taker        TLS has shown each who the other is
    opener ◄──hello: its key── taker        who leaves TLS at once, and says nothing until
    opener ═══ first record ══► taker       the opener, which has left it, too, does

Keys are made up for each stream and direction. What follows is `records`: the same cipher as that
of TLS, but in pieces sixteen times as large, and by a process of its own, which a connection can be
given to and the state of TLS can't.
"""

from __future__ import annotations

import asyncio
import secrets
import socket
from collections.abc import Callable

from swarmd.model.ids import NodeId
from swarmd.network.crypt.records import KEY_BYTES

_VERSION = b"\1"
_HELLO_BYTES = len(_VERSION) + KEY_BYTES
SILENCE_S_MAX = 5.0


class Greeting(asyncio.Protocol):
    """One end of a connection, until it is a stream or has failed.

    Args:
        node_id: the node at the other end, which has proved that it is.
        begins: whether this end has opened the connection.
        on_agreed: gets this greeting and the connection, once, to keep; keys are known then.
    """

    def __init__(
        self,
        node_id: NodeId,
        *,
        begins: bool,
        on_agreed: Callable[[Greeting, socket.socket], None],
    ) -> None:
        self.node_id = node_id
        self.begins = begins
        self.send_key = secrets.token_bytes(KEY_BYTES)
        self.receive_key = b""
        self.ended = asyncio.Event()  # this way or the other
        self._on_agreed = on_agreed
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._said = b""

    @property
    def is_agreed(self) -> bool:
        return bool(self.receive_key)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if not isinstance(transport, asyncio.Transport):
            raise AssertionError("a stream transport is needed")
        self._transport = transport
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(SILENCE_S_MAX, transport.abort)
        if self.begins:
            transport.write(_VERSION + self.send_key)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._transport = None
        self.ended.set()

    def data_received(self, data: bytes) -> None:
        transport = self._transport
        if transport is None or self.is_agreed:
            return
        self._said += data
        if not _VERSION.startswith(self._said[: len(_VERSION)]) or len(self._said) > _HELLO_BYTES:
            transport.abort()  # it speaks another language
        elif len(self._said) == _HELLO_BYTES:
            self._agree(transport)

    def _agree(self, transport: asyncio.Transport) -> None:
        """Leave TLS without another word: none of it may be read after the hellos."""
        self.receive_key = self._said[len(_VERSION) :]
        if not self.begins:
            transport.write(_VERSION + self.send_key)
        connection = _taken_from(transport)
        transport.abort()
        self.ended.set()
        self._on_agreed(self, connection)


class Refusal(asyncio.Protocol):
    """Ends a connection before anything is said."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if isinstance(transport, asyncio.Transport):
            transport.abort()


def _taken_from(transport: asyncio.Transport) -> socket.socket:
    """The connection itself, which goes on when the transport is gone."""
    lent = transport.get_extra_info("socket")
    taken = lent.dup()
    if not isinstance(taken, socket.socket):
        raise AssertionError("a transport of a socket is needed")
    return taken
