"""Encryption by this process: VXLAN packets within TLS, where the kernel can't encrypt by itself.

    VXLAN ─► guard's mark ─► interface `swcrypt` ─► stream to the peer ═══ TLS ═══► its `swcrypt`

There is one stream between two nodes, for all their networks. The one with the lower id opens it,
at the other's remote port; certificates say who is there. A stream is replaced before it is ended
when keys or certificates change, so packets under way arrive.

All of it runs in the daemon's event loop: while the daemon restarts, these networks stand still.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from ipaddress import IPv4Interface, ip_address
from pathlib import Path
from random import Random
from ssl import SSLError

from swarmd.model.ids import NodeId
from swarmd.model.network import Mechanism
from swarmd.network.core.encryption import Peer, target_of, vxlan_between
from swarmd.network.core.overlay_plan import Underlay
from swarmd.network.crypt.guard import DEVICE, MARKS
from swarmd.network.crypt.stream import Stream
from swarmd.network.kernel import links, sysctl
from swarmd.network.kernel.netlink import open_netlink
from swarmd.network.kernel.netns import inside
from swarmd.network.kernel.routing import (
    Route,
    Rule,
    delete_rule,
    put_address,
    put_route,
    put_rule,
)
from swarmd.network.kernel.tun import open_tun
from swarmd.runtime.supervise import Supervisor

log = logging.getLogger(__name__)

ROUTING_TABLE, RULE_PRIORITY = 20_583, 89
PACKETS_PER_TURN = 64  # then others get their turn in the event loop
OPEN_S_MAX = 5.0
PAUSE_S_MIN, PAUSE_S_MAX = 0.1, 3.0
# Nobody ever sees it; but without any address there can't be loose checks of senders.
_ADDRESS = IPv4Interface("169.254.77.9/32")
_EVERYTHING = {4: "0.0.0.0/0", 6: "::/0"}

Dial = Callable[[Peer, Callable[[], asyncio.Protocol]], Awaitable[None]]


class Tunnel:
    """The tunnels of one node. Its methods are called from one event loop.

    Args:
        dial: connects to where a peer takes streams, proves who we are, sees to it that it is the
            peer, and has the connection served by the given protocol. Raises: OSError.
        node: the node's own namespace; None: the one this process lives in.
    """

    def __init__(
        self,
        node_id: NodeId,
        underlay: Underlay,
        *,
        dial: Dial,
        rng: Random,
        node: Path | None = None,
    ) -> None:
        self.on_use: Callable[[], None] = lambda: None  # told when `is_used` has changed
        self.dropped = 0  # packets for peers that could not be sent to
        self.refused = 0  # packets from peers that may not send them
        self._node_id = node_id
        self._underlay = underlay
        self._mtu = underlay.mtu
        self._own = ip_address(underlay.address).packed
        self._dial = dial
        self._rng = rng
        self._node = node
        self._descriptor: int | None = None
        self._is_unrouted = False  # an earlier daemon may have left a rule
        self._ids: frozenset[bytes] = frozenset()
        self._peers: dict[NodeId, Peer] = {}
        self._by_address: dict[bytes, NodeId] = {}
        self._current: dict[NodeId, Stream] = {}
        self._streams: set[Stream] = set()
        self._dialling: dict[NodeId, Supervisor] = {}
        self._changed: dict[NodeId, asyncio.Event] = {}
        self._reasons: dict[NodeId, str] = {}

    @property
    def problems(self) -> tuple[str, ...]:
        """Sentences on peers that can't be reached."""
        silent = (peer for peer in self._peers.values() if peer.node_id not in self._current)
        return tuple(
            f"no encrypted tunnel to node {peer.node_id} at {peer.underlay}"
            + (f": {self._reasons[peer.node_id]}" if peer.node_id in self._reasons else "")
            for peer in silent
        )

    @property
    def is_used(self) -> bool:
        """Whether there are networks that it carries."""
        return bool(self._ids)

    async def use(self, peers: Iterable[Peer], ids: Iterable[int]) -> bool:
        """Carry the packets of these VXLANs to these peers, and nothing else.

        Answers whether somebody had taken away what was there.

        Raises:
            OSError: the interface can't be made.
        """
        was_used = self.is_used
        self._ids = frozenset(number.to_bytes(3, "big") for number in ids)
        if was_used != self.is_used:
            self.on_use()
        before, self._peers = self._peers, {peer.node_id: peer for peer in peers}
        self._by_address = {
            ip_address(peer.underlay).packed: peer.node_id for peer in self._peers.values()
        }
        for node_id, old in before.items():
            if self._peers.get(node_id) != old:
                await self._leave(node_id)
        is_missing = self._descriptor is None or await self._is_gone()
        if self._ids and is_missing:
            self._close_device()
            await self._open()
        elif not self._ids and not self._is_unrouted:
            self._close_device()
            await asyncio.to_thread(self._unroute)
        for node_id, peer in self._peers.items():
            if self._node_id < node_id and node_id not in self._dialling:
                self._changed[node_id] = asyncio.Event()
                supervisor = self._dialling[node_id] = Supervisor("tunnel")
                supervisor.keep(partial(self._keep_stream, peer), name=node_id)
        return was_used and self.is_used and is_missing

    def accept(self, node_id: NodeId) -> asyncio.Protocol:
        """What serves a connection that a node has opened, whose certificate was verified."""
        return self._stream(node_id)

    def renew(self) -> None:
        """Replace all streams that this node has opened: keys or certificates have changed."""
        for changed in self._changed.values():
            changed.set()

    def resize(self, mtu: int) -> None:
        """The underlay takes packets of another size; the next `use` makes the interface anew."""
        if mtu != self._mtu:
            self._mtu = mtu
            self._close_device()

    async def close(self) -> None:
        """End everything of this process; the guard's rules stay."""
        self._ids = frozenset()
        for node_id in tuple(self._peers):
            await self._leave(node_id)
        self._peers, self._by_address = {}, {}
        self._close_device()

    # --- streams

    def _stream(self, node_id: NodeId) -> Stream:
        return Stream(node_id, on_made=self._made, on_packets=self._take, on_lost=self._lost)

    async def _keep_stream(self, peer: Peer) -> None:
        """Have a stream to a peer, and another when it is lost, or to be replaced."""
        changed = self._changed[peer.node_id]
        pause_s = PAUSE_S_MIN
        while True:
            changed.clear()
            try:
                async with asyncio.timeout(OPEN_S_MAX):
                    await self._dial(peer, lambda: self._stream(peer.node_id))
            except (OSError, SSLError, TimeoutError) as error:
                self._reasons[peer.node_id] = str(error) or "it does not answer"
                log.debug("tunnel.not_open peer=%s reason=%s", peer.node_id, error)
                await asyncio.sleep(pause_s * (0.5 + self._rng.random()))
                pause_s = min(2 * pause_s, PAUSE_S_MAX)
                continue
            pause_s = PAUSE_S_MIN
            await changed.wait()
            # Whoever takes no part (any more) closes the connection at once; don't pester it.
            await asyncio.sleep(PAUSE_S_MIN * self._rng.random())

    def _made(self, stream: Stream) -> None:
        self._streams.add(stream)
        if stream.node_id not in self._peers or self._descriptor is None:
            stream.abort()  # this node hasn't heard of the peer yet; it tries again
            return
        old = self._current.get(stream.node_id)
        self._current[stream.node_id] = stream
        self._reasons.pop(stream.node_id, None)
        if old is not None:
            old.finish()
        log.info("tunnel.open peer=%s replaces=%s", stream.node_id, old is not None)

    def _lost(self, stream: Stream) -> None:
        self._streams.discard(stream)
        if self._current.get(stream.node_id) is not stream:
            return
        del self._current[stream.node_id]
        log.info("tunnel.lost peer=%s", stream.node_id)
        changed = self._changed.get(stream.node_id)
        if changed is not None:
            changed.set()

    async def _leave(self, node_id: NodeId) -> None:
        supervisor = self._dialling.pop(node_id, None)
        self._changed.pop(node_id, None)
        self._reasons.pop(node_id, None)
        if supervisor is not None:
            await supervisor.stop()
        self._current.pop(node_id, None)
        for stream in [stream for stream in self._streams if stream.node_id == node_id]:
            stream.abort()

    # --- packets

    def _read(self) -> None:
        descriptor = self._descriptor
        if descriptor is None:
            return
        size = self._mtu
        waiting: dict[bytes, list[bytes]] = {}
        try:
            for _ in range(PACKETS_PER_TURN):
                packet = os.read(descriptor, size)
                waiting.setdefault(target_of(packet), []).append(packet)
        except BlockingIOError:
            pass  # that was all
        except OSError as error:
            log.warning("tunnel.interface_lost reason=%s", error)
            self._close_device()  # the next `use` makes it anew
        for address, packets in waiting.items():
            stream = self._current.get(self._by_address.get(address, NodeId("")))
            if stream is None or not stream.send(packets):
                self.dropped += len(packets)

    def _take(self, stream: Stream, packets: list[memoryview]) -> None:
        peer, descriptor = self._peers.get(stream.node_id), self._descriptor
        if peer is None or descriptor is None:
            return
        source = ip_address(peer.underlay).packed
        for packet in packets:
            if vxlan_between(packet, source, self._own) not in self._ids:
                self.refused += 1
                continue
            try:
                os.write(descriptor, packet)
            except OSError:  # the interface is down, or out of memory: as any network does
                self.dropped += 1

    # --- the interface

    async def _open(self) -> None:
        descriptor = await asyncio.to_thread(open_tun, DEVICE, node=self._node)
        try:
            await asyncio.to_thread(self._route)
        except BaseException:
            os.close(descriptor)
            raise
        self._descriptor = descriptor
        asyncio.get_running_loop().add_reader(descriptor, self._read)

    def _close_device(self) -> None:
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            asyncio.get_running_loop().remove_reader(descriptor)
            os.close(descriptor)

    async def _is_gone(self) -> bool:
        def look() -> bool:
            with open_netlink(self._node) as netlink:
                link = links.links(netlink).get(DEVICE)
                return link is None or not link.is_up

        return await asyncio.to_thread(look)

    def _route(self) -> None:
        """Lead what the guard has marked to the interface."""
        self._is_unrouted = False
        inside(self._node, lambda: sysctl.put(_SETTINGS))
        with open_netlink(self._node) as netlink:
            index = links.index_of(netlink, DEVICE)
            netlink.do(
                links.change(index, up=True, mtu=self._mtu),
                put_address(index, _ADDRESS),
                put_route(
                    Route(_EVERYTHING[self._version], index=index, table=ROUTING_TABLE),
                ),
                put_rule(self._rule),
            )

    def _unroute(self) -> None:
        with open_netlink(self._node) as netlink:
            netlink.do(delete_rule(self._rule), links.delete(DEVICE))
        self._is_unrouted = True

    @property
    def _version(self) -> int:
        return ip_address(self._underlay.address).version

    @property
    def _rule(self) -> Rule:
        return Rule(
            family=self._version,
            mark=MARKS[Mechanism.TUNNEL],
            table=ROUTING_TABLE,
            priority=RULE_PRIORITY,
        )


_SETTINGS = {
    # Senders are reached by the underlay, not by the way their packets come.
    f"ipv4/conf/{DEVICE}/rp_filter": "2",
    f"ipv6/conf/{DEVICE}/addr_gen_mode": "1",
}
