"""The addresses of this machine: which it has, on which interfaces, and when that changes."""

from __future__ import annotations

import asyncio
import errno
import socket
import struct
from pathlib import Path
from types import TracebackType

from swarmd.network.core.whereabouts import Held
from swarmd.network.kernel import links, netns, routing
from swarmd.network.kernel.netlink import open_netlink

_LINKS, _ADDRESSES_V4, _ADDRESSES_V6 = 0x1, 0x10, 0x100
_NEWS_BYTES = 64 * 1024


def survey(node: Path | None = None) -> dict[str, Held]:
    """All interfaces, without the addresses IPv6 makes up by itself. Blocks for a millisecond.

    Raises:
        OSError: the kernel doesn't tell.
    """
    try:
        with open_netlink(node) as netlink:
            found = routing.all_addresses(netlink)
            known = links.links(netlink)
    except struct.error as error:
        raise OSError(errno.EPROTO, f"the kernel's answer makes no sense: {error}") from error
    return {
        link.name: Held(
            link.mtu,
            tuple(str(one.ip) for one in sorted(found.get(link.index, ()), key=_by_family)),
        )
        for link in known.values()
    }


def addresses(node: Path | None = None) -> dict[str, tuple[str, ...]]:
    """The addresses of each interface. As `survey`."""
    return {name: held.addresses for name, held in survey(node).items()}


class News:
    """Tells that interfaces or their addresses have changed. For one event loop.

    Raises:
        OSError: the kernel doesn't tell.
    """

    def __init__(self, node: Path | None = None) -> None:
        self._socket = netns.inside(node, _subscribe)

    def __enter__(self) -> News:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._socket.close()

    async def wait(self) -> None:
        """Return when something has changed since the last call; it is not told what."""
        await self._receive()
        try:
            while self._socket.recv(_NEWS_BYTES):
                pass
        except BlockingIOError:
            pass  # all read
        except OSError as error:
            _check(error)

    async def _receive(self) -> None:
        try:
            await asyncio.get_running_loop().sock_recv(self._socket, _NEWS_BYTES)
        except OSError as error:
            _check(error)


def _check(error: OSError) -> None:
    """More happened than the socket holds: that is news, too."""
    if error.errno != errno.ENOBUFS:
        raise error


def _subscribe() -> socket.socket:
    kind = socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
    sock = socket.socket(socket.AF_NETLINK, kind, socket.NETLINK_ROUTE)
    try:
        sock.bind((0, _LINKS | _ADDRESSES_V4 | _ADDRESSES_V6))
    except OSError:
        sock.close()
        raise
    return sock


def _by_family(address: routing.Interface) -> tuple[int, int]:
    return address.version, int(address.ip)
