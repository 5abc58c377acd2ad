"""All links of one member: who is dialled, who may call, and where each peer was last seen.

Dialled are the members of the configuration in force, nodes that are about to join, and
strangers: managers that called and are not known here, which happens to a member that lags
behind. Addresses learnt from a hello win over those in the configuration, so a manager that
comes back elsewhere is found again as soon as it calls.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Callable, Iterable
from random import Random
from typing import Protocol

import msgspec

from swarmd.raft.config import RaftConfig
from swarmd.raft.links import Inbound, Outbound, verified_manager
from swarmd.raft.members import Member
from swarmd.raft.messages import (
    PEER,
    PROTOCOL_VERSION,
    REFUSED,
    REMOVED,
    SNAPSHOT,
    FetchSnapshot,
    Goodbye,
    Hello,
    PeerMessage,
    encode_frame,
)
from swarmd.rpc.identity import Identity
from swarmd.rpc.tls import MANAGER_NAME
from swarmd.runtime.supervise import Supervisor
from swarmd.runtime.timeouts import timeout

log = logging.getLogger(__name__)

STRANGERS_MAX = 16
DIAL_SECONDS = 5.0
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.05, 1.0


class Events(Protocol):
    """What the owner of the links wants to know."""

    def link_up(self, raft_id: str) -> None: ...
    def link_down(self, raft_id: str) -> None: ...
    def link_has_room(self, raft_id: str) -> None: ...
    def peer_lost(self, raft_id: str) -> None:
        """The connection the peer sent on has broken."""
        ...

    def message(self, raft_id: str, message: PeerMessage) -> None: ...
    def told_removed(self, text: str) -> None: ...
    def caller_problem(self, sender: Member) -> Goodbye | None:
        """Why the cluster's membership forbids hearing this member, or None."""
        ...

    def snapshot_wanted(self, connection: Inbound, index: int) -> None: ...


class _Peer(msgspec.Struct):
    member: Member
    task: asyncio.Task[None] | None = None
    link: Outbound | None = None
    poke: asyncio.Event = msgspec.field(default_factory=asyncio.Event)


def split_address(address: str) -> tuple[str, int]:
    """Host and port of "host:port"; brackets around an IPv6 host are removed."""
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)


class Peers:
    """Keeps links up. All methods are synchronous except `stop`.

    `events` is a plain attribute, set before anybody is wanted or accepted.
    """

    events: Events

    def __init__(
        self,
        own: Member,
        config: RaftConfig,
        client_ssl: Callable[[], ssl.SSLContext],
        rng: Random,
    ) -> None:
        self.own = own
        self._config, self._client_ssl, self._rng = config, client_ssl, rng
        self._peers: dict[str, _Peer] = {}
        self._inbound: dict[str, Inbound] = {}
        self._anonymous: set[Inbound] = set()
        self._strangers: dict[str, Member] = {}
        self._wanted: dict[str, Member] = {}
        self.seen_at: dict[str, str] = {}
        self._tasks = Supervisor("raft-links")
        self._stopped = False

    def want(self, members: Iterable[Member]) -> None:
        """Keep links to exactly these (and to strangers not among them)."""
        self._wanted = {m.raft_id: m for m in members if m.raft_id != self.own.raft_id}
        for raft_id in self._wanted:
            self._strangers.pop(raft_id, None)
        self._reconcile()

    def send(self, raft_id: str, frame: bytes) -> None:
        """Send a frame if the link is up; else it is lost, like on any broken link."""
        peer = self._peers.get(raft_id)
        if peer is not None and peer.link is not None:
            peer.link.send(frame)

    def has_room(self, raft_id: str) -> bool:
        """Whether the peer takes what it is sent."""
        peer = self._peers.get(raft_id)
        return peer is not None and peer.link is not None and peer.link.has_room

    def is_up(self, raft_id: str) -> bool:
        """Whether the link to this peer is up."""
        peer = self._peers.get(raft_id)
        return peer is not None and peer.link is not None

    def address_of(self, raft_id: str) -> Member | None:
        """The peer with the address it is to be found at."""
        peer = self._peers.get(raft_id)
        return None if peer is None else self.located(peer.member)

    def located(self, member: Member) -> Member:
        """The member with the address where it was found last, else with the one given."""
        if member.raft_id == self.own.raft_id:
            return self.own
        address = self.seen_at.get(member.raft_id, member.address)
        return msgspec.structs.replace(member, address=address)

    def accept(self, identity: Identity) -> Inbound:
        """The protocol for a connection from `identity`, which TLS has authenticated."""
        frame_bytes_max = 2 * self._config.append_batch_bytes + self._config.max_entry_bytes
        inbound = Inbound(
            identity,
            frame_bytes_max=frame_bytes_max,
            admit=self._admit,
            deliver=self._deliver,
            fetch=self._fetch,
            lost=self._lost,
        )
        self._anonymous.add(inbound)
        return inbound

    def dismiss(self, raft_id: str, goodbye: Goodbye) -> None:
        """End the connection the peer sends on and say why."""
        inbound = self._inbound.pop(raft_id, None)
        if inbound is not None:
            inbound.dismiss(goodbye)
        self._strangers.pop(raft_id, None)
        self._reconcile()

    def hello(self, receiver: Member, purpose: str) -> bytes:
        """The first frame of a connection to `receiver`."""
        return encode_frame(Hello(PROTOCOL_VERSION, self.own, receiver.raft_id, purpose))

    async def stop(self) -> None:
        """Close everything."""
        self._stopped = True
        await self._tasks.stop()
        for inbound in (*self._inbound.values(), *self._anonymous):
            inbound.abort()
        self._inbound.clear()
        self._anonymous.clear()

    # Dialling.

    def _reconcile(self) -> None:
        if self._stopped:
            return
        wanted = self._strangers | self._wanted
        for raft_id in [i for i in self._peers if i not in wanted]:
            peer = self._peers.pop(raft_id)
            if peer.task is not None:
                peer.task.cancel()
        for raft_id, member in wanted.items():
            known = self._peers.get(raft_id)
            if known is None:
                peer = self._peers[raft_id] = _Peer(member)
                peer.task = self._tasks.spawn(self._keep_link(peer), name=f"to-{member.node_id}")
            elif known.member != member:
                known.member = member
                known.poke.set()

    async def _keep_link(self, peer: _Peer) -> None:
        pause = _FIRST_PAUSE_S
        while True:
            peer.poke.clear()
            try:
                if await self._one_link(peer):
                    pause = _FIRST_PAUSE_S
            except (OSError, TimeoutError, ValueError) as error:
                log.debug("raft.dial_failed node.id=%s reason=%s", peer.member.node_id, error)
            try:
                async with timeout(pause * (0.5 + self._rng.random())):
                    await peer.poke.wait()
            except TimeoutError:
                pause = min(pause * 2, _LONGEST_PAUSE_S)

    async def _one_link(self, peer: _Peer) -> bool:
        """Dial once and stay until the link breaks; False when it never came up."""
        member = self.located(peer.member)
        host, port = split_address(member.address)
        raft_id = member.raft_id
        link = Outbound(self._config.send_buffer_bytes, lambda: self.events.link_has_room(raft_id))
        try:
            async with timeout(DIAL_SECONDS):
                transport, _ = await asyncio.get_running_loop().create_connection(
                    lambda: link, host, port, ssl=self._client_ssl(), server_hostname=MANAGER_NAME
                )
                problem = verified_manager(transport, member.node_id)
                if problem is not None:
                    log.warning("raft.wrong_peer node.id=%s reason=%s", member.node_id, problem)
                    return False
                link.send(self.hello(member, PEER))
                goodbye = await link.welcomed
            if goodbye is None:
                peer.link = link
                self.events.link_up(raft_id)
                await asyncio.shield(link.closed)
                goodbye = link.goodbye
            if goodbye is not None and goodbye.code == REMOVED:
                self.events.told_removed(goodbye.text)
            return peer.link is not None
        finally:
            link.close()
            if peer.link is not None:
                peer.link = None
                self.events.link_down(raft_id)

    # Being called.

    def _admit(self, identity: Identity, hello: Hello, inbound: Inbound) -> Goodbye | None:
        self._anonymous.discard(inbound)
        sender = hello.sender
        if not identity.is_manager:
            return Goodbye(REFUSED, f"node {identity.node_id} is not a manager")
        if identity.node_id != sender.node_id:
            return Goodbye(REFUSED, f"node {identity.node_id} claims to be node {sender.node_id}")
        if hello.version != PROTOCOL_VERSION:
            return Goodbye(REFUSED, f"raft protocol {hello.version} is not spoken here")
        if hello.receiver != self.own.raft_id:
            return Goodbye(REFUSED, f"raft member {hello.receiver} does not live here")
        if hello.purpose not in (PEER, SNAPSHOT):
            return Goodbye(REFUSED, "a connection is for peers or for snapshots")
        problem = self.events.caller_problem(sender)
        if problem is None and not self._may_be_dialled(sender):
            problem = Goodbye(REFUSED, "too many unknown managers call; try again later")
        if problem is None and hello.purpose == PEER:
            self._replace_inbound(sender, inbound)
        return problem

    def _may_be_dialled(self, sender: Member) -> bool:
        known = sender.raft_id in self._wanted or sender.raft_id in self._strangers
        return known or len(self._strangers) < STRANGERS_MAX

    def _replace_inbound(self, sender: Member, inbound: Inbound) -> None:
        """From now on nothing of an older connection of the same peer is delivered."""
        older = self._inbound.pop(sender.raft_id, None)
        if older is not None:
            older.abort()
        self._inbound[sender.raft_id] = inbound
        self.seen_at[sender.raft_id] = sender.address
        if sender.raft_id not in self._wanted:
            self._strangers[sender.raft_id] = sender
            self._reconcile()
        peer = self._peers.get(sender.raft_id)
        if peer is not None and peer.link is None:
            peer.poke.set()

    def _deliver(self, inbound: Inbound, message: PeerMessage) -> None:
        assert inbound.sender is not None
        if self._inbound.get(inbound.sender.raft_id) is inbound:
            self.events.message(inbound.sender.raft_id, message)

    def _fetch(self, inbound: Inbound, request: FetchSnapshot) -> None:
        self.events.snapshot_wanted(inbound, request.index)

    def _lost(self, inbound: Inbound) -> None:
        self._anonymous.discard(inbound)
        sender = inbound.sender
        if sender is None or self._inbound.get(sender.raft_id) is not inbound:
            return
        del self._inbound[sender.raft_id]
        self.events.peer_lost(sender.raft_id)
        if self._strangers.pop(sender.raft_id, None) is not None:
            self._reconcile()
