"""Encryption by this machine's daemon: VXLAN packets in streams between nodes, sealed.

    VXLAN ─► interface `swcrypt` ─► carrier ═══ stream ═══ its carrier ─► `swcrypt` ─► VXLAN

There is one stream between two nodes, for all their networks. The one with the lower id opens it,
at the other's remote port; certificates say who is there. A stream is replaced before it is ended
when keys or certificates change, so packets under way arrive.

VXLANs of such networks send from a namespace that has nothing but the interface, so there is no
other way for their packets, and no limit to their size but that of IP: the larger they are, the
less each byte costs. Packets are carried by a process of its own (`carrier`), which ends with the
daemon: while that restarts, these networks stand still.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from pathlib import Path
from random import Random
from ssl import SSLError

from swarmd.model.ids import NodeId
from swarmd.network.core.encryption import Peer
from swarmd.network.core.overlay_plan import Underlay
from swarmd.network.crypt import orders, tunnel_space
from swarmd.network.crypt.carrying import Carrying
from swarmd.network.crypt.greeting import Greeting, Refusal
from swarmd.runtime.supervise import Supervisor
from swarmd.runtime.timeouts import timeout

log = logging.getLogger(__name__)

OPEN_S_MAX = 5.0
PAUSE_S_MIN, PAUSE_S_MAX = 0.1, 3.0
RESTART_S = 0.5  # of a carrier that has died

Dial = Callable[[Peer, Callable[[], asyncio.Protocol]], Awaitable[None]]


class Tunnel:
    """The tunnels of one node. Its methods are called from one event loop.

    Args:
        dial: connects to where a peer takes streams, proves who we are, sees to it that it is the
            peer, and has the connection served by the given protocol. Raises: OSError.
        namespace: where the VXLANs send from; made when it is needed, gone when it isn't.
    """

    def __init__(
        self,
        node_id: NodeId,
        underlay: Underlay,
        *,
        dial: Dial,
        rng: Random,
        namespace: Path,
    ) -> None:
        self.on_use: Callable[[], None] = lambda: None  # told when `is_used` has changed
        self.namespace = namespace
        self.dropped = 0  # packets for peers that could not be sent to
        self.refused = 0  # packets from peers that may not send them
        self._node_id = node_id
        self._underlay = underlay
        self._dial = dial
        self._rng = rng
        self._descriptor: int | None = None
        self._carrying: Carrying | None = None
        self._ids: frozenset[bytes] = frozenset()
        self._peers: dict[NodeId, Peer] = {}
        self._number = 0
        self._streams: dict[int, NodeId] = {}
        self._newest: dict[NodeId, int] = {}
        self._current: dict[NodeId, int] = {}  # those that packets go by
        self._dialling: dict[NodeId, Supervisor] = {}
        self._changed: dict[NodeId, asyncio.Event] = {}
        self._reasons: dict[NodeId, str] = {}
        self._mending = Supervisor("tunnel")
        self._lock = asyncio.Lock()

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

    @property
    def carrier_pid(self) -> int | None:
        """The process that carries the packets, if there is one."""
        return self._carrying.pid if self._carrying is not None else None

    async def use(self, peers: Iterable[Peer], ids: Iterable[int]) -> bool:
        """Carry the packets of these VXLANs to these peers, and nothing else.

        Answers whether somebody had taken away what was there.

        Raises:
            OSError: the interface can't be made.
        """
        async with self._lock:
            return await self._use(peers, ids)

    async def _use(self, peers: Iterable[Peer], ids: Iterable[int]) -> bool:
        was_used = self.is_used
        self._ids = frozenset(number.to_bytes(3, "big") for number in ids)
        if was_used != self.is_used:
            self.on_use()
        before, self._peers = self._peers, {peer.node_id: peer for peer in peers}
        for node_id, old in before.items():
            if self._peers.get(node_id) != old:
                await self._leave(node_id)
        is_missing = self._carrying is None or not await asyncio.to_thread(
            tunnel_space.is_there, self.namespace
        )
        if self._ids and is_missing:
            await self._close_device()
            await self._open()
        elif not self._ids:
            await self._close_device()
            await asyncio.to_thread(tunnel_space.remove, self.namespace)
        self._tell_whom()
        for node_id, peer in self._peers.items():
            if self._node_id < node_id and node_id not in self._dialling:
                self._changed[node_id] = asyncio.Event()
                supervisor = self._dialling[node_id] = Supervisor("tunnel")
                supervisor.keep(partial(self._keep_stream, peer), name=node_id)
        return was_used and self.is_used and is_missing

    def accept(self, node_id: NodeId) -> asyncio.Protocol:
        """What serves a connection that a node has opened, whose certificate was verified."""
        if not self._is_awaited(node_id):
            return Refusal()  # this node hasn't heard of the peer yet; it tries again
        return Greeting(node_id, begins=False, on_agreed=self._hand_over)

    def renew(self) -> None:
        """Replace all streams that this node has opened: keys or certificates have changed."""
        for changed in self._changed.values():
            changed.set()

    async def close(self) -> None:
        """End everything of this process; the namespace stays, and nothing leads out of it."""
        await self._mending.stop()
        async with self._lock:
            self._ids = frozenset()
            for node_id in tuple(self._peers):
                await self._leave(node_id)
            self._peers = {}
            await self._close_device()

    # --- streams

    async def _keep_stream(self, peer: Peer) -> None:
        """Have a stream to a peer, and another when it is lost, or to be replaced."""
        changed = self._changed[peer.node_id]
        pause_s = PAUSE_S_MIN
        while True:
            changed.clear()
            greeting = Greeting(peer.node_id, begins=True, on_agreed=self._hand_over)
            try:
                async with timeout(OPEN_S_MAX):
                    await self._dial(peer, lambda greeting=greeting: greeting)  # type: ignore[misc]
                    await greeting.ended.wait()
                if not greeting.is_agreed:
                    # It hasn't heard of the network yet, or not any more; don't pester it.
                    raise OSError("it takes no stream from here yet")
                if peer.node_id not in self._newest:
                    raise OSError("nothing on this node can carry packets yet")
            except (OSError, SSLError, TimeoutError) as error:
                self._reasons[peer.node_id] = str(error) or "it does not answer"
                log.debug("tunnel.not_open peer=%s reason=%s", peer.node_id, error)
                await asyncio.sleep(pause_s * (0.5 + self._rng.random()))
                pause_s = min(2 * pause_s, PAUSE_S_MAX)
                continue
            pause_s = PAUSE_S_MIN
            await changed.wait()
            await asyncio.sleep(PAUSE_S_MIN * self._rng.random())

    def _is_awaited(self, node_id: NodeId) -> bool:
        return node_id in self._peers and self._carrying is not None

    def _hand_over(self, greeting: Greeting, connection: socket.socket) -> None:
        """Give the carrier a connection on which there are keys now."""
        with connection:
            if not self._is_awaited(greeting.node_id) or self._carrying is None:
                return  # the peer has left meanwhile
            self._number += 1
            self._streams[self._number] = greeting.node_id
            self._newest[greeting.node_id] = self._number
            order = orders.Stream(
                number=self._number,
                node_id=greeting.node_id,
                send_key=greeting.send_key,
                receive_key=greeting.receive_key,
                begins=greeting.begins,
            )
            self._carrying.tell(order, connection.fileno())

    def _on_report(self, report: orders.Report) -> None:
        match report:
            case orders.Counted(dropped, refused):
                self.dropped += dropped
                self.refused += refused
            case orders.Ready(number):
                node_id = self._streams[number]
                replaces = node_id in self._current
                self._current[node_id] = number
                self._reasons.pop(node_id, None)
                log.info("tunnel.open peer=%s replaces=%s", node_id, replaces)
            case orders.Lost(number, reason):
                self._lost(number, reason)

    def _lost(self, number: int, reason: str) -> None:
        node_id = self._streams.pop(number)
        if self._current.get(node_id) == number:
            del self._current[node_id]
        if self._newest.get(node_id) != number:
            return
        del self._newest[node_id]
        if reason:
            self._reasons[node_id] = reason
        log.info("tunnel.lost peer=%s reason=%s", node_id, reason)
        changed = self._changed.get(node_id)
        if changed is not None:
            changed.set()

    async def _leave(self, node_id: NodeId) -> None:
        supervisor = self._dialling.pop(node_id, None)
        self._changed.pop(node_id, None)
        self._reasons.pop(node_id, None)
        if supervisor is not None:
            await supervisor.stop()
        if self._carrying is not None:
            self._carrying.tell(orders.End(node_id))

    # --- the interface, and who carries its packets

    async def _open(self) -> None:
        self._descriptor = await asyncio.to_thread(
            tunnel_space.make, self.namespace, self._underlay.address
        )
        self._carrying = Carrying(on_report=self._on_report, on_end=self._on_end)
        self._carrying.tell(orders.Device(), self._descriptor)

    def _tell_whom(self) -> None:
        if self._carrying is not None:
            peers = {str(peer.node_id): peer.underlay for peer in self._peers.values()}
            own = self._underlay.address
            self._carrying.tell(orders.Carry(own, tuple(sorted(self._ids)), peers))

    def _on_end(self) -> None:
        """The carrier has died, and all streams with it."""
        self._carrying = None
        for number in tuple(self._streams):
            self._lost(number, "what carries packets on this node has ended")
        self._mending.spawn(self._open_again(), name="carrier")

    async def _open_again(self) -> None:
        await asyncio.sleep(RESTART_S)
        async with self._lock:
            if self._ids and self._carrying is None:
                await self._close_device()
                try:
                    await self._open()
                except OSError as error:  # the next `use` tries again, and tells of it
                    log.warning("tunnel.not_mended reason=%s", error)
                self._tell_whom()

    async def _close_device(self) -> None:
        carrying, self._carrying = self._carrying, None
        if carrying is not None:
            await carrying.close()
        for number in tuple(self._streams):
            self._lost(number, "")
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)
