"""What the kernel's part of the mesh must do, whatever it is made of: one contract for all."""

from __future__ import annotations

from typing import Protocol

from swarmd.lb.core.leaving import Due
from swarmd.lb.core.mesh import MeshSide
from swarmd.model.states import Balance


class MeshKernel(Protocol):
    """The node's own namespace and its ingress namespace. All methods block.

    They raise `OSError`, or `NftError`, when the kernel refuses; the next attempt begins anew.
    """

    @property
    def lacking(self) -> frozenset[Balance]:
        """How it can't balance; such services go round."""
        ...

    @property
    def has_ipv6(self) -> bool:
        """Whether it leads IPv6, too, on this node."""
        ...

    def apply(self, *sides: MeshSide) -> None:
        """Bring both namespaces in line: with the mesh of IPv4, and with that of IPv6 if there is
        one."""
        ...

    def forget(self, due: Due) -> None:
        """Cut off what leads to tasks that are gone; have UDP clients of others begin anew."""
        ...

    def repair(self) -> int:
        """Put back what somebody else has changed since `apply`; how many things that were."""
        ...

    def crowded(self) -> tuple[str, ...]:
        """Sentences on namespaces in which hardly any connection can be tracked any more."""
        ...

    def close(self) -> None:
        """Published ports answer no more."""
        ...
