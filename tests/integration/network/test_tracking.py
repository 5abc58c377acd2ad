"""Tracked connections are forgotten as they are asked for, and no others."""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from swarmd.network.kernel import conntrack, datagrams, links, netns, nft, streams
from swarmd.network.kernel.netlink import open_netlink

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="namespaces need root"),
]
TICK_S = 0.03  # the kernel's clock has moved on after so long
FIRST, SECOND, THIRD = "127.0.0.2", "127.0.0.3", "127.0.0.4"
TRACKING = """
table ip t {
  chain c {
    type filter hook output priority mangle
    meta l4proto udp ct mark set ip daddr map { 127.0.0.2 : 7, 127.0.0.3 : 8, 127.0.0.4 : 9 }
  }
}
"""


@pytest.fixture
def space(tmp_path: Path) -> Iterator[Path]:
    """A namespace that tracks what goes over its loopback interface, datagrams with a mark."""
    path = tmp_path / "space"
    netns.create(path)
    with open_netlink(path) as netlink:
        netlink.do(links.change(1, up=True))
    netns.inside(path, lambda: nft.run(TRACKING))
    yield path
    netns.remove(path)


def tracked(space: Path) -> set[tuple[str, str]]:
    """Protocol and target of each connection."""
    text = netns.inside(space, Path("/proc/thread-self/net/nf_conntrack").read_text)
    rows = (line.split() for line in text.splitlines())
    return {
        (row[2], next(word[4:] for word in row if word.startswith("dst="))) for row in rows if row
    }


@contextlib.contextmanager
def talking(space: Path, kind: socket.SocketKind, address: str) -> Iterator[None]:
    """A connection to this address, open in the meantime."""

    def connect() -> tuple[socket.socket, socket.socket]:
        server, client = socket.socket(type=kind), socket.socket(type=kind)
        server.bind((address, 0))
        if kind is socket.SOCK_STREAM:
            server.listen()
        client.connect(server.getsockname())
        if kind is socket.SOCK_DGRAM:
            client.send(b"?")
        return server, client

    server, client = netns.inside(space, connect)
    with server, client:
        yield


def test_connections_are_forgotten_by_where_they_lead_or_by_their_mark(space: Path) -> None:
    with (
        talking(space, socket.SOCK_DGRAM, FIRST),
        talking(space, socket.SOCK_STREAM, FIRST),
        talking(space, socket.SOCK_STREAM, SECOND),
    ):
        assert tracked(space) == {("udp", FIRST), ("tcp", FIRST), ("tcp", SECOND)}
        netns.inside(space, lambda: conntrack.flush_udp({7}, socket.AF_INET))
        assert tracked(space) == {("tcp", FIRST), ("tcp", SECOND)}
        netns.inside(space, lambda: conntrack.flush_answered_by(FIRST))
        assert tracked(space) == {("tcp", SECOND)}
        netns.inside(space, lambda: conntrack.flush(0))
        assert tracked(space) == set()


def test_sessions_with_several_marks_are_forgotten_at_once(space: Path) -> None:
    with (
        talking(space, socket.SOCK_DGRAM, FIRST),
        talking(space, socket.SOCK_DGRAM, SECOND),
        talking(space, socket.SOCK_DGRAM, THIRD),
        talking(space, socket.SOCK_STREAM, FIRST),
    ):
        netns.inside(space, lambda: conntrack.flush_udp({7, 9}, socket.AF_INET))
        assert tracked(space) == {("udp", SECOND), ("tcp", FIRST)}
        netns.inside(space, lambda: conntrack.flush_udp({7, 8}, socket.AF_INET6))
        assert tracked(space) == {("udp", SECOND), ("tcp", FIRST)}


def test_connections_that_are_over_are_left_to_end_by_themselves(space: Path) -> None:
    def talk() -> None:
        with socket.create_server((FIRST, 0)) as server:
            with socket.create_connection(server.getsockname()):
                accepted, _ = server.accept()
            accepted.close()

    netns.inside(space, talk)
    netns.inside(space, lambda: conntrack.flush_answered_by(FIRST))
    assert tracked(space) == {("tcp", FIRST)}


def test_connections_that_were_reset_are_forgotten(space: Path) -> None:
    """Else who uses the port again would be led to where nobody is."""
    with talking(space, socket.SOCK_STREAM, FIRST):
        pass  # nobody has accepted it when the server ends
    assert tracked(space) == {("tcp", FIRST)}
    netns.inside(space, lambda: conntrack.flush_answered_by(FIRST))
    assert tracked(space) == set()


def test_a_socket_for_datagrams_is_seen_unless_it_is_bound_to_loopback(space: Path) -> None:
    def look(address: str, *, own: socket.AddressFamily, other: socket.AddressFamily) -> bool:
        with socket.socket(own, socket.SOCK_DGRAM) as sock:
            sock.bind((address, 0))
            return datagrams.are_exchanged(other)

    four, six = socket.AF_INET, socket.AF_INET6
    assert not netns.inside(space, lambda: datagrams.are_exchanged(four))
    assert not netns.inside(space, lambda: look(FIRST, own=four, other=four))
    assert netns.inside(space, lambda: look("0.0.0.0", own=four, other=four))
    assert not netns.inside(space, lambda: look("0.0.0.0", own=four, other=six))
    assert not netns.inside(space, lambda: look("::1", own=six, other=six))
    assert netns.inside(space, lambda: look("::", own=six, other=six))
    assert netns.inside(space, lambda: look("::", own=six, other=four))


def test_a_connection_is_idle_once_its_client_has_the_answer(space: Path) -> None:
    def look() -> None:
        with socket.create_server((FIRST, 0)) as server:
            port = server.getsockname()[1]
            with socket.create_connection((FIRST, port)) as client:
                accepted, _ = server.accept()
                with accepted:
                    client.send(b"?")
                    while not accepted.recv(1, socket.MSG_PEEK):
                        pass
                    assert [one.idle_ns for one in _at(port)] == [0], "unread"
                    accepted.recv(1)
                    time.sleep(TICK_S)
                    accepted.send(b"!")
                    client.recv(1)
                    while not [one for one in _at(port) if one.idle_ns > 0]:
                        pass
                    assert [one.internal for one in _at(port)] == [True]
                    time.sleep(TICK_S)
                    client.send(b"?")
                    accepted.recv(1)
                    assert [one.idle_ns for one in _at(port)] == [0], "not answered yet"

    netns.inside(space, look)


def _at(port: int) -> list[streams.Stream]:
    return [one for one in streams.streams() if one.port == port]
