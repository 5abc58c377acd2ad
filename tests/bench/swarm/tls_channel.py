"""Channels of nodes that come back often: the TLS context is made once and used again.

A control socket of a stock Docker Engine speaks TLS as well, under a certificate that nobody
checks; swarmd's is plain.
"""

from __future__ import annotations

import asyncio
import ssl

from swarmd.rpc import sockets
from swarmd.rpc.channel import Channel
from swarmd.rpc.client_connection import ClientConnection
from swarmd.rpc.tls import unverified_context


class TlsChannel(Channel):
    """A channel to `address` over TCP within a context made before."""

    def __init__(self, address: str, context: ssl.SSLContext, *, server_name: str) -> None:
        super().__init__(address)
        self._own_context = context
        self._server_name = server_name

    async def _dial(self) -> ClientConnection:
        host, port = sockets.split_address(self.address)
        _, connection = await asyncio.get_running_loop().create_connection(
            lambda: ClientConnection(limits=self._limits, clock=self._clock),
            host,
            port,
            ssl=self._own_context,
            server_hostname=self._server_name,
        )
        return connection


class TlsSocketChannel(Channel):
    """A channel over a unix socket within TLS, the server unverified."""

    async def _dial(self) -> ClientConnection:
        _, connection = await asyncio.get_running_loop().create_unix_connection(
            lambda: ClientConnection(limits=self._limits, clock=self._clock),
            self.address.removeprefix(sockets.UNIX_PREFIX),
            ssl=unverified_context(),
            server_hostname="",
        )
        return connection
