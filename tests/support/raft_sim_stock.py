"""The library's core as it comes, in the same kind of world: proof that the checks can fail.

Nothing of ours guards it here. Journal and dump are the library's own files, on a disk that
loses nothing; only clock and wire are simulated.
"""

from __future__ import annotations

import heapq
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

import pysyncobj.syncobj as library
from pysyncobj.journal import createJournal
from pysyncobj.node import Node
from pysyncobj.syncobj import SyncObj, SyncObjConf, replicated
from pysyncobj.transport import Transport

from tests.support.raft_sim_world import Violation

_TICK = 0.02


class _Wire(Transport):  # type: ignore[misc]
    def __init__(self, world: StockWorld, name: str) -> None:
        super().__init__(None, Node(name), [])
        self.world, self.name = world, name

    @property
    def ready(self) -> bool:
        return True

    def addNode(self, node: Any) -> None:
        """Everybody is linked."""

    def dropNode(self, node: Any) -> None:
        """Everybody is linked."""

    def destroy(self) -> None:
        """Nothing to close."""

    def send(self, node: Any, message: Any) -> bool:
        return self.world.send(self.name, node.id, message)

    def up(self, peer: str) -> None:
        self._onNodeConnected(Node(peer))

    def down(self, peer: str) -> None:
        self._onNodeDisconnected(Node(peer))

    def arrive(self, peer: str, message: Any) -> None:
        self._onMessageReceived(Node(peer), message)


class StockMember(SyncObj):  # type: ignore[misc]
    """An ordinary user of the library: a replicated list."""

    def __init__(self, name: str, others: list[str], conf: Any, wire: _Wire) -> None:
        super().__init__(Node(name), [Node(o) for o in others], conf=conf, transport=wire)
        self.log: list[int] = []

    @replicated
    def put(self, value: int) -> int:
        self.log.append(value)
        return value


class StockWorld:
    """Three such members under crashes and isolation. `run` raises `Violation` when it shows."""

    def __init__(self, seed: int, directory: Path) -> None:
        self.rng = Random(seed)
        self.now, self.directory = 1000.0, directory
        self.names = ["a", "b", "c"]
        self.members: dict[str, StockMember | None] = dict.fromkeys(self.names)
        self.wires: dict[str, _Wire] = {}
        self.isolated: set[str] = set()
        self.acked: set[int] = set()
        self.sent = 0
        self._queue: list[tuple[float, int, str, str, int, Any]] = []
        self._serial = 0
        self._epoch: dict[tuple[str, str], int] = {}
        self._arrival: dict[tuple[str, str], float] = {}

    def monotonic(self) -> float:
        self.now += 1e-7
        return self.now

    def run(self, rounds: int) -> None:
        before = library.monotonicTime, library.random, library.createJournal
        library.monotonicTime = self.monotonic
        library.random = _Chance(self.rng)
        library.createJournal = createJournal
        try:
            for name in self.names:
                self._start(name)
            for _ in range(rounds):
                self._round()
            self.isolated.clear()
            for name in self.names:
                if self.members[name] is None:
                    self._start(name)
            self._relink()
            self._pass(15.0)
            self._check()
        finally:
            for name in self.names:
                self._kill(name)
            library.monotonicTime, library.random, library.createJournal = before

    def send(self, sender: str, receiver: str, message: Any) -> bool:
        if not self._linked(sender, receiver):
            return False
        self._serial += 1
        # A link takes a while for each message, so a dump in pieces arrives over several ticks.
        pair = (sender, receiver)
        at = self._arrival[pair] = max(self.now + 0.005, self._arrival.get(pair, 0.0) + 0.004)
        epoch = self._epoch.get(pair, 0)
        heapq.heappush(self._queue, (at, self._serial, sender, receiver, epoch, message))
        return True

    def _linked(self, one: str, other: str) -> bool:
        alive = self.members[one] is not None and self.members[other] is not None
        return alive and not {one, other} & self.isolated

    def _start(self, name: str) -> None:
        conf = SyncObjConf(
            autoTick=False,
            appendEntriesPeriod=0.1,
            raftMinTimeout=0.5,
            raftMaxTimeout=1.0,
            leaderFallbackTimeout=1.5,
            journalFile=str(self.directory / f"{name}.journal"),
            fullDumpFile=str(self.directory / f"{name}.dump"),
            logCompactionMinEntries=20,
            logCompactionBatchSize=64,
            useFork=False,
            commandsWaitLeader=False,
        )
        wire = self.wires[name] = _Wire(self, name)
        others = [other for other in self.names if other != name]
        self.members[name] = StockMember(name, others, conf, wire)
        self._relink()

    def _kill(self, name: str) -> None:
        member = self.members[name]
        if member is not None:
            # Only closes the files; what the library wrote is in the page cache either way.
            member.destroy()
            unfinished = member._SyncObj__serializer._Serializer__incomingTransmissionFile
            if unfinished is not None:
                unfinished.close()
            self.members[name] = None

    def _relink(self) -> None:
        for one in self.names:
            for other in self.names:
                if one != other and self.members[one] is not None:
                    self._epoch[one, other] = self._epoch.get((one, other), 0) + 1
                    self.wires[one].down(other)
                    if self._linked(one, other):
                        self.wires[one].up(other)

    def _round(self) -> None:
        rng = self.rng
        for _ in range(rng.randrange(0, 8)):
            self._write()
        self._pass(rng.uniform(0.05, 0.3))
        chance = rng.random()
        name = rng.choice(self.names)
        if chance < 0.1 and self.members[name] is not None:
            # Dead at any moment: also between the dump and the compaction of the journal.
            self._kill(name)
            self._relink()
        elif chance < 0.18:
            self.isolated.add(name)
            self._relink()
        elif chance < 0.26:
            self.isolated.clear()
            for down in self.names:
                if self.members[down] is None:
                    self._start(down)
            self._relink()

    def _write(self) -> None:
        leaders = [m for m in self.members.values() if m is not None and m._isLeader()]
        if leaders:
            self.sent += 1
            value = self.sent

            def done(result: Any, reason: int) -> None:
                if reason == 0:
                    self.acked.add(value)

            self.rng.choice(leaders).put(value, callback=done)

    def _pass(self, seconds: float) -> None:
        end = self.now + seconds
        while self.now < end:
            self.now += _TICK
            while self._queue and self._queue[0][0] <= self.now:
                _, _, sender, receiver, epoch, message = heapq.heappop(self._queue)
                if epoch == self._epoch.get((sender, receiver)) and self._linked(sender, receiver):
                    self.wires[receiver].arrive(sender, message)
            for member in self.members.values():
                if member is not None:
                    member.doTick(0.0)
            self._check_prefixes()

    def _check_prefixes(self) -> None:
        logs = sorted((m.log for m in self.members.values() if m is not None), key=len)
        for shorter, longer in pairwise(logs):
            if longer[: len(shorter)] != shorter:
                raise Violation("members applied different entries")

    def _check(self) -> None:
        for name, member in self.members.items():
            assert member is not None
            lost = self.acked - set(member.log)
            if lost:
                raise Violation(f"{name} lacks {len(lost)} acknowledged writes")


class _Chance:
    def __init__(self, rng: Random) -> None:
        self.random = rng.random
