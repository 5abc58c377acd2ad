"""Plain overlays of a node whose daemon may not have the kernel send their packets.

    VXLAN ─► interface `swferry`, in the inner namespace ─► ferry ═ UDP 4789 of the machine ═ peers

What the kernel encapsulates in the inner network comes to this process, which sends it on from a
socket of the machine, as the kernel of a privileged node would have: the other end can't tell, and
need not. What comes in is let through if it is from a node, of a network, that this node was told
of, and that node is on it. All in one event loop, some packets at a time.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import socket
from collections.abc import Iterable
from ipaddress import ip_address, ip_interface
from pathlib import Path

from swarmd.network.core.encapsulated import (
    HEADERS,
    VXLAN_BYTES,
    Peer,
    datagram,
    payload,
    peers_of,
)
from swarmd.network.core.offloaded import finished
from swarmd.network.core.overlay_plan import VXLAN_PORT, Underlay
from swarmd.network.core.tables import IPV4, NetworkTable
from swarmd.network.kernel import links, tun
from swarmd.network.kernel.netlink import open_netlink
from swarmd.network.kernel.routing import Route, put_address, put_route

log = logging.getLogger(__name__)

DEVICE = "swferry"
PACKETS_PER_TURN = 64
PACKET_BYTES = 65_536
BUFFER_BYTES = 4 << 20
RETRY_S = 1.0
MTU_MAX = 65_535  # of such interfaces; a loopback interface takes more
_IP_MTU_DISCOVER, _IP_PMTUDISC_DONT = 10, 0
_ID_AT, _ID_END = 4, 7  # of a VXLAN header
_EVERYTHING = {4: "0.0.0.0/0", 6: "::/0"}


def missing(inner: Path) -> str:
    """Why there can be no ferry; empty when there can."""
    lacking = tun.missing(inner)
    return f"{lacking}; let users have it (chmod 666 {tun.DEVICE})" if lacking else ""


class Ferry:
    """The interface, and the machine's port while there are other nodes. For one event loop.

    Args:
        inner: the namespace that gets the interface.

    Raises:
        OSError: the interface can't be made.
    """

    def __init__(self, underlay: Underlay, inner: Path) -> None:
        self.dropped = 0  # packets that could not be sent on
        self.refused = 0  # that came from nobody who is on the network they are of
        self._inner = inner
        self._mtu = min(underlay.mtu, MTU_MAX)
        self._own = ip_address(underlay.address)
        self._family = socket.AF_INET if self._own.version == IPV4 else socket.AF_INET6
        self._peers: dict[str, Peer] = {}  # by address
        self._targets: dict[bytes, str] = {}  # their addresses, by those in packets
        self._problem = ""
        self._socket: socket.socket | None = None
        self._retry: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()
        self._device = _open(underlay, inner)
        self._loop.add_reader(self._device, self._outward)

    @property
    def problems(self) -> tuple[str, ...]:
        return (self._problem,) if self._problem else ()

    def use(self, tables: Iterable[NetworkTable], node_id: str) -> None:
        """Carry packets of these networks, unless they are encrypted, to the nodes on them."""
        self._peers = peers_of(tables, node_id, version=self._own.version)
        self._targets = {peer.packed: address for address, peer in self._peers.items()}
        if not self._peers:
            self._unbind()
        elif self._socket is None and self._retry is None:
            self._bind()

    def resize(self, mtu: int) -> None:
        """The machine's network takes packets of another size from now on. Blocks.

        Raises: OSError.
        """
        with open_netlink(self._inner) as netlink:
            self._mtu = min(mtu, MTU_MAX)
            netlink.do(links.change(links.index_of(netlink, DEVICE), mtu=self._mtu))

    def close(self) -> None:
        self._unbind()
        if self._device >= 0:
            self._loop.remove_reader(self._device)
            os.close(self._device)
            self._device = -1

    def _bind(self) -> None:
        """Take the port, or try again until whoever has it is gone."""
        self._retry = None
        sock = socket.socket(self._family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER_BYTES)
            if self._family == socket.AF_INET:
                # As the kernel sends them: what doesn't fit somewhere is cut in pieces.
                sock.setsockopt(socket.IPPROTO_IP, _IP_MTU_DISCOVER, _IP_PMTUDISC_DONT)
            sock.bind((str(self._own), VXLAN_PORT))
        except OSError as error:
            sock.close()
            problem = (
                f"tasks don't reach those of other nodes: UDP port {VXLAN_PORT} of {self._own} "
                f"can't be had ({error.strerror})"
            )
            if problem != self._problem:
                log.warning("ferry.problem %s", problem)
            self._problem = problem
            self._retry = self._loop.call_later(RETRY_S, self._bind)
            return
        self._problem = ""
        self._socket = sock
        self._loop.add_reader(sock, self._inward, sock)

    def _unbind(self) -> None:
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None
        if self._socket is not None:
            self._loop.remove_reader(self._socket)
            self._socket.close()
            self._socket = None
        self._problem = ""

    def _outward(self) -> None:
        for _ in range(PACKETS_PER_TURN):
            try:
                packet = os.read(self._device, PACKET_BYTES)
            except BlockingIOError:
                return
            found = payload(packet, port=VXLAN_PORT)
            target = self._targets.get(found.target) if found is not None else None
            if found is None or target is None or self._socket is None:
                self.dropped += 1  # of the kernel's own, such as news of groups it has joined
                continue
            try:
                self._socket.sendto(found.data, (target, VXLAN_PORT))
            except OSError as error:
                # Full, or the peer's machine has said that nobody is there: datagrams may be lost.
                self.dropped += 1
                if error.errno in (errno.EAGAIN, errno.ENOBUFS):
                    return

    def _inward(self, sock: socket.socket) -> None:
        for _ in range(PACKETS_PER_TURN):
            try:
                data, (host, port, *_) = sock.recvfrom(PACKET_BYTES)
            except BlockingIOError:
                return
            except OSError:
                continue  # about an earlier packet that nobody took
            peer = self._peers.get(host)
            if peer is None or data[_ID_AT:_ID_END] not in peer.ids:
                self.refused += 1
                continue
            longest = self._mtu - HEADERS[self._own.version]
            for part in finished(data, frame_at=VXLAN_BYTES, longest=longest):
                self._let_in(part, peer, port)

    def _let_in(self, data: bytes, peer: Peer, port: int) -> None:
        ports = (port, VXLAN_PORT)
        packet = datagram(data, source=peer.packed, target=self._own.packed, ports=ports)
        try:
            os.write(self._device, packet)
        except OSError:
            self.dropped += 1


def _open(underlay: Underlay, inner: Path) -> int:
    own = ip_interface(underlay.address)
    descriptor = tun.open_tun(DEVICE, node=inner)
    try:
        with open_netlink(inner) as netlink:
            index = links.index_of(netlink, DEVICE)
            netlink.do(
                links.change(index, up=True, mtu=min(underlay.mtu, MTU_MAX)),
                put_address(index, own),
                put_route(Route(_EVERYTHING[own.version], index=index)),
            )
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor
