"""Taking, keeping and offering snapshots: the core's serializer, replaced.

The core asks for a snapshot in the tick after `compact`; the state machine is frozen there and
then and written in a worker thread. Once the file is durable the core shortens its log, and
journal files that only hold what the older of the two kept snapshots covers are deleted.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from pysyncobj.config import SERIALIZER_STATE
from pysyncobj.node import Node

from swarmd.raft.fsm import StateMachine
from swarmd.raft.keys import KeyRing
from swarmd.raft.members import ConfigurationLog
from swarmd.raft.ports import Disk, Worker
from swarmd.raft.snapshot import SnapshotHeader, SnapshotInfo, write_snapshot
from swarmd.raft.wal import Wal

log = logging.getLogger(__name__)

KEPT = 2


class SnapshotStore:
    """The member's snapshots, under the names the core calls its serializer by.

    `writer` runs beside the journal's worker, so that a large snapshot delays no commit.
    """

    def __init__(
        self,
        disk: Disk,
        keys: KeyRing,
        wal: Wal,
        machine: StateMachine,
        configurations: ConfigurationLog,
        snapshots: list[SnapshotInfo],
        *,
        writer: Worker,
        wal_worker: Worker,
    ) -> None:
        self._disk, self._keys, self._wal, self._machine = disk, keys, wal, machine
        self._configurations, self._snapshots = configurations, snapshots
        self._writer, self._wal_worker = writer, wal_worker
        self._state = SERIALIZER_STATE.NOT_SERIALIZING
        self._serial_id = 0
        self._generation = 0
        self.on_finished: Callable[[], None] = lambda: None
        self.on_fatal: Callable[[BaseException], None] = lambda error: None

    # What the core calls.

    def serialize(self, data: tuple[Any, ...], id_: int) -> None:
        """Freeze the state machine and start writing; `data` holds the last two entries."""
        _, last, previous, _ = data
        header = SnapshotHeader(previous, last, self._configurations.at(last[1]))
        frozen = self._machine.freeze()
        self._state, self._serial_id = SERIALIZER_STATE.SERIALIZING, id_
        self._generation += 1
        generation = self._generation
        written: list[SnapshotInfo] = []

        def write() -> None:
            written.append(write_snapshot(self._disk, self._keys, header, frozen.chunks()))

        def done(error: BaseException | None) -> None:
            if generation != self._generation:
                # A newer snapshot from the leader has taken this one's place meanwhile.
                if written:
                    self._disk.remove(written[0].name)
                return
            if error is not None:
                log.error("raft.snapshot_failed log.index=%s reason=%s", header.index, error)
                self._state = SERIALIZER_STATE.FAILED
            else:
                log.info("raft.snapshot_taken log.index=%s size=%s", header.index, written[0].size)
                self._state = SERIALIZER_STATE.SUCCESS
                self._snapshots.append(written[0])
                self._retain()
            self.on_finished()

        self._writer.submit(write, done)

    def checkSerializing(self) -> tuple[int, int]:
        """How far the snapshot under way is; success and failure are told once."""
        state = self._state
        if state in (SERIALIZER_STATE.SUCCESS, SERIALIZER_STATE.FAILED):
            self._state = SERIALIZER_STATE.NOT_SERIALIZING
        return state, self._serial_id

    def deserialize(self) -> tuple[None, Any, Any, list[Node]]:
        """The last two entries; the state machine has its content already."""
        header = self._snapshots[-1].header
        return None, header.last, header.previous, []

    def cancelTransmisstion(self, node: object) -> None:
        """Snapshots travel on streams of their own."""

    # What this package calls.

    @property
    def busy(self) -> bool:
        """Whether a snapshot is being written."""
        return bool(self._state == SERIALIZER_STATE.SERIALIZING)

    @property
    def index(self) -> int:
        """The index of the newest snapshot; 0 when there is none."""
        return self._snapshots[-1].header.index if self._snapshots else 0

    @property
    def newest(self) -> SnapshotInfo | None:
        """The newest durable snapshot."""
        return self._snapshots[-1] if self._snapshots else None

    def offer(self) -> tuple[int, int]:
        """Index and term of the newest snapshot."""
        header = self._snapshots[-1].header
        return header.index, header.term

    def replaced(self, info: SnapshotInfo) -> None:
        """A snapshot of the leader is durable here and makes the older ones useless."""
        self._generation += 1
        self._state = SERIALIZER_STATE.NOT_SERIALIZING
        obsolete = [s.name for s in self._snapshots if s.name != info.name]
        self._snapshots[:] = [info]
        self._after_retention(obsolete, 0)

    def _retain(self) -> None:
        obsolete = [s.name for s in self._snapshots[:-KEPT]]
        del self._snapshots[:-KEPT]
        self._after_retention(obsolete, self._snapshots[0].header.index - 1)

    def _after_retention(self, obsolete: list[str], keep_from: int) -> None:
        snapshot_keys = {s.key_id for s in self._snapshots}

        def tidy() -> None:
            for name in obsolete:
                self._disk.remove(name)
            if keep_from:
                self._wal.release(keep_from)
            self._keys.forget(self._wal.key_ids() | snapshot_keys)

        def done(error: BaseException | None) -> None:
            if error is not None:
                self.on_fatal(error)

        self._wal_worker.submit(tidy, done)
