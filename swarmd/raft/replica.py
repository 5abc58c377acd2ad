"""One member without its network: core, driver and snapshots put together.

This is what the simulator runs, with virtual time and a forgetful disk; `RaftNode` runs the
same with asyncio and real links. Nothing here blocks or opens a socket.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from swarmd.raft.bridge import Bridge
from swarmd.raft.config import RaftConfig
from swarmd.raft.core import GuardedCore
from swarmd.raft.driver import Driver
from swarmd.raft.errors import Damaged, FatalError
from swarmd.raft.fsm import StateMachine
from swarmd.raft.members import Member, Operation, parse_change
from swarmd.raft.messages import PeerMessage
from swarmd.raft.ports import Loop, Worker
from swarmd.raft.snapshot import SnapshotInfo, restore_from
from swarmd.raft.snapshots import SnapshotStore
from swarmd.raft.storage import Storage

Send = Callable[[str, bytes], None]


class Replica:
    """A member's consensus machinery over an opened state directory.

    Building it restores the state machine from the newest snapshot. The callbacks are plain
    attributes, set before `start`: `on_step` after anything may have changed, `on_step_down`
    the moment leadership is lost, `on_configuration` when another configuration is in force,
    `on_member_removed` when a removal is committed, `on_fatal` when the member has stopped for
    good.
    """

    def __init__(
        self,
        storage: Storage,
        machine: StateMachine,
        config: RaftConfig,
        rng: Random,
        *,
        loop: Loop,
        wal_worker: Worker,
        snapshot_worker: Worker,
        send: Send,
    ) -> None:
        self.storage, self.config, self._machine = storage, config, machine
        self.journal = storage.journal
        self.own: Member = storage.identity.member
        self.snapshots = SnapshotStore(
            storage.disk,
            storage.keys,
            storage.wal,
            machine,
            storage.configurations,
            storage.snapshots,
            writer=snapshot_worker,
            wal_worker=wal_worker,
        )
        newest = self.snapshots.newest
        if newest is not None:
            restore_from(storage.disk, storage.keys, newest.name, machine.restore)
        self.core = GuardedCore(
            self.own.raft_id,
            self.journal,
            storage.configurations,
            Bridge(self.own.raft_id, self.journal, send),
            self.snapshots,
            machine.apply,
            config,
            rng,
            newest is not None,
        )
        self.driver = Driver(self.core, storage.wal, loop, wal_worker, config)
        self.on_step: Callable[[], None] = lambda: None
        self.on_step_down: Callable[[], None] = lambda: None
        self.on_configuration: Callable[[], None] = lambda: None
        self.on_member_removed: Callable[[Member], None] = lambda member: None
        self.on_fatal: Callable[[FatalError], None] = lambda error: None
        self.driver.after_step = self._after_step
        self.driver.on_fatal = lambda error: self.on_fatal(error)
        self.snapshots.on_finished = self.driver.wake
        self.snapshots.on_fatal = lambda error: self.driver.fail(
            FatalError(f"journal files could not be tidied up: {error}")
        )
        self.core.on_step_down = lambda: self.on_step_down()
        self.core.on_configuration = lambda: self.on_configuration()
        self.core.on_applied = self._applied
        self._bytes_at_snapshot = 0

    def fetch_with(self, fetch: Callable[[str, int], None], busy: Callable[[], bool]) -> None:
        """Use `fetch` to get the snapshot of an index from a leader; `busy` while it does so."""
        self.driver.receiver.fetch = fetch
        self.driver.receiver.is_fetching = busy

    @property
    def ready(self) -> bool:
        """Whether this member leads and may act: its term is durable and the past applied."""
        return self.core.ready and self.journal.durable_lsn >= self.journal.hard_lsn

    def start(self) -> None:
        """Begin to take part. Who is alone has nobody to wait for."""
        if self.core.is_member and len(self.core.configuration.members) == 1:
            self.core.campaign_within(0.0)
        self.driver.wake()

    def stop(self) -> None:
        """Take no further part."""
        self.driver.stop()
        self.core.destroy()

    def receive(self, sender: str, message: PeerMessage) -> None:
        """Handle a message from a peer."""
        self.driver.receive(sender, message)

    def link_up(self, raft_id: str) -> None:
        """Messages to this peer get through from now on."""
        self.core.link_up(raft_id)
        if self.core.leading and self.core.configuration.find(raft_id) is not None:
            self.core.replicate(raft_id)

    def link_down(self, raft_id: str) -> None:
        """Messages to this peer are lost from now on."""
        self.core.link_down(raft_id)
        if raft_id in self.core.learners:
            self.core.learner_down(raft_id)

    def link_has_room(self, raft_id: str) -> None:
        """The link takes more again."""
        core = self.core
        if core.leading and core.is_connected(raft_id) and core.lacks_entries(raft_id):
            core.replicate(raft_id)

    def peer_lost(self, raft_id: str) -> None:
        """The peer's own connection broke. If it led, do not wait for the full time-out."""
        core = self.core
        if core.leader_id == raft_id and not self.driver.stopped:
            core.leader_heard = float("-inf")
            core.campaign_within(self.config.lost_link_wait_ns / 1e9)
            self.driver.wake()

    def install(self, info: SnapshotInfo) -> bool:
        """Start over from a snapshot of the leader that is durable here; False if it is outdated.

        Raises:
            FatalError: the snapshot cannot be read back; this member has stopped.
        """
        storage, header = self.storage, info.header
        if header.index <= self.core.commit:
            if header.index != self.snapshots.index:
                storage.disk.remove(info.name)
            self.driver.receiver.fetch_failed()
            return False
        try:
            restore_from(storage.disk, storage.keys, info.name, self._machine.restore)
            self.snapshots.replaced(info)
            self.core.install(header.configuration, header.index)
        except (Damaged, FatalError) as error:
            fatal = FatalError(f"the leader's snapshot could not be installed: {error}")
            self.driver.fail(fatal)
            raise fatal from error
        self._bytes_at_snapshot = self.journal.bytes_appended
        self.driver.receiver.installed(header.index)
        self.driver.wake()
        return True

    def fetch_failed(self) -> None:
        """Ask the leader to begin anew."""
        self.driver.receiver.fetch_failed()

    def _after_step(self) -> None:
        self._consider_snapshot()
        self.on_step()

    def _consider_snapshot(self) -> None:
        since = self.core.applied - max(1, self.snapshots.index)
        grown = self.journal.bytes_appended - self._bytes_at_snapshot
        if self.snapshots.busy or since < 2 or self.core.applied < 3:
            return
        if since >= self.config.snapshot_entries or grown >= self.config.snapshot_bytes:
            self._bytes_at_snapshot = self.journal.bytes_appended
            self.core.compact()
            self.driver.wake()

    def _applied(self, index: int, command: bytes) -> None:
        change = parse_change(command)
        if change is not None and change.operation is Operation.REMOVE:
            self.on_member_removed(change.member)
