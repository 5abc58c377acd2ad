"""The kernel's part of the mesh: two tables of rules per family, and the ways to the other nodes.

What is in place is remembered per namespace, so that a change costs what it changes. `tend` looks
whether somebody else has changed it, and puts it right. All methods block.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from swarmd.lb.core.leaving import Due
from swarmd.lb.core.mesh import MeshSide, MeshState, mark_of_target
from swarmd.lb.mesh_ways import bring_ways, set_up
from swarmd.lb.nft import mesh_text as text
from swarmd.lb.nft.choosing import LACKING
from swarmd.lb.nft.forgetting import forget
from swarmd.lb.nft.ruleset import Ruleset, gone, step, whole
from swarmd.lb.tracking import crowded
from swarmd.model.states import Balance
from swarmd.network.core.tables import IPV4
from swarmd.network.kernel import forwarding, netns, nft


class _Space:
    """One table in one namespace.

    Args:
        others: all tables of ours there, which share one number of changes; this one joins them.
    """

    def __init__(self, path: Path | None, others: dict[int, _Space]) -> None:
        self.path = path
        self._others = others
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
        def run() -> tuple[int, int]:
            before = nft.generation()
            nft.run(batch)
            return before, nft.generation()

        before, after = self._inside(run)
        for one in (self, *self._others.values()):
            # Who was up to date is so still: this was no change by somebody else.
            if one is self or one.generation == before:
                one.generation = after

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
        self._set_up_for: tuple[int | None, int] | None = None  # the namespace, and how many sides
        self._sides: tuple[MeshSide, ...] = ()
        self._at_node: dict[int, _Space] = {}  # by family
        self._at_ingress: dict[int, _Space] = {}

    @property
    def lacking(self) -> frozenset[Balance]:
        """See `MeshKernel.lacking`."""
        return LACKING

    @property
    def has_ipv6(self) -> bool:
        """See `MeshKernel.has_ipv6`."""
        return netns.inside(self._node, forwarding.has_ipv6)

    def apply(self, *sides: MeshSide) -> None:
        """See `MeshKernel.apply`.

        Raises:
            NftError, OSError: the kernel refuses; the next attempt begins anew.
        """
        self._sides = sides
        self._set_up()
        for version in self._at_node.keys() - {side.state.version for side in sides}:
            self._leave(version)
        bring_ways(self._ingress, self._states)
        for side in sides:
            version = side.state.version
            for path, spaces, rules in (
                (self._ingress, self._at_ingress, text.at_ingress(side.state)),
                (self._node, self._at_node, text.at_node(side.ports, version)),
            ):
                if version not in spaces:
                    spaces[version] = _Space(path, spaces)
                spaces[version].bring(rules)

    def forget(self, due: Due) -> None:
        """Cut off what leads to tasks that are gone; have UDP clients of others begin anew.

        Raises:
            OSError: the kernel refuses; again is fine.
        """
        netns.inside(self._ingress, lambda: forget(due, passes_on=True, mark_of=mark_of_target))

    def repair(self) -> int:
        """See `MeshKernel.repair`."""
        self._set_up()
        spaces = (*self._at_node.values(), *self._at_ingress.values())
        repaired = sum(space.repair() for space in spaces)
        return repaired + (bring_ways(self._ingress, self._states) > 0)

    @property
    def _states(self) -> tuple[MeshState, ...]:
        return tuple(side.state for side in self._sides)

    def _set_up(self) -> None:
        """Have the settings of both namespaces, again where the ingress namespace is another."""
        found = (netns.inode(self._ingress), len(self._sides))
        if found != self._set_up_for:
            ipv6 = any(state.version != IPV4 for state in self._states)
            set_up(self._ingress, node=self._node, ipv6=ipv6)
            self._set_up_for = found
            for space in self._at_ingress.values():
                space.generation = -1

    def crowded(self) -> tuple[str, ...]:
        """See `MeshKernel.crowded`."""
        return crowded({"the node": self._node, "its ingress namespace": self._ingress})

    def close(self) -> None:
        """Published ports answer no more."""
        for version in tuple(self._at_node):
            self._leave(version)

    def _leave(self, version: int) -> None:
        """Have the node lead no packets of this family to its ingress namespace."""
        netns.inside(self._node, lambda: nft.run(gone(text.table(version))))
        del self._at_node[version]
