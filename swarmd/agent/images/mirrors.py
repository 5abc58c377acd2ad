"""The mirrors of registries that a node asks: its own first, then the cluster's."""

from __future__ import annotations

from collections.abc import Iterable

from swarmd.model.mirrors import RegistryMirror


class Mirrors:
    """Mirrors by registry.

    Args:
        own: those that the node was started with.
    """

    def __init__(self, own: Iterable[RegistryMirror] = ()) -> None:
        self._own = tuple(own)
        self._cluster: tuple[RegistryMirror, ...] = ()

    def set_cluster(self, mirrors: Iterable[RegistryMirror]) -> None:
        """The cluster's mirrors from now on."""
        self._cluster = tuple(mirrors)

    def of(self, registry: str) -> tuple[str, ...]:
        """Where to ask for a registry's images, in order."""
        every = (*self._own, *self._cluster)
        return tuple(dict.fromkeys(row.url for row in every if row.registry == registry))
