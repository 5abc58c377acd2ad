"""`docker.swarmkit.v1.Watch`: committed changes as they happen, resumable from a version.

Every manager serves it from its own replica. A watch is nothing but its place in a ring of the
latest changes, so a slow reader costs no memory; one that lags so far behind that the ring is about
to forget what it hasn't read is cut off, with the version to resume from (docs/design/events.md).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

from swarmd.manager.watch_ring import CHANGES_KEPT_MAX, ChangeRing
from swarmd.manager.watch_selection import Selection, action_of
from swarmd.model.errors import Code, Rejection
from swarmd.model.instant import SECOND, Instant
from swarmd.rpc.call import Call
from swarmd.rpc.convert.objects import object_to_pb
from swarmd.rpc.pb import watch as pb
from swarmd.store.changes import Change, Committed
from swarmd.store.store import Store

WATCH = "docker.swarmkit.v1.Watch"
WATCHES_MAX = 1_000
# Others get their turn after so many objects, as making messages of a large commit takes long.
OBJECTS_PER_TURN = 100


class WatchService:
    """The watches of one manager. Make it before the replica applies anything, so that the ring
    holds the part of the log that is replayed at a start; `close` it when the manager ends."""

    def __init__(self, store: Store, *, changes_max: int = CHANGES_KEPT_MAX) -> None:
        self._store = store
        self._ring = ChangeRing(floor=store.index, changes_max=changes_max)
        self._lag_max = changes_max // 2
        self._bells: dict[asyncio.Event, None] = {}  # one per open watch
        self._closed = False
        self._unsubscribe: Callable[[], None] = store.subscribe(self._observe)

    async def Watch(self, call: Call, request: pb.WatchRequest) -> AsyncIterator[pb.WatchMessage]:
        """A message without events at once, then one for every commit with changes asked for.

        The version of the first one is where the watch begins.

        Raises:
            Rejection: OUT_OF_RANGE when it can't begin where it should, RESOURCE_EXHAUSTED when the
                reader is too slow, UNAVAILABLE when this node is no manager any more.
        """
        if len(self._bells) >= WATCHES_MAX:
            raise Rejection(
                Code.RESOURCE_EXHAUSTED,
                f"{WATCHES_MAX} watches are open on this manager already; end some of them",
            )
        selection = Selection(request.entries)
        position = self._begin(request)
        bell = asyncio.Event()
        self._bells[bell] = None
        try:
            first = pb.WatchMessage()
            first.oldest.index = self._ring.floor
            begins = self._ring.version_before(position)
            first.version.index = max(begins, request.resume_from.index)
            yield first
            async for message in self._messages(request, selection, position, bell):
                yield message
        finally:
            del self._bells[bell]
        raise Rejection(Code.UNAVAILABLE, "this node is no manager any more; watch another one")

    def close(self) -> None:
        """Stop observing and end all watches; safe to call twice."""
        self._closed = True
        self._unsubscribe()
        self._ring_bells()

    def _begin(self, request: pb.WatchRequest) -> int:
        if request.HasField("resume_from"):
            version = request.resume_from.index
            if version < self._ring.floor:
                raise Rejection(
                    Code.OUT_OF_RANGE,
                    f"this manager has forgotten what followed version {version}; the oldest it "
                    f"can resume from is {self._ring.floor}: list the objects, then watch from "
                    "there",
                )
            return self._ring.after_version(version)
        if request.HasField("since"):
            since = request.since.seconds * SECOND + request.since.nanos
            return self._ring.after_time(Instant(since))
        return self._ring.end

    async def _messages(
        self, request: pb.WatchRequest, selection: Selection, position: int, bell: asyncio.Event
    ) -> AsyncIterator[pb.WatchMessage]:
        resume_from = request.resume_from.index if request.HasField("resume_from") else 0
        seen, live = resume_from, False
        while not self._closed:
            bell.clear()
            committed = self._ring.at(position)
            if committed is None and position >= self._ring.end:
                live = True
                await bell.wait()
                continue
            # A reader that begins in the past may be as far behind as it likes, until it has seen
            # everything once.
            if committed is None or (live and self._ring.lag(position) > self._lag_max):
                raise self._too_slow(position, seen)
            position += 1
            seen = committed.index
            if seen <= resume_from:
                continue  # a follower that is still catching up with what the reader knows
            wanted = [change for change in committed.changes if selection.wants(change)]
            if wanted:
                yield await self._message(committed, wanted, old=request.include_old_object)

    def _too_slow(self, position: int, seen: int) -> Rejection:
        return Rejection(
            Code.RESOURCE_EXHAUSTED,
            f"the reader of this watch is too slow: {self._ring.lag(position)} changes are waiting "
            f"for it; resume from version {max(seen, self._ring.floor)}",
        )

    async def _message(
        self, committed: Committed, changes: list[Change], *, old: bool
    ) -> pb.WatchMessage:
        message = pb.WatchMessage()
        message.version.index = committed.index
        message.time.seconds, message.time.nanos = divmod(committed.now, SECOND)
        for number, change in enumerate(changes, start=1):
            _add_event(message, change, old=old)
            if number % OBJECTS_PER_TURN == 0:
                await asyncio.sleep(0)
        return message

    def _observe(self, committed: Committed) -> None:
        if committed.restored:
            self._ring.restart(committed)
        else:
            self._ring.append(committed)
        self._ring_bells()

    def _ring_bells(self) -> None:
        for bell in self._bells:
            bell.set()


def _add_event(message: pb.WatchMessage, change: Change, *, old: bool) -> None:
    """What happened to one object; one that was removed is told as it last was."""
    record = change.new or change.old
    assert record is not None
    event = message.events.add(action=action_of(change), reason=change.reason)
    event.object.CopyFrom(object_to_pb(record))
    if old and change.old is not None and change.new is not None:
        event.old_object.CopyFrom(object_to_pb(change.old))
