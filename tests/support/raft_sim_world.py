"""A cluster of real Raft members under virtual time, faults from a seed, and what must hold.

Everything but clock, wire, disk and worker is the shipped code: core, receiver, driver, journal,
write-ahead log with its encryption, snapshots. Every message goes through its wire format.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from random import Random

from swarmd.raft import storage
from swarmd.raft.config import RaftConfig
from swarmd.raft.core import DATA, DONE
from swarmd.raft.errors import FatalError
from swarmd.raft.members import Change, Member, Operation, encode_change
from swarmd.raft.messages import FrameReader, decode_peer
from swarmd.raft.replica import Replica
from swarmd.raft.snapshot import SnapshotReader, write_snapshot
from swarmd.sim.disk import SimDisk
from tests.support.raft_sim_loop import HostLoop, SimLoop, SimWorker


class Violation(AssertionError):
    """Something happened that must never happen."""


class _Frozen:
    def __init__(self, items: list[tuple[int, bytes]]) -> None:
        self._items = items

    def chunks(self) -> Iterator[bytes]:
        for index, data in self._items:
            yield index.to_bytes(8, "big") + data


class CheckedMachine:
    """Keeps (index, data) pairs and compares each with what others applied at that index."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.items: list[tuple[int, bytes]] = []

    def apply(self, index: int, data: bytes) -> object:
        if self.items and index <= self.items[-1][0]:
            raise Violation(f"index {index} applied after {self.items[-1][0]}")
        agreed = self._world.applied.setdefault(index, data)
        if agreed != data:
            raise Violation(f"index {index}: {data!r} here, {agreed!r} elsewhere")
        self.items.append((index, data))
        return index

    def freeze(self) -> _Frozen:
        return _Frozen(list(self.items))

    def restore(self, index: int, chunks: Iterable[bytes]) -> None:
        self.items = [(int.from_bytes(c[:8], "big"), c[8:]) for c in chunks]


class Host:
    """A machine: its disk survives crashes, the rest does not."""

    def __init__(self, world: World, member: Member) -> None:
        self.world, self.member = world, member
        self.disk = SimDisk()
        self.replica: Replica | None = None
        self.machine = CheckedMachine(world)
        self.loop = HostLoop(world.loop)
        self.removed = False

    @property
    def alive(self) -> bool:
        return self.replica is not None

    def start(self) -> None:
        world = self.world
        opened = storage.resume(self.disk, None, world.config)
        self.loop = HostLoop(world.loop)
        self.machine = CheckedMachine(world)
        rng = Random(world.rng.random())
        self.workers = [SimWorker(self.loop, rng, world.disk_latency) for _ in range(2)]
        replica = self.replica = Replica(
            opened,
            self.machine,
            world.config,
            rng,
            loop=self.loop,
            wal_worker=self.workers[0],
            snapshot_worker=self.workers[1],
            send=lambda to, frame: world.send(self.member.raft_id, to, frame),
        )
        replica.fetch_with(self._fetch, lambda: self._fetching)
        replica.on_fatal = self._fatal
        replica.on_member_removed = self._removed
        replica.on_step_down = lambda: None
        self._fetching = False
        replica.start()

    def crash(self, *, power: bool) -> None:
        assert self.replica is not None
        self.loop.alive = False
        for worker in self.workers:
            worker.crash(self.disk)
        if power:
            self.disk.lose_power(self.world.rng)
        self.replica = None
        self.world.links_of(self.member.raft_id, up=False)

    def _fatal(self, error: FatalError) -> None:
        raise Violation(f"{self.member.raft_id} stopped: {error}")

    def _removed(self, member: Member) -> None:
        if member.raft_id == self.member.raft_id:
            self.removed = True

    def _fetch(self, leader_id: str, index: int) -> None:
        if self._fetching:
            return
        self._fetching = True
        replica = self.replica
        self.loop.call_later(
            self.world.rng.uniform(0.01, 0.4), lambda: self._fetched(replica, leader_id, index)
        )

    def _fetched(self, replica: Replica | None, leader_id: str, index: int) -> None:
        self._fetching = False
        assert replica is not None
        leader = self.world.hosts[leader_id].replica
        newest = leader.snapshots.newest if leader is not None else None
        if (
            leader is None
            or newest is None
            or not self.world.linked(leader_id, self.member.raft_id)
        ):
            replica.fetch_failed()
            return
        reader = SnapshotReader(leader.storage.disk, leader.storage.keys, newest.name)
        info = write_snapshot(self.disk, replica.storage.keys, reader.header, reader.chunks())
        self.world.counts["installs"] += replica.install(info)


class World:
    """Hosts, links, a client and the checks. `faults` run between `begin` and `heal`."""

    def __init__(self, seed: int, config: RaftConfig, *, slow_disks: bool = True) -> None:
        self.rng = Random(seed)
        self.config, self.slow_disks = config, slow_disks
        self.loop = SimLoop()
        self.hosts: dict[str, Host] = {}
        self.applied: dict[int, bytes] = {}
        self.leaders: dict[int, str] = {}
        self.acked: dict[bytes, int] = {}
        self.sent = 0
        self.cut: set[frozenset[str]] = set()
        self.one_way: set[tuple[str, str]] = set()
        self._epoch: dict[tuple[str, str], int] = {}
        self._up: set[tuple[str, str]] = set()
        self._arrival: dict[tuple[str, str], float] = {}
        self._reads: list[tuple[Replica, int, int, int, set[bytes], CheckedMachine]] = []
        self.counts = dict.fromkeys(
            ("crashes", "cuts", "installs", "reads", "adds", "removes", "pauses", "unknown"), 0
        )

    def found(self, size: int) -> None:
        """Found the cluster and let it grow; with the clock installed, like all that follows."""
        names = [f"m{number}" for number in range(size)]
        first = self._host(names[0])
        storage.found(first.disk, first.member, None, self.config)
        first.start()
        while self.leader() is None:
            self.run(0.5)
        for name in names[1:]:
            if not self.add(name):
                raise Violation(f"{name} could not be added to a healthy cluster")
        self.counts["adds"] = 0

    def _host(self, name: str) -> Host:
        host = self.hosts[name] = Host(self, Member(name, f"node-{name}", f"{name}:1"))
        return host

    # Time and checks.

    def run(self, seconds: float) -> None:
        self.loop.run_until(self.loop.now + seconds, self._check)

    def _check(self) -> None:
        for host in self.hosts.values():
            replica = host.replica
            if replica is not None and replica.core.leading:
                other = self.leaders.setdefault(replica.core.term, host.member.raft_id)
                if other != host.member.raft_id:
                    raise Violation(f"two leaders in term {replica.core.term}")
        if self._reads:
            self._reads = [read for read in self._reads if not self._read_done(*read)]

    def disk_latency(self) -> float:
        if self.slow_disks and self.rng.random() < 0.01:
            return self.rng.uniform(0.2, 1.5)
        return self.rng.uniform(0.0005, 0.006)

    # Wire.

    def linked(self, one: str, other: str) -> bool:
        alive = self.hosts[one].alive and self.hosts[other].alive
        return alive and frozenset((one, other)) not in self.cut

    def send(self, sender: str, receiver: str, frame: bytes) -> None:
        pair = (sender, receiver)
        if pair not in self._up or pair in self.one_way:
            return
        epoch = self._epoch[pair]
        at = max(self.loop.now + self.rng.uniform(0.0002, 0.01), self._arrival.get(pair, 0.0))
        self._arrival[pair] = at
        host = self.hosts[receiver]

        def arrive() -> None:
            if self._epoch.get(pair) != epoch or host.replica is None:
                return
            replica = host.replica
            for body in FrameReader(1 << 24).feed(frame):
                host.loop.call_soon(partial(self._handle, replica, pair, epoch, body))

        self.loop.call_later(at - self.loop.now, arrive)

    def _handle(self, replica: Replica, pair: tuple[str, str], epoch: int, body: bytes) -> None:
        if self._epoch.get(pair) == epoch:
            replica.receive(pair[0], decode_peer(body))

    def links_of(self, name: str, *, up: bool) -> None:
        for other in sorted(self.hosts):
            if other != name:
                self.set_link(name, other, up=up)

    def set_link(self, one: str, other: str, *, up: bool) -> None:
        for pair in ((one, other), (other, one)):
            self._epoch[pair] = self._epoch.get(pair, 0) + 1
            self._arrival.pop(pair, None)
            if pair in self._up:
                self._up.discard(pair)
                self._tell(pair[0], lambda r, to=pair[1]: r.link_down(to))
                self._tell(pair[1], lambda r, to=pair[0]: r.peer_lost(to))
            if up and self.linked(one, other):
                epoch = self._epoch[pair]
                self.loop.call_later(
                    self.rng.uniform(0.001, 0.1), lambda p=pair, e=epoch: self._connect(p, e)
                )

    def _connect(self, pair: tuple[str, str], epoch: int) -> None:
        if self._epoch[pair] == epoch and self.linked(*pair):
            self._up.add(pair)
            self._tell(pair[0], lambda r: r.link_up(pair[1]))

    def _tell(self, name: str, what: Callable[[Replica], None]) -> None:
        replica = self.hosts[name].replica
        if replica is not None:
            what(replica)

    # Clients and operators.

    def leader(self) -> Replica | None:
        ready = [h.replica for h in self.hosts.values() if h.replica and h.replica.ready]
        return max(ready, key=lambda r: r.core.term, default=None)

    def write(self) -> None:
        """Propose one value, sometimes at a leader of the past."""
        leading = [h.replica for h in self.hosts.values() if h.replica and h.replica.core.leading]
        if not leading:
            return
        replica = self.rng.choice(leading)
        self.sent += 1
        value = b"v%06d" % self.sent + bytes(self.rng.randrange(0, 60))

        def done(result: object, reason: int) -> None:
            if reason == DONE:
                assert isinstance(result, int)
                self.acked[value] = result
            else:
                self.counts["unknown"] += 1

        replica.core.command(DATA + value, done)
        replica.driver.wake()

    def read(self) -> None:
        """Start a linearizable read at whoever believes to be ready."""
        ready = [h for h in self.hosts.values() if h.replica and h.replica.ready]
        if not ready:
            return
        host = self.rng.choice(ready)
        replica = host.replica
        assert replica is not None
        core = replica.core
        self._reads.append(
            (replica, core.term, core.round + 1, core.commit, set(self.acked), host.machine)
        )
        core.heartbeat()

    def _read_done(
        self,
        replica: Replica,
        term: int,
        round_: int,
        commit: int,
        before: set[bytes],
        machine: CheckedMachine,
    ) -> bool:
        core = replica.core
        if not core.leading or core.term != term or replica.driver.stopped:
            return True
        if core.quorum_round() < round_ or core.applied < commit:
            return False
        seen = {data for _, data in machine.items}
        if not before <= seen:
            raise Violation(f"a read missed {len(before - seen)} completed writes")
        self.counts["reads"] += 1
        return True

    def add(self, name: str, seconds: float = 20.0) -> bool:
        """Have the leader add a new member; False when leadership changed meanwhile."""
        leader = self.leader()
        if leader is None:
            return False
        host = self._host(name)
        storage.prepare(host.disk, host.member, None, self.config)
        host.start()
        self.links_of(name, up=True)
        change = Change(Operation.ADD, host.member)
        learning, proposed = False, False
        end = self.loop.now + seconds
        while self.loop.now < end:
            self.run(0.05)
            core = leader.core
            if leader.driver.stopped or not core.leading:
                break
            if not learning:
                if core.is_connected(name):
                    core.learner_up(name)
                    core.replicate(name)
                    learning = True
            elif core.configurations.at(core.applied).find(name) is not None:
                self.counts["adds"] += 1
                return True
            elif not proposed and core.match_index(name) >= core.commit:
                if core.change_problem(change) is None:
                    core.command(encode_change(change), lambda result, reason: None)
                    leader.driver.wake()
                    proposed = True
            elif not core.is_connected(name):
                learning = False
        return False

    def remove(self, name: str) -> None:
        """Have the leader remove a member; it is switched off some time after it is gone."""
        leader = self.leader()
        member = self.hosts[name].member
        if leader is None or leader.own.raft_id == name:
            return
        change = Change(Operation.REMOVE, member)
        if leader.core.change_problem(change) is not None:
            return
        leader.core.command(encode_change(change), lambda result, reason: None)
        leader.driver.wake()
        self.counts["removes"] += 1

    def members(self) -> list[str]:
        """The members of the committed configuration, as the most advanced replica has it."""
        replicas = [h.replica for h in self.hosts.values() if h.replica]
        best = max(replicas, key=lambda r: (r.core.applied, r.own.raft_id), default=None)
        if best is None:
            return []
        configuration = best.core.configurations.at(best.core.applied)
        return [m.raft_id for m in configuration.members]

    # The end.

    def heal(self) -> None:
        """Everything works from now on."""
        self.cut.clear()
        self.one_way.clear()
        self.slow_disks = False
        for _, host in sorted(self.hosts.items()):
            if host.alive and host.loop.frozen is not None:
                host.loop.resume()
            if not host.alive and not host.removed:
                host.start()
        for name in sorted(self.hosts):
            for other in sorted(self.hosts):
                if other > name:
                    self.set_link(name, other, up=True)

    def converge(self, seconds: float = 60.0) -> None:
        """Demand that writes succeed again and that all members end up equal, nothing lost."""
        end = self.loop.now + seconds
        goal = len(self.acked) + 5
        while self.loop.now < end:
            if len(self.acked) < goal:
                self.write()
            self.run(0.2)
            members = [self.hosts[n] for n in self.members()]
            leader = self.leader()
            if (
                leader is not None
                and len(self.acked) >= goal
                and all(h.replica and h.replica.core.applied == leader.core.commit for h in members)
                and leader.core.commit == leader.journal.last_index
            ):
                break
        else:
            raise Violation(f"no convergence within {seconds} s: {self.describe()}")
        logs = [h.machine.items for h in members]
        if any(items != logs[0] for items in logs):
            raise Violation("members differ in the end")
        final = [data for _, data in logs[0]]
        if len(set(final)) != len(final):
            raise Violation("an entry was applied twice")
        lost = {value for value, index in self.acked.items() if (index, value) not in set(logs[0])}
        if lost:
            raise Violation(f"{len(lost)} acknowledged writes are lost")

    def describe(self) -> str:
        lines = []
        for name, host in sorted(self.hosts.items()):
            core = host.replica.core if host.replica else None
            lines.append(
                f"{name}: down"
                if core is None
                else f"{name}: term {core.term} leader {core.leader_id} commit {core.commit} "
                f"applied {core.applied} last {core.journal.last_index} "
                f"first {core.journal.first_index} "
                f"members {[m.raft_id for m in core.configuration.members]}"
            )
        return "; ".join(lines)
