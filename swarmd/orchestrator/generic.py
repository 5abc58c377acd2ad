"""Generic resources: what a node offers of a kind, what of it is free, which ones a task gets.

Of each kind a node has either a number of things that are alike (discrete) or a list of things with
names. Tasks ask for numbers; where things have names, they are told which ones are theirs. What a
task holds is written into its record, so what is free always follows from the records alone.
"""

from __future__ import annotations

from typing import TypeVar

from swarmd.model.spec import DiscreteResource, GenericResource, NamedResource, Resources

Wanted = tuple[tuple[str, int], ...]  # kind and number, by kind


def wanted_of(resources: Resources) -> Wanted:
    """How many of each kind a reservation asks for."""
    counts: dict[str, int] = {}
    for resource in resources.generic_resources:
        discrete = resource.discrete_resource_spec
        if discrete is not None:
            counts[discrete.kind] = counts.get(discrete.kind, 0) + discrete.value
    return tuple(sorted(counts.items()))


def claims_of(wanted: Wanted) -> tuple[GenericResource, ...]:
    """Claims to so many of each kind, whichever they will be."""
    return tuple(
        GenericResource(discrete_resource_spec=DiscreteResource(kind=kind, value=count))
        for kind, count in wanted
    )


K = TypeVar("K")


class Stock:
    """What one node has of generic resources, and what its tasks hold of them."""

    __slots__ = ("_held", "_held_names", "_names", "_totals")

    def __init__(self) -> None:
        self._totals: dict[str, int] = {}
        self._names: dict[str, tuple[str, ...]] = {}
        self._held: dict[str, int] = {}
        self._held_names: dict[tuple[str, str], int] = {}

    def describe(self, resources: Resources) -> None:
        """Take over what the node says it has; what tasks hold stays held."""
        self._totals.clear()
        self._names.clear()
        for resource in resources.generic_resources:
            named, discrete = resource.named_resource_spec, resource.discrete_resource_spec
            if named is not None:
                self._names[named.kind] = (*self._names.get(named.kind, ()), named.value)
            elif discrete is not None:
                self._totals[discrete.kind] = self._totals.get(discrete.kind, 0) + discrete.value

    def free(self, kind: str) -> int:
        """How many of a kind can still be claimed; never negative."""
        names = self._names.get(kind)
        if names is not None:
            unheld = sum((kind, name) not in self._held_names for name in names)
            return max(unheld - self._held.get(kind, 0), 0)
        return max(self._totals.get(kind, 0) - self._held.get(kind, 0), 0)

    def total(self, kind: str) -> int:
        names = self._names.get(kind)
        return len(names) if names is not None else self._totals.get(kind, 0)

    def has(self, wanted: Wanted) -> bool:
        return all(self.free(kind) >= count for kind, count in wanted)

    def choose(self, wanted: Wanted) -> tuple[GenericResource, ...]:
        """The resources for one more task, which are not yet held by it: first free names first.

        The caller has asked `has` before.
        """
        chosen: list[GenericResource] = []
        for kind, count in wanted:
            names = self._names.get(kind)
            if names is None:
                resource = DiscreteResource(kind=kind, value=count)
                chosen.append(GenericResource(discrete_resource_spec=resource))
                continue
            free = [name for name in names if (kind, name) not in self._held_names]
            if len(free) < count:
                raise AssertionError(f"{count} of {kind} are to be claimed, {len(free)} are free")
            chosen += (
                GenericResource(named_resource_spec=NamedResource(kind=kind, value=name))
                for name in free[:count]
            )
        return tuple(chosen)

    def can_hold(self, claims: tuple[GenericResource, ...]) -> bool:
        """Whether all that is claimed exists here and is not held by another task."""
        wanted: dict[str, int] = {}
        for claim in claims:
            named, discrete = claim.named_resource_spec, claim.discrete_resource_spec
            if named is not None:
                known = named.value in self._names.get(named.kind, ())
                if not known or (named.kind, named.value) in self._held_names:
                    return False
            elif discrete is not None:
                wanted[discrete.kind] = wanted.get(discrete.kind, 0) + discrete.value
        return all(
            kind not in self._names and self.free(kind) >= count for kind, count in wanted.items()
        )

    def hold(self, claims: tuple[GenericResource, ...], by: int) -> None:
        """Count claims as held (`by` 1) or as given back (`by` -1)."""
        for claim in claims:
            named, discrete = claim.named_resource_spec, claim.discrete_resource_spec
            if named is not None:
                _add(self._held_names, (named.kind, named.value), by)
            elif discrete is not None:
                _add(self._held, discrete.kind, by * discrete.value)


def _add(counts: dict[K, int], key: K, by: int) -> None:
    left = counts.get(key, 0) + by
    if left:
        counts[key] = left
    else:
        counts.pop(key, None)
