"""What a seed stands for: the size of the swarm, its settings, its clients and its faults."""

from __future__ import annotations

from typing import NamedTuple

from swarmd.model.cluster import (
    ClusterSpec,
    DispatcherConfig,
    OrchestrationConfig,
    RebalanceConfig,
    SchedulingConfig,
)
from swarmd.model.instant import MILLISECOND, SECOND
from swarmd.model.states import Strategy
from swarmd.raft.config import RaftConfig
from swarmd.sim.faults import KINDS, OTHER_KINDS
from swarmd.sim.keepers import KEEPERS
from swarmd.sim.specs import THEMES
from swarmd.sim.timeline import Timeline

OTHER_KEEPERS = ("timekeeper", "surveyor")


class Plan(NamedTuple):
    """What a seed has picked."""

    managers: int
    workers: int
    operators: int
    writers: int
    theme: str  # what services are mostly about
    keepers: tuple[str, ...]  # who else is at work, of KEEPERS and OTHER_KEEPERS
    newcomers: int  # machines that join meanwhile, if there is a registrar
    leavers: int  # times that a worker leaves meanwhile, if there is a registrar
    faults: tuple[str, ...]
    fault_every_s: float
    turmoil_s: float
    raft: RaftConfig
    spec: ClusterSpec


def plan_of(seed: int) -> Plan:
    """The plan that `seed` stands for."""
    rng = Timeline(seed).rng("plan")
    kinds = KINDS if rng.random() < 0.5 else tuple(rng.sample(KINDS, rng.randrange(1, 5)))
    keepers = KEEPERS if rng.random() < 0.3 else tuple(rng.sample(KEEPERS, rng.randrange(0, 3)))
    plan = Plan(
        managers=rng.choice((1, 3, 3, 3, 5)),
        workers=rng.randrange(1, 5),
        operators=rng.randrange(1, 3),
        writers=rng.randrange(1, 4),
        theme=rng.choice(THEMES) if rng.random() < 0.5 else "mixed",
        keepers=keepers,
        newcomers=rng.choice((0, 1, 2)),
        leavers=0,
        faults=kinds,
        fault_every_s=rng.choice((0.5, 1.5, 4.0)),
        turmoil_s=rng.uniform(8.0, 28.0),
        raft=RaftConfig(
            snapshot_entries=rng.choice((20, 60, 10_000)),
            trailing_entries=rng.choice((0, 5, 50)),
            segment_bytes=rng.choice((32_768, 262_144)),
            reserve_bytes=4096,
        ),
        spec=ClusterSpec(
            dispatcher=DispatcherConfig(
                heartbeat_period_ns=rng.choice((500 * MILLISECOND, 1500 * MILLISECOND))
            ),
            orchestration=OrchestrationConfig(task_history_retention_limit=rng.choice((0, 1, 5))),
            scheduling=SchedulingConfig(
                strategy=rng.choice(tuple(Strategy)),
                rebalance=RebalanceConfig(
                    enabled=rng.random() < 0.4,
                    max_moves=rng.choice((1, 1, 2)),
                    cooldown_ns=rng.choice((0, 1, 3)) * SECOND,
                ),
            ),
        ),
    )
    others = tuple(keeper for keeper in OTHER_KEEPERS if rng.random() < 0.3)
    leavers = rng.choice((0, 1, 2))
    other_kinds = OTHER_KINDS if rng.random() < 0.3 else ()
    return plan._replace(
        keepers=(*keepers, *others), leavers=leavers, faults=(*kinds, *other_kinds)
    )
