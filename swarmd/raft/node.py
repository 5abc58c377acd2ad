"""One Raft member of the cluster: what the rest of swarmd sees of this package.

Its state directory was made by `founding.bootstrap` or `founding.prepare_join`, or is as it was
left; `start` brings the member up. It belongs to the event loop it was started on.
docs/design/raft.md says what is durable when and what the exceptions promise.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from random import Random

import msgspec

from swarmd.raft import storage
from swarmd.raft.chores import AddressBook, watch_space
from swarmd.raft.config import RaftConfig
from swarmd.raft.disk import RealDisk
from swarmd.raft.errors import FatalError, NotLeader, StateError
from swarmd.raft.exchange import SnapshotExchange
from swarmd.raft.fsm import StateMachine
from swarmd.raft.leadership import LeadershipBoard
from swarmd.raft.members import Member
from swarmd.raft.membership import Membership
from swarmd.raft.peers import Peers
from swarmd.raft.ports import Disk
from swarmd.raft.proposer import Proposer
from swarmd.raft.reads import Reads
from swarmd.raft.relations import Relations
from swarmd.raft.replica import Replica
from swarmd.raft.status import Leadership, RaftStatus, peers_seen
from swarmd.raft.storage import Storage
from swarmd.raft.threads import StoppableWorker, ThreadWorker
from swarmd.rpc.identity import Identity
from swarmd.runtime.supervise import Supervisor

log = logging.getLogger(__name__)


class RaftNode:
    """A running member; `swarmd.raft.founding` says how its state comes to be.

    Args:
        directory: the state directory, for this member alone.
        machine: the replicated state machine; every call to it comes from the loop.
        client_ssl: makes the context for one dialled connection, so renewed certificates and
            roots are used at once; its ALPN must be `swarmd-raft`.
        kek: the key-encryption key, or None when it is kept beside the state.
        address: where this member is to be found now; None keeps the stored address.
        on_leadership: told of every change, on the loop; must not block.
        on_fatal: told once when the member stops because it cannot keep its promises.
        disk: another place than `directory` for the files, for tests and simulations.
        make_worker: makes a worker for blocking calls, given its name.
    """

    def __init__(
        self,
        directory: Path,
        machine: StateMachine,
        *,
        client_ssl: Callable[[], ssl.SSLContext],
        rng: Random,
        config: RaftConfig | None = None,
        kek: bytes | None = None,
        address: str | None = None,
        on_leadership: Callable[[Leadership], None] | None = None,
        on_fatal: Callable[[str], None] | None = None,
        disk: Disk | None = None,
        make_worker: Callable[[str], StoppableWorker] = ThreadWorker,
    ) -> None:
        self.config = config or RaftConfig()
        self._directory, self._machine, self._client_ssl = directory, machine, client_ssl
        self._rng, self._kek, self._address = rng, kek, address
        self._on_fatal, self._given_disk = on_fatal, disk
        self._make_worker = make_worker
        self.removed = asyncio.Event()
        self.fatal: FatalError | None = None
        self._tasks = Supervisor("raft")
        self._board = LeadershipBoard(Leadership(0, None, False))
        if on_leadership is not None:
            self._board.callbacks.append(on_leadership)
        self._replica: Replica | None = None
        self._patience = 1.0

    async def start(self) -> None:
        """Open the state, restore the state machine and begin to take part.

        Raises:
            StateError: the state cannot be used; its subclasses say why.
        """
        assert self._replica is None, "a node is started once"
        disk = self._given_disk or RealDisk(self._directory)
        try:
            opened = await asyncio.to_thread(storage.resume, disk, self._kek, self.config)
        except OSError as error:
            raise StateError(
                f"the raft state in {self._directory} cannot be opened: {error.strerror or error}"
            ) from None
        except StateError as error:
            raise type(error)(f"the raft state in {self._directory}: {error}") from None
        self._wal_worker = self._make_worker("raft-journal")
        self._snapshot_worker = self._make_worker("raft-snapshot")
        self._replica = replica = self._build(opened)
        self._core = replica.core
        self._core.set_patience(self._patience)
        self._proposer = Proposer(self._core, self.config, replica.driver.wake)
        self._proposer.low_on_space = lambda: opened.wal.low_on_space
        self._reads = Reads(self._core, asyncio.get_running_loop().call_soon)
        relations = self._relate(replica)
        self._membership = Membership(
            self._core, self._proposer, self.config, lambda: self.leader, relations.learn
        )
        self._addresses = AddressBook(self._core, self._peers, self._membership, self._tasks)
        replica.on_step = self._stepped
        replica.on_step_down = lambda: self._leadership_lost("the leadership was lost")
        replica.on_fatal = self._failed
        relations.configuration_changed()
        self._tasks.keep(self._watch_space, name="space")
        replica.start()

    def _build(self, opened: Storage) -> Replica:
        member = opened.identity.member
        if self._address is not None:
            member = msgspec.structs.replace(member, address=self._address)
        self._peers = Peers(member, self.config, self._client_ssl, self._rng)
        return Replica(
            opened,
            self._machine,
            self.config,
            self._rng,
            loop=asyncio.get_running_loop(),
            wal_worker=self._wal_worker,
            snapshot_worker=self._snapshot_worker,
            send=self._peers.send,
        )

    def _relate(self, replica: Replica) -> Relations:
        """Have the links and the replica hear of each other."""
        relations = Relations(replica, self._peers, lambda: self.fatal is not None)
        exchange = SnapshotExchange(replica, self._peers, self._client_ssl, self._tasks)
        relations.on_link_up = self._record_addresses
        relations.on_removed = self._told_removed
        relations.on_snapshot_wanted = exchange.serve
        self._peers.events = relations
        replica.fetch_with(exchange.fetch, lambda: exchange.fetching)
        replica.on_configuration = relations.configuration_changed
        replica.on_member_removed = relations.member_removed
        replica.core.has_room = self._peers.has_room
        return relations

    async def stop(self) -> None:
        """Leave quietly; the state stays as it is. Waiting calls end with `OutcomeUnknown`."""
        replica = self._replica
        if replica is None:
            return
        replica.stop()
        self._leadership_lost("this manager is stopping")
        self._board.publish(Leadership(self._core.term, None, False))
        self._board.close()
        await self._tasks.stop()
        await self._peers.stop()
        await self._snapshot_worker.stop()
        await self._wal_worker.stop()
        replica.storage.wal.close()

    # What the member knows.

    @property
    def member(self) -> Member:
        """This member, with its present address."""
        return self._peers.own

    @property
    def raft_id(self) -> str:
        """This member's raft id."""
        return self._peers.own.raft_id

    @property
    def members(self) -> tuple[Member, ...]:
        """The voting members of the configuration in force."""
        return tuple(self._peers.located(m) for m in self._core.configuration.members)

    @property
    def leader(self) -> Member | None:
        """The leader of the current term as far as it is known here."""
        leader_id = self._core.leader_id
        if leader_id is None or self.fatal is not None:
            return None
        if leader_id == self.raft_id:
            return self.member
        known = self._core.configuration.find(leader_id)
        return self._peers.address_of(leader_id) if known is None else self._peers.located(known)

    @property
    def is_leader(self) -> bool:
        """Whether this member leads and has applied everything committed before its term."""
        return self._replica is not None and self.fatal is None and self._replica.ready

    @property
    def term(self) -> int:
        """The current term: the fencing token for whatever the leader does outside the store."""
        return self._core.term

    @property
    def applied_index(self) -> int:
        """The last log index applied here."""
        return self._core.applied

    def status(self) -> RaftStatus:
        """Everything worth showing."""
        core, replica = self._core, self._replica
        assert replica is not None
        reachable = self._membership.reachable() if core.leading else None
        wal = replica.storage.wal
        return RaftStatus(
            member=self.member,
            term=core.term,
            leader=self.leader,
            ready=self.is_leader,
            commit_index=core.commit,
            applied_index=core.applied,
            last_index=core.journal.last_index,
            snapshot_index=replica.snapshots.index,
            journal_files=wal.segments,
            journal_syncs=wal.syncs,
            waiting=self._proposer.waiting,
            low_on_space=wal.low_on_space,
            peers=peers_seen(self.members, self._peers, core, reachable),
        )

    @property
    def leadership(self) -> Leadership:
        """What `watch_leadership` tells first."""
        return self._board.current

    def watch_leadership(self) -> AsyncIterator[Leadership]:
        """The leadership now and after every change; ends when the node stops."""
        return self._board.watch()

    # What the member does.

    async def propose(self, data: bytes) -> object:
        """Commit `data` and return what the state machine answered on this member.

        Cancelling gives up waiting, not the write.

        Raises:
            NotLeader, Rejected, TooLarge, Busy, StorageFull: it did not happen.
            OutcomeUnknown: it may have happened.
        """
        self._require_leader()
        return await self._proposer.data(data)

    async def read_barrier(self) -> int:
        """Wait until reads from the state machine see every write completed before this call.

        Returns the applied index. Only the leader can tell.

        Raises:
            NotLeader: ask the leader.
            OutcomeUnknown: leadership was lost meanwhile; read again elsewhere.
        """
        if not self.is_leader:
            raise NotLeader(self._other_leader())
        return await self._reads.barrier()

    async def add_member(self, member: Member) -> None:
        """See `Membership.add`."""
        await self._membership.add(member)

    async def remove_member(self, raft_id: str) -> None:
        """See `Membership.remove`."""
        await self._membership.remove(raft_id)

    async def update_address(self, raft_id: str, address: str) -> None:
        """See `Membership.move`."""
        await self._membership.move(raft_id, address)

    def set_patience(self, factor: float) -> None:
        """Bear silence of the leader, and of followers, `factor` times as long as configured."""
        if factor != self._patience:
            self._patience = factor
            if self._replica is not None:
                self._replica.core.set_patience(factor)

    async def transfer_leadership(self, to: str | None = None) -> None:
        """See `Membership.transfer`."""
        await self._membership.transfer(to)

    def removal_blocker(self, raft_id: str) -> str | None:
        """Why removing this member would be unsafe now, as a sentence; None when it is safe."""
        return self._membership.removal_blocker(raft_id)

    def accept(self, identity: Identity) -> asyncio.Protocol:
        """The protocol for an incoming connection with ALPN `swarmd-raft`.

        TLS must have verified the certificate `identity` was read from. Whether its node may
        speak here is decided by the hello.
        """
        return self._peers.accept(identity)

    async def rotate_kek(self, kek: bytes | None) -> None:
        """Lock the state with another key-encryption key; None keeps the key beside it."""
        keys = self._opened.storage.keys
        await self._wal_worker.run(lambda: keys.rotate_kek(kek))

    async def rotate_dek(self) -> None:
        """Encrypt everything written from now on with a new data key."""
        opened = self._opened.storage
        preamble = opened.journal.hard_state()

        def rotate() -> None:
            opened.keys.rotate_dek()
            opened.wal.rotate_key(preamble)

        await self._wal_worker.run(rotate)

    # Inside.

    @property
    def _opened(self) -> Replica:
        assert self._replica is not None, "the node has not been started"
        return self._replica

    def _other_leader(self) -> Member | None:
        leader = self.leader
        return None if leader is None or leader.raft_id == self.raft_id else leader

    def _require_leader(self) -> None:
        if self.fatal is not None or self._opened.driver.stopped or not self._core.leading:
            raise NotLeader(self._other_leader())

    def _stepped(self) -> None:
        self._reads.advance()
        ready = self.is_leader
        leader = self.leader
        if leader is not None and leader.raft_id == self.raft_id and not ready:
            leader = None
        before = self._board.current.ready
        self._board.publish(Leadership(self._core.term, leader, ready))
        if ready and not before:
            self._record_addresses()

    def _leadership_lost(self, reason: str) -> None:
        self._proposer.leadership_lost(reason)
        self._reads.leadership_lost(reason)

    def _told_removed(self, text: str) -> None:
        if not self.removed.is_set():
            log.warning("raft.removed id=%s reason=%s", self.raft_id, text)
            self.removed.set()

    def _failed(self, error: FatalError) -> None:
        self.fatal = error
        self._leadership_lost(f"this manager has stopped ({error})")
        self._board.publish(Leadership(self._core.term, None, False))
        self._tasks.spawn(self._peers.stop(), name="close-links")
        if self._on_fatal is not None:
            self._on_fatal(str(error))

    def _record_addresses(self) -> None:
        """The leader writes down where members have been found, itself included."""
        if self.is_leader:
            self._addresses.record()

    async def _watch_space(self) -> None:
        await watch_space(
            self._opened.storage.wal,
            self._wal_worker,
            self._membership,
            stopped=lambda: self.fatal is not None,
            leads_others=lambda: self.is_leader and len(self.members) > 1,
        )
