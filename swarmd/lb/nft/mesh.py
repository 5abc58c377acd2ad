"""The kernel's part of the mesh: two tables of rules, and the ways to the other nodes.

What is in place is remembered per namespace, so that a change costs what it changes. `tend` looks
whether somebody else has changed it, and puts it right. All methods block.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from swarmd.lb.core.leaving import Due
from swarmd.lb.core.mesh import MeshPort, MeshState
from swarmd.lb.mesh_ways import bring_ways, set_up
from swarmd.lb.nft import mesh_text as text
from swarmd.lb.nft.forgetting import forget
from swarmd.lb.nft.ruleset import Ruleset, gone, step, whole
from swarmd.lb.tracking import crowded
from swarmd.network.kernel import netns, nft


class _Space:
    """One table in one namespace."""

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self.rules: Ruleset | None = None  # None: nothing is known to be in place
        self.generation = -1

    def bring(self, wanted: Ruleset) -> None:
        """Raises: NftError, OSError; the next attempt begins anew."""
        before, self.rules = self.rules, None
        if before is not None:
            batch = step(before, wanted)
            try:
                if batch:
                    self._run(batch)
                self.rules = wanted
                return
            except nft.NftError:
                pass  # somebody has removed what the step builds on: all anew
        self._run(whole(wanted))
        self.rules = wanted

    def repair(self) -> bool:
        """Put back what was changed; whether that made a difference."""
        if self.rules is None or self._inside(nft.generation) == self.generation:
            return False
        name = self.rules.name
        before = self._inside(lambda: nft.listing(name))
        self._run(whole(self.rules))
        return before != self._inside(lambda: nft.listing(name))

    def _run(self, batch: str) -> None:
        self._inside(lambda: nft.run(batch))
        self.generation = self._inside(nft.generation)

    def _inside(self, call: Callable[[], netns.T]) -> netns.T:
        return netns.inside(self.path, call)


class NftMesh:
    """The tables and ways of one node.

    Args:
        ingress: its ingress namespace.
        node: its own namespace; None: the one this process lives in.
    """

    def __init__(self, ingress: Path, *, node: Path | None = None) -> None:
        self._ingress = ingress
        self._node = node
        self._set_up_in: int | None = None  # the namespace that has its settings
        self._at_node = _Space(node)
        self._at_ingress = _Space(ingress)

    def apply(self, state: MeshState, ports: tuple[MeshPort, ...]) -> None:
        """Bring both namespaces in line.

        Args:
            state: what the ingress namespace is to hold.
            ports: those which the node's own namespace leads there.

        Raises:
            NftError, OSError: the kernel refuses; the next attempt begins anew.
        """
        self._set_up()
        bring_ways(self._ingress, state)
        self._at_ingress.bring(text.at_ingress(state))
        self._at_node.bring(text.at_node(ports))

    def forget(self, due: Due) -> None:
        """Cut off what leads to tasks that are gone; have UDP clients of others begin anew.

        Raises:
            OSError: the kernel refuses; again is fine.
        """
        netns.inside(self._ingress, lambda: forget(due, passes_on=True))

    def repair(self, state: MeshState) -> int:
        """Put back what somebody else has changed; how many things that were."""
        self._set_up()
        repaired = self._at_node.repair() + self._at_ingress.repair()
        return repaired + (bring_ways(self._ingress, state) > 0)

    def _set_up(self) -> None:
        """Have the settings of both namespaces, again where the ingress namespace is another."""
        found = netns.inode(self._ingress)
        if found != self._set_up_in:
            set_up(self._ingress, node=self._node)
            self._set_up_in = found
            self._at_ingress.generation = -1

    def crowded(self) -> tuple[str, ...]:
        """See `MeshKernel.crowded`."""
        return crowded({"the node": self._node, "its ingress namespace": self._ingress})

    def close(self) -> None:
        """Published ports answer no more."""
        netns.inside(self._node, lambda: nft.run(gone(text.TABLE)))
        self._at_node.rules = None
