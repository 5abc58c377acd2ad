"""Faults, drawn from the seed: what goes wrong, to whom, and for how long.

Every fault ends by itself after a while, so that several overlap but the swarm now and then gets
somewhere; `heal` ends them all. A majority of the managers never loses its memory: a disk that is
wiped or lied about a sync may break promises, and no consensus survives that in a majority.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from swarmd.sim.machine import Machine
from swarmd.sim.world import World

KINDS = (
    "kill",
    "power",
    "isolate",
    "split",
    "deaf",
    "cut",
    "one_way",
    "loss",
    "slow_link",
    "pause",
    "slow_node",
    "slow_disk",
    "clock_step",
    "executor",
    "repeat",
    "wipe",
    "lie",
    "blackout",
)
OTHER_KINDS = ("skew",)
DAY_NS = 86_400 * 10**9


class Faults:
    """Lets things go wrong in a world until `heal`."""

    def __init__(self, world: World, kinds: tuple[str, ...], *, every_s: float) -> None:
        self.counts: dict[str, int] = dict.fromkeys(kinds, 0)
        self._world = world
        self._kinds = kinds
        self._every_s = every_s
        self._rng: Random = world.timeline.rng("faults")
        self._ended = False
        self._alone = False  # a fault that stands no other is under way
        self._undo: dict[int, Callable[[], None]] = {}
        self._serial = 0

    def begin(self) -> None:
        self._later(self._rng.expovariate(1 / self._every_s), self._strike)

    def heal(self) -> None:
        """End all faults at once: from now on everything works.

        Half of the time the leader dies once more, so that its successor has to finish whatever
        was going on.
        """
        self._ended = True
        leader = self._world.leader()
        if leader is not None and self._rng.random() < 0.5:
            leader.kill()
        for undo in list(self._undo.values()):
            undo()
        self._undo.clear()
        for machine in self._world.machines.values():
            machine.start()

    def _later(self, delay_s: float, callback: Callable[[], None]) -> None:
        timeline = self._world.timeline
        timeline.call_at(timeline.now + delay_s, callback)

    def _strike(self) -> None:
        if self._ended:
            return
        self.begin()
        kind = self._rng.choice(self._kinds)
        if not self._alone:
            strike: Callable[[], None] = getattr(self, f"_{kind}")
            self.counts[kind] += 1
            strike()

    def _for_a_while(self, shortest_s: float, longest_s: float, undo: Callable[[], None]) -> None:
        """Undo a fault after some time, or when all is healed."""
        self._serial += 1
        key = self._serial
        self._undo[key] = undo

        def end() -> None:
            if self._undo.pop(key, None) is not None:
                undo()

        self._later(self._rng.uniform(shortest_s, longest_s), end)

    def _tell(self, what: str) -> None:
        self._world.timeline.tell("fault", what)

    # --- who

    def _anyone(self) -> Machine:
        """Somebody; the leader more often than others."""
        leader = self._world.leader()
        if leader is not None and self._rng.random() < 0.3:
            return leader
        return self._rng.choice(list(self._world.machines.values()))

    def _other(self, machine: Machine) -> Machine:
        others = [m for m in self._world.machines.values() if m is not machine]
        return self._rng.choice(others)

    # --- processes and machines

    def _kill(self) -> None:
        victim = self._anyone()
        victim.kill()
        self._for_a_while(0.05, 6.0, victim.start)

    def _power(self) -> None:
        victim = self._anyone()
        victim.cut_power()
        self._for_a_while(0.5, 12.0, victim.start)

    def _blackout(self) -> None:
        """All managers at once; what was acknowledged must be there when they are back."""
        for machine in self._world.managers:
            machine.cut_power()
            self._for_a_while(0.5, 4.0, machine.start)

    def _follower(self) -> Machine | None:
        """A manager that doesn't lead while all managers are up and nothing else is wrong.

        The others have to be a majority, and no manager may be on its way in or out.
        """
        managers = self._world.managers
        leader = self._world.leader()
        if self._undo or leader is None or leader.manager is None or len(managers) < 3:
            return None
        members = {member.node_id for member in leader.manager.raft.members}
        if members != {m.node_id for m in managers if m.manager is not None}:
            return None
        return self._rng.choice([machine for machine in managers if machine is not leader])

    def _wipe(self) -> None:
        """A manager loses its Raft directory while all the others are up, and joins anew."""
        victim = self._follower()
        if victim is None:
            return
        victim.kill()
        victim.wipe_raft()
        self._for_a_while(0.2, 3.0, victim.start)

    def _lie(self) -> None:
        """A follower's disk says "synced" when it isn't, until the power fails.

        What is lost were promises. The others must have kept theirs until it has caught up, so
        nothing else goes wrong meanwhile.
        """
        victim = self._follower()
        if victim is None:
            return
        self._alone = True
        self._tell(f"the disk of {victim.name} lies")
        victim.disk.lying = True

        def fail() -> None:
            victim.disk.lying = False
            if not self._ended:
                victim.cut_power()
                self._for_a_while(0.5, 2.0, come_back)

        def come_back() -> None:
            victim.start()
            self._for_a_while(4.0, 5.0, lambda: setattr(self, "_alone", False))

        self._for_a_while(0.5, 4.0, fail)

    def _repeat(self) -> None:
        victim = self._anyone()
        victim.repeating = self._rng.choice((0.2, 0.7))
        self._for_a_while(2.0, 15.0, lambda: setattr(victim, "repeating", 0.0))

    def _pause(self) -> None:
        loop = self._anyone().loop
        if loop is None or loop.paused:
            return
        self._tell(f"{loop.name} is stopped")
        loop.pause()
        self._for_a_while(0.1, 8.0, loop.resume)

    def _slow_node(self) -> None:
        loop = self._anyone().loop
        if loop is None:
            return
        rng, most = self._rng, self._rng.choice((0.002, 0.01, 0.03))
        self._tell(f"{loop.name} is slow")
        loop.lag_s = lambda: rng.random() * most
        self._for_a_while(1.0, 8.0, lambda: setattr(loop, "lag_s", lambda: 0.0))

    def _slow_disk(self) -> None:
        victim = self._anyone()
        victim.slow_disk = self._rng.choice((0.02, 0.2))
        self._for_a_while(1.0, 10.0, lambda: setattr(victim, "slow_disk", 0.0))

    def _clock_step(self) -> None:
        victim = self._anyone()
        step = self._rng.choice((1, -1)) * self._rng.choice((10**8, 5 * 10**9, 600 * 10**9, DAY_NS))
        self._tell(f"the clock of {victim.name} steps by {step / 1e9:g} s")
        victim.clock.offset_ns += step

        def back() -> None:
            victim.clock.offset_ns -= step

        self._for_a_while(2.0, 20.0, back)

    def _skew(self) -> None:
        """A clock goes too fast or too slow, and is off from then on."""
        victim = self._anyone()
        drift = self._rng.choice((1, -1)) * self._rng.choice((0.001, 0.05, 0.5))
        self._tell(f"the clock of {victim.name} gains {drift:g} s a second")
        victim.clock.run_fast(drift)
        self._for_a_while(2.0, 20.0, lambda: victim.clock.run_fast(0.0))

    def _executor(self) -> None:
        containers = self._anyone().containers
        containers.failing = self._rng.choice((0.2, 0.8))
        containers.slow_s = self._rng.choice((0.0, 2.0))

        def mend() -> None:
            containers.failing = containers.slow_s = 0.0

        self._for_a_while(1.0, 10.0, mend)

    # --- the network

    def _isolate(self) -> None:
        victim = self._anyone()
        self._tell(f"{victim.name} is cut off")
        hosts = [h for h in self._world.hosts if h != victim.host]
        self._block([(victim.host, h) for h in hosts] + [(h, victim.host) for h in hosts])

    def _split(self) -> None:
        """The machines fall into two halves; clients reach both."""
        hosts = [machine.host for machine in self._world.machines.values()]
        half = self._rng.sample(hosts, self._rng.randrange(1, len(hosts)))
        rest = [host for host in hosts if host not in half]
        self._tell(f"{', '.join(half)} are cut off from {', '.join(rest)}")
        self._block([(a, b) for a in half for b in rest] + [(b, a) for a in half for b in rest])

    def _deaf(self) -> None:
        """Nothing gets to a machine from the others, which go on hearing it."""
        victim = self._anyone()
        self._tell(f"{victim.name} hears nobody")
        others = [m.host for m in self._world.machines.values() if m is not victim]
        self._block([(host, victim.host) for host in others])

    def _cut(self) -> None:
        one = self._anyone()
        other = self._other(one)
        self._tell(f"{one.name} and {other.name} are cut off from each other")
        self._block([(one.host, other.host), (other.host, one.host)])

    def _one_way(self) -> None:
        one = self._anyone()
        other = self._other(one)
        self._tell(f"nothing gets from {one.name} to {other.name}")
        self._block([(one.host, other.host)])

    def _block(self, pairs: list[tuple[str, str]]) -> None:
        network = self._world.network
        for source, target in pairs:
            network.block(source, target)

        def unblock() -> None:
            for source, target in pairs:
                network.unblock(source, target)

        self._for_a_while(0.2, 12.0, unblock)

    def _loss(self) -> None:
        one = self._anyone()
        other = self._other(one)
        link = self._world.network.link(one.host, other.host)
        link.loss = self._rng.choice((0.05, 0.3))
        self._for_a_while(1.0, 10.0, lambda: setattr(link, "loss", 0.0))

    def _slow_link(self) -> None:
        one = self._anyone()
        other = self._other(one)
        link = self._world.network.link(one.host, other.host)
        link.slow_s = self._rng.choice((0.02, 0.3, 2.0))
        self._for_a_while(1.0, 10.0, lambda: setattr(link, "slow_s", 0.0))
