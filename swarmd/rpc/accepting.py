"""Finding out what a new connection speaks before a protocol takes it over."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import socket
import ssl
import stat
from collections.abc import Callable

from swarmd.rpc.tls import ServerTls
from swarmd.runtime.supervise import Supervisor
from swarmd.runtime.timeouts import timeout

log = logging.getLogger(__name__)

_TLS_HANDSHAKE = 0x16
_FIRST_BYTE_S = 10.0
_BACKLOG = 256
_SOCKET_MODE = 0o600


class Switch(asyncio.Protocol):
    """Hands a connection to the protocol that `choose` picks once the handshake is done.

    asyncio makes the protocol when it accepts, but only the handshake tells which one it is to be.
    """

    def __init__(self, choose: Callable[[asyncio.Transport], asyncio.Protocol | None]) -> None:
        self._choose = choose

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if not isinstance(transport, asyncio.Transport):
            raise AssertionError("a stream transport is needed")
        protocol = self._choose(transport)
        if protocol is None:
            transport.abort()
            return
        transport.set_protocol(protocol)
        protocol.connection_made(transport)


class LocalListener:
    """The unix socket: plain or TLS by the first byte, which is looked at and left in place."""

    def __init__(
        self,
        path: str,
        *,
        serve: Callable[[], asyncio.Protocol],
        context: Callable[[], ServerTls | None],
    ) -> None:
        self._path = path
        self._serve = serve
        self._context = context
        self._socket: socket.socket | None = None
        self._inode = 0

    async def open(self, tasks: Supervisor) -> None:
        """Bind and accept, in a task of `tasks`."""
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        try:
            _remove_stale(self._path)
            # Nobody may connect between bind and chmod either.
            before = os.umask(0o777 & ~_SOCKET_MODE)
            try:
                sock.bind(self._path)
            finally:
                os.umask(before)
            sock.listen(_BACKLOG)
            self._inode = os.stat(self._path).st_ino
        except BaseException:
            sock.close()
            raise
        self._socket = sock
        tasks.spawn(self._accept(sock, tasks), name="local")

    def close(self) -> None:
        """Accept no more and remove the file, unless another daemon has taken its place."""
        if self._socket is None:
            return
        self._socket.close()
        self._socket = None
        try:
            if os.stat(self._path).st_ino == self._inode:
                os.unlink(self._path)
        except FileNotFoundError:
            log.debug("rpc.socket_gone path=%s", self._path)

    async def _accept(self, sock: socket.socket, tasks: Supervisor) -> None:
        loop = asyncio.get_running_loop()
        while self._socket is sock:
            try:
                connection, _ = await loop.sock_accept(sock)
            except OSError as error:
                if self._socket is not sock:
                    return
                # Out of descriptors, most likely; some will be closed.
                log.warning("rpc.accept_failed path=%s reason=%s", self._path, error)
                await asyncio.sleep(0.1)
                continue
            tasks.spawn(self._take(connection), name="local.connection")

    async def _take(self, connection: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        try:
            first = await _peek(connection)
            if not first:
                connection.close()
                return
            context: ssl.SSLContext | None = None
            if first[0] == _TLS_HANDSHAKE:
                tls = self._context()
                if tls is None:
                    log.info("rpc.refused peer=local reason=no certificate for TLS yet")
                    connection.close()
                    return
                context = tls.context
            await loop.connect_accepted_socket(self._serve, connection, ssl=context)
        except (OSError, ssl.SSLError) as error:
            log.info("rpc.refused peer=local reason=%s", error)
            connection.close()
        except BaseException:
            connection.close()
            raise


async def _peek(connection: socket.socket) -> bytes:
    """The first byte, left unread; empty when none came in time."""
    loop = asyncio.get_running_loop()
    readable: asyncio.Future[None] = loop.create_future()

    def on_readable() -> None:
        if not readable.done():
            readable.set_result(None)

    loop.add_reader(connection, on_readable)
    try:
        async with timeout(_FIRST_BYTE_S):
            await readable
    except TimeoutError:
        return b""
    finally:
        loop.remove_reader(connection)
    return connection.recv(1, socket.MSG_PEEK)


def _remove_stale(path: str) -> None:
    """Remove a socket file nobody answers on.

    Raises:
        OSError: a daemon does answer, or the file is something else.
    """
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise OSError(errno.EEXIST, "there is something else than a socket", path)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            os.unlink(path)
            return
    raise OSError(errno.EADDRINUSE, "another daemon answers on this socket", path)
