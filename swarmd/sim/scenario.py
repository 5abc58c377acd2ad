"""One run from one seed: a swarm comes up, suffers, is healed, and must be as it should be.

A run ends with a `Result`, or with the `Violation` it found; either way the same seed runs the same
way again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

from swarmd.model.states import NodeState, Role
from swarmd.sim.agreement import Agreement
from swarmd.sim.client import ABSENT, REVISION
from swarmd.sim.convergence import problems
from swarmd.sim.faults import Faults
from swarmd.sim.keepers import Archivist, Crowd, Registrar, Warden
from swarmd.sim.linearizable import Operation, explains
from swarmd.sim.plan import Plan, plan_of
from swarmd.sim.schedules import followed, unfollowed
from swarmd.sim.surveyor import Surveyor
from swarmd.sim.timekeeper import Timekeeper
from swarmd.sim.timeline import Violation
from swarmd.sim.workload import Operator, Patron, Writer
from swarmd.sim.world import World, token_for

UP_S = 30.0
CONVERGED_S = 120.0
RUNS_S = 60.0
QUIET_S = 3.0
STORY_LINES = 150


class Result(NamedTuple):
    """What a run came to."""

    seed: int
    trace: str
    seconds: float  # virtual
    callbacks: int
    entries: int
    restores: int
    acknowledged: int
    unknown: int
    converged_after_s: float
    faults: dict[str, int]


class Failure(Exception):
    """A run that found a violation; the text holds the seed, what it was, and the story."""


def run(seed: int, plan: Plan | None = None) -> Result:
    """Run one seed.

    Raises:
        Failure: something was violated.
    """
    chosen = plan if plan is not None else plan_of(seed)
    world = World(
        seed,
        managers=chosen.managers,
        workers=chosen.workers,
        raft_config=chosen.raft,
        spec=chosen.spec,
    )
    try:
        with world.running():
            return _run(world, chosen)
    except Violation as violation:
        story = "\n".join(list(world.timeline.story)[-STORY_LINES:])
        raise Failure(
            f"seed {seed}: {violation}\ntrace {world.timeline.trace_hash}\n{chosen}\n{story}"
        ) from violation


def _run(world: World, plan: Plan) -> Result:
    seed, timeline = world.timeline.seed, world.timeline
    agreement = Agreement(timeline, world.machines.values())
    world.observers.append(agreement.manager_starts)
    world.container_observers.append(agreement.containers_changed)
    world.leave_observers.append(agreement.node_left)
    world.begin()
    _demand(world, UP_S, lambda: _is_up(world), "the swarm does not come up")
    workload = _workload(world, plan)
    faults = Faults(world, plan.faults, every_s=plan.fault_every_s)
    faults.begin()
    _admit(world, plan)
    _let_go(world, plan)
    world.run(plan.turmoil_s)
    faults.heal()
    timeline.tell("world", "healed")
    healed_at = timeline.now
    _demand_runs(world)
    for client in workload:
        client.settle()
    _demand(
        world,
        CONVERGED_S,
        lambda: all(client.settled for client in workload),
        "clients get no answers",
    )
    _converge(world)
    converged_after_s = timeline.now - healed_at
    _check_histories(world)
    return Result(
        seed=seed,
        trace=timeline.trace_hash,
        seconds=timeline.now,
        callbacks=timeline.callbacks,
        entries=agreement.entries,
        restores=agreement.restores,
        acknowledged=world.ledger.done,
        unknown=world.ledger.unknown,
        converged_after_s=converged_after_s,
        faults=faults.counts,
    )


def _workload(world: World, plan: Plan) -> Sequence[Patron]:
    """Clients at work."""
    shared = ("shared-1", "shared-2")
    workload: list[Patron] = [
        Operator(world.add_client(), gentle=number == 1, theme=plan.theme)
        for number in range(plan.operators)
    ]
    workload.extend(Writer(world.add_client(), shared) for _ in range(plan.writers))
    if "warden" in plan.keepers:
        workload.append(Warden(world.add_client(), world.workers))
    if "archivist" in plan.keepers:
        workload.append(Archivist(world.add_client()))
    if "registrar" in plan.keepers:
        anchor = next(iter(world.machines.values())).node_id
        workload.append(Registrar(world.add_client(), anchor=anchor, present=world.node_ids))
    if "crowd" in plan.keepers:
        workload.append(Crowd(world.add_client()))
    if "timekeeper" in plan.keepers:
        workload.append(Timekeeper(world.add_client()))
    if "surveyor" in plan.keepers:
        workload.append(Surveyor(world.add_client()))
    for member in workload:
        member.client.loop.enter(member.run, name="work")
    return workload


def _admit(world: World, plan: Plan) -> None:
    """Have machines join during the turmoil."""
    rng = world.timeline.rng("newcomers")
    for _ in range(plan.newcomers if "registrar" in plan.keepers else 0):
        role = rng.choice((Role.WORKER, Role.WORKER, Role.MANAGER))
        at = world.timeline.now + plan.turmoil_s * rng.uniform(0.0, 0.7)
        world.timeline.call_at(at, partial(world.admit, role))


def _let_go(world: World, plan: Plan) -> None:
    """Have workers leave during the turmoil; they come back as other nodes."""
    rng = world.timeline.rng("leavers")

    def leave() -> None:
        present = [m for m in world.machines.values() if m.daemon is not None and not m.is_manager]
        if present:
            rng.choice(present).leave(token_for(Role.WORKER))

    for _ in range(plan.leavers if "registrar" in plan.keepers else 0):
        world.timeline.call_at(world.timeline.now + plan.turmoil_s * rng.uniform(0.1, 0.8), leave)


def _demand_runs(world: World) -> None:
    """Schedules that nobody has suspended are followed, now that nothing disturbs the swarm."""
    _demand(world, UP_S, lambda: world.store() is not None, "nobody leads")
    store = world.store()
    assert store is not None
    since = followed(store)
    if not since:
        return

    def are_late() -> list[str]:
        present = world.store()
        return list(unfollowed(present, since)) if present is not None else ["nobody leads"]

    try:
        _demand(world, RUNS_S, lambda: not are_late(), "schedules are not followed")
    except Violation as violation:
        raise Violation(f"{violation}: {'; '.join(are_late())}") from None


def _demand(world: World, within_s: float, condition: Callable[[], bool], complaint: str) -> None:
    """Let time pass until `condition` holds, looking at it now and then."""
    end = world.timeline.now + within_s
    while world.timeline.now < end:
        world.run(0.1)
        if condition():
            return
    raise Violation(f"{complaint} within {within_s:g} s")


def _is_up(world: World) -> bool:
    store = world.store()
    if store is None or any(machine.manager is None for machine in world.managers):
        return False
    return all(node.status.state is NodeState.READY for node in store.nodes())


def _converge(world: World) -> None:
    """Demand that the swarm becomes as it should be, and stays so for a while."""
    end = world.timeline.now + CONVERGED_S
    quiet_since: float | None = None
    left: list[str] = []
    while world.timeline.now < end:
        world.run(0.5)
        left = list(problems(world))
        if left:
            quiet_since = None
        elif quiet_since is None:
            quiet_since = world.timeline.now
        elif world.timeline.now - quiet_since >= QUIET_S:
            return
    raise Violation(f"no convergence within {CONVERGED_S:g} s: {'; '.join(left[:10])}")


def _check_histories(world: World) -> None:
    """Judge what clients were told, with the state of the end as the last answer."""
    store = world.store()
    assert store is not None, "a swarm that has converged has a leader"
    now = world.timeline.now
    for name, history in world.ledger.histories.items():
        service = store.find_service_by_name(name)
        final = service.spec.labels[REVISION] if service is not None else ABSENT
        last = Operation("read", (), final, now, now)
        if not explains([*history, last]):
            told = "\n".join(str(operation) for operation in [*history, last])
            raise Violation(f"no order of calls explains what clients saw of {name}:\n{told}")
