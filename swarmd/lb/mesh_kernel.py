"""What the kernel's part of the mesh must do, whatever it is made of: one contract for all."""

from __future__ import annotations

from typing import Protocol

from swarmd.lb.core.leaving import Due
from swarmd.lb.core.mesh import MeshPort, MeshState


class MeshKernel(Protocol):
    """The node's own namespace and its ingress namespace. All methods block.

    They raise `OSError`, or `NftError`, when the kernel refuses; the next attempt begins anew.
    """

    def apply(self, state: MeshState, ports: tuple[MeshPort, ...]) -> None:
        """Bring both namespaces in line.

        Args:
            state: what the ingress namespace is to hold.
            ports: those which the node's own namespace leads there.
        """
        ...

    def forget(self, due: Due) -> None:
        """Cut off what leads to tasks that are gone; have UDP clients of others begin anew."""
        ...

    def repair(self, state: MeshState) -> int:
        """Put back what somebody else has changed; how many things that were."""
        ...

    def crowded(self) -> tuple[str, ...]:
        """Sentences on namespaces in which hardly any connection can be tracked any more."""
        ...

    def close(self) -> None:
        """Published ports answer no more."""
        ...
