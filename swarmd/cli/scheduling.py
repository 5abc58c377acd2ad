"""What flags do to taints, oversell ratios and the cluster's settings for placing. Pure."""

from __future__ import annotations

from msgspec.structs import replace

from swarmd.model.cluster import RebalanceConfig, SchedulingConfig
from swarmd.model.node import Oversell
from swarmd.model.states import Strategy


def changed_taints(
    present: tuple[str, ...], added: tuple[str, ...], removed: tuple[str, ...]
) -> tuple[str, ...]:
    """Taints with some removed, by key or by key and effect, and others added.

    An added taint takes the place of the one with its key and effect.
    """
    gone = {*removed, *map(_key_and_effect, added)}
    kept = [text for text in present if not {text, _key(text), _key_and_effect(text)} & gone]
    return (*kept, *dict.fromkeys(added))


def changed_oversell(
    present: Oversell | None, cpus: float | None, memory: float | None
) -> Oversell | None:
    """Ratios with those given changed; None when the node itself says nothing any more."""
    before = present or Oversell()
    after = Oversell(
        cpus=before.cpus if cpus is None else cpus,
        memory=before.memory if memory is None else memory,
    )
    return after if after != Oversell() else None


def changed_scheduling(
    present: SchedulingConfig, strategy: str | None, cpus: float | None, memory: float | None
) -> SchedulingConfig:
    return replace(
        present,
        strategy=Strategy(strategy) if strategy else present.strategy,
        oversell=changed_oversell(present.oversell, cpus, memory) or Oversell(),
    )


def changed_rebalance(
    present: RebalanceConfig,
    enabled: bool | None,
    max_moves: int | None,
    cooldown_ns: int | None,
) -> RebalanceConfig:
    """The policy for moving tasks by itself, with what is given changed."""
    return RebalanceConfig(
        enabled=present.enabled if enabled is None else enabled,
        max_moves=present.max_moves if max_moves is None else max_moves,
        cooldown_ns=present.cooldown_ns if cooldown_ns is None else cooldown_ns,
    )


def _key(taint: str) -> str:
    return taint.partition(":")[0].partition("=")[0]


def _key_and_effect(taint: str) -> str:
    return f"{_key(taint)}:{taint.partition(':')[2]}"
