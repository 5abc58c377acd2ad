"""When things happen: the order of ticks, syncs and sends that makes group commit safe.

One step lets the core act, sends what may leave and starts writing what it recorded. While a
write is under way input keeps flowing into the core, but a leader does not tick: the core
counts the leader's own entries as stored, and that must be true when it counts. Steps are
driven by events; between them one timer is armed for the core's next deadline.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from swarmd.raft.books import monotonic
from swarmd.raft.config import RaftConfig
from swarmd.raft.core import GuardedCore
from swarmd.raft.errors import FatalError
from swarmd.raft.messages import PeerMessage
from swarmd.raft.ports import Loop, Timer, Worker
from swarmd.raft.receiver import Receiver
from swarmd.raft.wal import Wal

log = logging.getLogger(__name__)

_NOTE_DELAY_S = 1.0
_ROOM_FOR_VOTES = 1 << 18
# A timer this late means that the loop was held up, and that messages wait to be read.
_HELD_UP_S = 0.05


class Driver:
    """Runs one core. `after_step` is called after every step, `on_fatal` at most once."""

    def __init__(
        self,
        core: GuardedCore,
        wal: Wal,
        loop: Loop,
        worker: Worker,
        config: RaftConfig,
    ) -> None:
        self._core, self._journal, self._bridge = core, core.journal, core.bridge
        self._wal, self._loop, self._worker, self._config = wal, loop, worker, config
        self.receiver = Receiver(core)
        self.receiver.disk_is_slow = self._disk_is_slow
        self.receiver.refuses_entries = lambda: self.out_of_room
        self._scheduled = False
        self._timer: Timer | None = None
        self._timer_at = 0.0
        self._catching_up = False
        self._syncing_since: float | None = None
        self._last_notice = 0
        self._notice_timer: Timer | None = None
        self._note_timer: Timer | None = None
        self._note_failing = False
        self.stopped = False
        self.after_step: Callable[[], None] = lambda: None
        self.on_fatal: Callable[[FatalError], None] = lambda error: None

    @property
    def syncing(self) -> bool:
        """Whether a write is under way."""
        return self._syncing_since is not None

    @property
    def out_of_room(self) -> bool:
        """Whether only votes may still be written."""
        return self._wal.low_on_space and self._wal.room < max(
            _ROOM_FOR_VOTES, self._config.segment_bytes // 16
        )

    def wake(self) -> None:
        """Have a step run soon; any number of calls before it runs count as one."""
        if not self._scheduled and not self.stopped:
            self._scheduled = True
            self._loop.call_soon(self._step)

    def receive(self, sender: str, message: PeerMessage) -> None:
        """Take one message from a peer."""
        if self.stopped:
            return
        try:
            self.receiver.receive(sender, message)
        except FatalError as error:
            self.fail(error)
            return
        if self._journal.dirty or self._core.has_work():
            self.wake()

    def stop(self) -> None:
        """Do nothing any more. A write under way still ends in its own time."""
        self.stopped = True
        for timer in (self._timer, self._notice_timer, self._note_timer):
            if timer is not None:
                timer.cancel()
        self._timer = self._notice_timer = self._note_timer = None

    def fail(self, error: FatalError) -> None:
        """Stop for good and say why."""
        if not self.stopped:
            log.error("raft.fatal id=%s reason=%s", self._core.own_id, error)
            self.stop()
            self.on_fatal(error)

    def _held_up(self) -> bool:
        """Whether the loop was held up; what peers said meanwhile is then read before judging.

        Otherwise a member that could not listen for a while would take that for their silence.
        """
        if self._catching_up or monotonic() - self._core.next_deadline() < _HELD_UP_S:
            self._catching_up = False
            return False
        self._catching_up = self._scheduled = True
        if self._core.leading and not self._disk_stalls():
            self._core.heartbeat()
            self._bridge.flush()
        # Sockets are read between two turns of the loop, after what was called soon before.
        self._loop.call_soon(self._step_after_reading)
        return True

    def _step_after_reading(self) -> None:
        self._loop.call_soon(self._step)

    def _step(self) -> None:
        self._scheduled = False
        if self.stopped or self._held_up():
            return
        core, journal = self._core, self._journal
        try:
            if not core.leading or journal.durable_lsn == journal.lsn:
                core.tick()
            elif core.heartbeat_due() and not self._disk_stalls():
                core.heartbeat()
        except FatalError as error:
            self.fail(error)
            return
        self._bridge.flush()
        if journal.dirty and not self.syncing:
            self._start_sync()
        self.after_step()
        if self.stopped:
            return
        if core.commit > core.applied:
            self.wake()
        self._notice_commit()
        self._arm()

    def _start_sync(self) -> None:
        pending = self._journal.take_pending()
        self._syncing_since = monotonic()

        def write() -> None:
            self._wal.write(
                pending.payload, pending.preamble, pending.max_index, was_reset=pending.was_reset
            )

        def done(error: BaseException | None) -> None:
            self._syncing_since = None
            if self.stopped:
                return
            if error is not None:
                self.fail(FatalError(f"the journal could not be written: {error}"))
                return
            self._journal.mark_durable(pending.lsn)
            self._plan_note()
            self._step()

        self._worker.submit(write, done)

    def _disk_is_slow(self) -> bool:
        since = self._syncing_since
        return since is not None and monotonic() - since > self._config.heartbeat_ns / 1e9

    def _disk_stalls(self) -> bool:
        since = self._syncing_since
        return since is not None and monotonic() - since > self._config.disk_stall_ns / 1e9

    def _arm(self) -> None:
        now = monotonic()
        deadline = self._core.next_deadline() + 0.001
        if self._core.leading and self._disk_stalls():
            deadline = now + self._config.heartbeat_ns / 1e9
        if self._timer is not None:
            if self._timer_at <= deadline:
                return
            self._timer.cancel()
        self._timer_at = deadline
        self._timer = self._loop.call_later(max(0.0005, deadline - now), self._timer_fired)

    def _timer_fired(self) -> None:
        self._timer = None
        if self.stopped:
            return
        if self._core.leading or self._core.next_deadline() < monotonic():
            self.wake()
        else:
            self._arm()

    def _notice_commit(self) -> None:
        """Followers learn of a commit with the next entry, or shortly by a heartbeat."""
        core = self._core
        if not core.leading or core.commit <= self._last_notice or self._notice_timer is not None:
            return
        self._notice_timer = self._loop.call_later(
            self._config.commit_notice_ns / 1e9, self._send_notice
        )

    def _send_notice(self) -> None:
        self._notice_timer = None
        core = self._core
        if self.stopped or not core.leading or core.commit <= self._last_notice:
            return
        self._last_notice = core.commit
        if core.journal.last_index == core.commit:
            core.heartbeat()
            self._bridge.flush()

    def _plan_note(self) -> None:
        if self._note_timer is None:
            self._note_timer = self._loop.call_later(_NOTE_DELAY_S, self._note)

    def _note(self) -> None:
        self._note_timer = None
        if not self.stopped:
            self._worker.submit(self._wal.note_durable, self._noted)

    def _noted(self, error: BaseException | None) -> None:
        # The note only sharpens the diagnosis of later damage; a full disk may refuse it.
        if error is not None and not self._note_failing:
            log.warning("raft.note_failed reason=%s", error)
        self._note_failing = error is not None
