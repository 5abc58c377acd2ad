"""Taints of nodes against tolerations of tasks."""

from __future__ import annotations

from functools import lru_cache

from swarmd.model.spec import TaskSpec
from swarmd.model.taint import Effect, Taint, Toleration, parse_taint, parse_toleration


def tolerations_of(spec: TaskSpec) -> tuple[Toleration, ...]:
    """The tolerations of a stored spec; text that is none tolerates nothing."""
    return _tolerations(spec.placement.tolerations) if spec.placement else ()


def forbidden(taints: tuple[str, ...], tolerations: tuple[Toleration, ...]) -> bool:
    """Whether new tasks with these tolerations must not come."""
    return bool(taints) and any(
        taint.effect is not Effect.PREFER_NO_SCHEDULE
        for taint in not_tolerated(taints, tolerations)
    )


def evicting(taints: tuple[str, ...], tolerations: tuple[Toleration, ...]) -> tuple[Taint, ...]:
    """The taints for which tasks that run already have to go."""
    return tuple(
        taint for taint in not_tolerated(taints, tolerations) if taint.effect is Effect.NO_EXECUTE
    )


def avoided(taints: tuple[str, ...], tolerations: tuple[Toleration, ...]) -> int:
    """How many taints ask new tasks to go elsewhere if they can."""
    return sum(
        taint.effect is Effect.PREFER_NO_SCHEDULE for taint in not_tolerated(taints, tolerations)
    )


def not_tolerated(
    taints: tuple[str, ...], tolerations: tuple[Toleration, ...]
) -> tuple[Taint, ...]:
    return tuple(
        taint
        for taint in _taints(taints)
        if not any(toleration.covers(taint) for toleration in tolerations)
    )


@lru_cache(maxsize=1024)
def _taints(texts: tuple[str, ...]) -> tuple[Taint, ...]:
    """The taints of a stored spec; specs are checked before they are stored."""
    return tuple(taint for text in texts for taint in _parsed(text))


def _parsed(text: str) -> tuple[Taint, ...]:
    try:
        return (parse_taint(text),)
    except ValueError:
        return ()


@lru_cache(maxsize=1024)
def _tolerations(texts: tuple[str, ...]) -> tuple[Toleration, ...]:
    try:
        return tuple(parse_toleration(text) for text in texts)
    except ValueError:
        return ()
