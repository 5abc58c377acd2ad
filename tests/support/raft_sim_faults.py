"""Fault schedules for the simulated cluster, chosen from the seed."""

from __future__ import annotations

from tests.support.raft_sim_world import World

MIXES = ("crash", "power", "isolate", "cut", "one_way", "pause", "reset", "members", "mixed")


def unleash(world: World, mix: str, rounds: int, rate: float = 1.0) -> None:
    """Run `rounds` of about 0.3 s each with writes, reads and faults of the given kind."""
    rng = world.rng
    for _ in range(rounds):
        for _ in range(rng.randrange(0, 6)):
            world.write()
        if rng.random() < 0.3:
            world.read()
        world.run(rng.uniform(0.05, 0.3))
        if rng.random() < 0.25 * rate:
            _one(world, rng.choice(MIXES[:-1]) if mix == "mixed" else mix)
        _recover(world)


def _one(world: World, kind: str) -> None:
    rng = world.rng
    alive = [n for n in sorted(world.hosts) if world.hosts[n].alive]
    if not alive:
        return
    name = rng.choice(alive)
    leader = world.leader()
    if leader is not None and rng.random() < 0.5:
        name = leader.own.raft_id
    others = [n for n in sorted(world.hosts) if n != name]
    host = world.hosts[name]
    match kind:
        case "crash" | "power":
            victims = alive if rng.random() < 0.15 else [name]
            for victim in victims:
                world.hosts[victim].crash(power=kind == "power")
                world.counts["crashes"] += 1
        case "isolate":
            for other in others:
                world.cut.add(frozenset((name, other)))
                world.set_link(name, other, up=False)
            world.counts["cuts"] += 1
        case "cut":
            if others:
                other = rng.choice(others)
                world.cut.add(frozenset((name, other)))
                world.set_link(name, other, up=False)
                world.counts["cuts"] += 1
        case "one_way":
            # Packets vanish in one direction without the connection breaking at once.
            if others:
                world.one_way.add((name, rng.choice(others)))
                world.counts["cuts"] += 1
        case "reset":
            if others:
                world.set_link(name, rng.choice(others), up=True)
                world.counts["cuts"] += 1
        case "pause":
            if host.loop.frozen is None:
                host.loop.pause()
                world.counts["pauses"] += 1
                world.loop.call_later(rng.uniform(0.1, 3.0), host.loop.resume)
        case "members":
            _change(world)


def _change(world: World) -> None:
    rng, members = world.rng, world.members()
    if len(members) > 2 and rng.random() < 0.5:
        world.remove(rng.choice(members))
    elif len(world.hosts) < 12:
        world.add(f"m{len(world.hosts)}", seconds=3.0)


def _recover(world: World) -> None:
    rng = world.rng
    for name, host in sorted(world.hosts.items()):
        if not host.alive and not host.removed and rng.random() < 0.15:
            host.start()
            world.links_of(name, up=True)
    for pair in sorted(world.cut, key=sorted):
        if rng.random() < 0.12:
            world.cut.discard(pair)
            one, other = sorted(pair)
            world.set_link(one, other, up=True)
    for one, other in sorted(world.one_way):
        if rng.random() < 0.15:
            # What vanished leaves a gap no connection survives.
            world.one_way.discard((one, other))
            world.set_link(one, other, up=True)
