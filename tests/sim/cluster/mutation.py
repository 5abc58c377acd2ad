"""What a deliberate mistake in the product is, and finding a seed that notices it.

A mutation replaces one decision by a wrong one, at the place where it is made. Its plan turns that
of a seed into one in which the mistake has occasion to matter.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
from msgspec.structs import replace

from swarmd.model.cluster import RebalanceConfig
from swarmd.model.states import Strategy
from swarmd.sim.plan import Plan, plan_of
from swarmd.sim.scenario import Failure, run

Patch = pytest.MonkeyPatch
BUSY: dict[str, Any] = {"operators": 2, "writers": 3, "fault_every_s": 2.0}


class Mutation(NamedTuple):
    """A mistake, what it needs to show, and the seed that caught it last."""

    make: Callable[[Patch], None]
    plan: Callable[[Plan], Plan]
    seed: int = 1

    @property
    def name(self) -> str:
        return self.make.__name__.replace("_", " ")


class Caught(NamedTuple):
    """The seed that caught a mutation, and how it complained."""

    seed: int
    complaint: str


def caught(mutation: Mutation, *, seeds: int) -> Caught | None:
    """Run seeds with the mistake in place until one catches it."""
    with Patch.context() as patch:
        mutation.make(patch)
        for seed in range(mutation.seed, mutation.seed + seeds):
            try:
                run(seed, mutation.plan(plan_of(seed)))
            except Failure as failure:
                first, _, _ = str(failure).partition("\n")
                return Caught(seed, first.partition(": ")[2])
    return None


def planned(*faults: str, rebalances: bool = False, **changes: Any) -> Callable[[Plan], Plan]:
    """A plan with these faults, of a kind and size of swarm that suits a mutation."""

    def adapt(plan: Plan) -> Plan:
        if rebalances:
            policy = RebalanceConfig(enabled=True, max_moves=1, cooldown_ns=0)
            scheduling = replace(plan.spec.scheduling, rebalance=policy, strategy=Strategy.SPREAD)
            plan = plan._replace(spec=replace(plan.spec, scheduling=scheduling))
        changed = {
            "managers": 3,
            "fault_every_s": 1.0,
            "turmoil_s": 25.0,
            "theme": "mixed",
            "keepers": (),
            **changes,
        }
        return plan._replace(faults=faults, **changed)

    return adapt


def everywhere(
    patch: Patch, name: str, old: object, new: object, keep: tuple[str, ...] = ()
) -> None:
    """Replace a function in every module that has imported it."""
    for module_name, module in list(sys.modules.items()):
        ours = module_name.startswith("swarmd.") and not module_name.startswith(keep or ("-",))
        if ours and getattr(module, name, None) is old:
            patch.setattr(module, name, new)
