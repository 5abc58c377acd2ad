"""One stream of a tunnel in the process that carries it: records over a connection."""

from __future__ import annotations

import select
import socket
from collections import deque

from swarmd.network.crypt import orders
from swarmd.network.crypt.records import NO_MORE, Broken, Opener, Sealer

# So much may wait for a peer that takes its time; what comes on top of it is dropped, as any
# network does it, and the senders slow down.
WAITING_BYTES_MAX = 4 << 20


class StreamLost(Exception):
    """The connection has ended, or is of no more use."""


class CarrierStream:
    """An end of a stream. All methods may raise `StreamLost`."""

    def __init__(self, order: orders.Stream, sock: socket.socket) -> None:
        self.sock = sock
        self.number = order.number
        self.node_id = order.node_id
        self.is_ready = order.begins  # the other end says so by its first record
        self._sealer = Sealer(order.send_key)
        self._opener = Opener(order.receive_key)
        self._waiting: deque[memoryview] = deque()
        self._waiting_bytes = 0
        self._has_ended = False
        self._other_has_ended = False
        sock.setblocking(False)

    @property
    def is_full(self) -> bool:
        return self._waiting_bytes > WAITING_BYTES_MAX

    @property
    def is_done(self) -> bool:
        """Whether both ends have sent all they had, and it has gone out."""
        return self._has_ended and self._other_has_ended and not self._waiting

    @property
    def events(self) -> int:
        """What to wait for."""
        return select.EPOLLIN | (select.EPOLLOUT if self._waiting else 0)

    def greet(self) -> None:
        """Say that this end has begun."""
        self._put(b"")

    def send(self, plain: memoryview) -> None:
        """Send packets, each behind its length."""
        if not self._has_ended:
            self._put(plain)

    def finish(self) -> None:
        """Send no more packets."""
        if not self._has_ended:
            self._has_ended = True
            self._put(NO_MORE)

    def finish_other_end(self) -> None:
        """No more packets come."""
        self._other_has_ended = True

    def receive(self) -> list[bytes]:
        """What records hold that have come."""
        try:
            count = self.sock.recv_into(self._opener.space)
            if not count:
                raise StreamLost("the other end has closed it")
            return self._opener.received(count)
        except BlockingIOError:
            return []
        except OSError as error:
            raise StreamLost(error.strerror or str(error)) from None
        except Broken as error:
            raise StreamLost(f"it brought {error}") from None

    def flush(self) -> None:
        """Send what waits, as far as the connection takes it."""
        try:
            while self._waiting:
                sent = self.sock.send(self._waiting[0])
                self._waiting_bytes -= sent
                if sent == len(self._waiting[0]):
                    self._waiting.popleft()
                else:
                    self._waiting[0] = self._waiting[0][sent:]
        except BlockingIOError:
            return
        except OSError as error:
            raise StreamLost(error.strerror or str(error)) from None

    def _put(self, plain: bytes | memoryview) -> None:
        parts = self._sealer.seal(plain)
        sent = 0
        if not self._waiting:
            try:
                sent = self.sock.sendmsg(parts)
            except BlockingIOError:
                sent = 0
            except OSError as error:
                raise StreamLost(error.strerror or str(error)) from None
        for part in parts:
            if sent < len(part):
                self._waiting.append(memoryview(part)[sent:])
                self._waiting_bytes += len(part) - sent
            sent = max(0, sent - len(part))
