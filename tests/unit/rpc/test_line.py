"""What the kernel tells of a connection, over real sockets of loopback."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager

from swarmd.model.instant import SECOND
from swarmd.rpc.line import watch
from swarmd.runtime.clock import SystemClock


@contextmanager
def a_connection() -> Iterator[tuple[socket.socket, socket.socket]]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        near = socket.create_connection(server.getsockname())
        far, _ = server.accept()
        with near, far:
            yield near, far


class SetClock(SystemClock):
    """Stands at an instant that a test chooses."""

    def monotonic(self) -> int:
        return 100 * SECOND


def test_a_new_connection_has_just_been_heard_of() -> None:
    with a_connection() as (near, _):
        line = watch(near, SetClock())
        assert line is not None
        heard = line.heard_at()
        assert heard is not None
        assert 90 * SECOND < heard <= 100 * SECOND


def test_the_kernel_is_asked_to_probe_each_second() -> None:
    with a_connection() as (near, _):
        watch(near, SetClock())
        assert near.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        assert near.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 1
        assert near.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL) == 1


def test_a_connection_that_ended_was_alive_until_then() -> None:
    with a_connection() as (near, _):
        line = watch(near, SetClock())
        assert line is not None
        line.end(ConnectionResetError())
        assert line.heard_at() == 100 * SECOND


def test_a_connection_the_kernel_gave_up_had_been_silent_before() -> None:
    with a_connection() as (near, _):
        line = watch(near, SetClock())
        assert line is not None
        line.end(TimeoutError())
        assert line.heard_at() == 94 * SECOND


def test_a_closed_socket_tells_nothing() -> None:
    with a_connection() as (near, _):
        line = watch(near, SetClock())
        near.close()
        assert line is not None
        assert line.heard_at() is None


def test_connections_other_than_tcp_are_not_watched() -> None:
    near, far = socket.socketpair()
    with near, far:
        assert watch(near, SetClock()) is None
    assert watch(None, SetClock()) is None
