"""Where tasks may run and what they ask of a node: placement, generic resources, taints, ratios."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from swarmd.manager.validate.limits import GENERIC_COUNT, MAX_REPLICAS_PER_NODE, OVERSELL
from swarmd.model.affinity import parse_affinity
from swarmd.model.constraint import parse_constraint
from swarmd.model.errors import invalid
from swarmd.model.node import Oversell
from swarmd.model.spec import GenericResource, Placement, ResourceRequirements
from swarmd.model.taint import parse_taint, parse_toleration

SPREAD_PREFIXES = ("node.labels.", "engine.labels.")
WISHES_MAX = 64  # of each sort; every one costs a look at every class of nodes
_KIND = re.compile(r"[a-zA-Z0-9](?:[a-zA-Z0-9\-_./]{0,126}[a-zA-Z0-9])?")


def check_placement(placement: Placement | None) -> None:
    """Refuse text that does not parse and preferences that nothing can be spread over."""
    if placement is None:
        return
    _check_texts("placement.constraints", placement.constraints, parse_constraint)
    _check_texts("placement.affinities", placement.affinities, parse_affinity)
    _check_texts("placement.tolerations", placement.tolerations, parse_toleration)
    for preference in placement.preferences:
        descriptor = preference.spread.spread_descriptor if preference.spread else ""
        if not any(
            descriptor.startswith(prefix) and descriptor != prefix for prefix in SPREAD_PREFIXES
        ):
            raise invalid(
                f"placement.preferences: cannot spread over {descriptor!r}; "
                "name a label, as in node.labels.rack or engine.labels.rack"
            )
    MAX_REPLICAS_PER_NODE.check(placement.max_replicas)


def check_generic(requirements: ResourceRequirements) -> None:
    """Refuse generic resources that are limited, asked for by name, or without a number."""
    if requirements.limits is not None and requirements.limits.generic_resources:
        raise invalid("resources.limits.generic cannot be limited; reserve generic resources")
    asked: Iterable[GenericResource] = (
        requirements.reservations.generic_resources if requirements.reservations else ()
    )
    for resource in asked:
        discrete = resource.discrete_resource_spec
        if discrete is None:
            named = resource.named_resource_spec
            kind = named.kind if named else ""
            raise invalid(
                f"resources.reservations.generic: {kind or 'a resource'} is asked for by name; "
                "ask for a number of them, as in gpu=2"
            )
        if not _KIND.fullmatch(discrete.kind):
            raise invalid(
                f"resources.reservations.generic: {discrete.kind[:80]!r} is no kind of resource; "
                "write for example gpu=2"
            )
        GENERIC_COUNT.check(
            discrete.value, within=f"resources.reservations.generic.{discrete.kind}"
        )


def check_taints(taints: tuple[str, ...]) -> None:
    """Refuse text that is no taint, and taints of one key and effect."""
    _check_texts("taints", taints, parse_taint)
    seen = set()
    for taint in map(parse_taint, taints):
        if (taint.key, taint.effect) in seen:
            raise invalid(
                f"taints: {taint.key} with effect {taint.effect.value} is there twice; "
                "give each key one value per effect"
            )
        seen.add((taint.key, taint.effect))


def check_oversell(oversell: Oversell | None, *, within: str) -> None:
    """Refuse ratios at which no node, or every node, would do."""
    if oversell is None:
        return
    OVERSELL.check(oversell.cpus, within=f"{within}.cpus")
    OVERSELL.check(oversell.memory, within=f"{within}.memory")


def _check_texts(field: str, texts: tuple[str, ...], parse: Callable[[str], object]) -> None:
    if len(texts) > WISHES_MAX:
        raise invalid(f"{field} has {len(texts)} entries, the limit is {WISHES_MAX}")
    for text in texts:
        try:
            parse(text)
        except ValueError as error:
            raise invalid(f"{field}: {error}") from None
