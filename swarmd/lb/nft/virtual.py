"""Virtual addresses by nftables: what is in place in a namespace, and the batches that change it.

Rules of a namespace nobody else should touch bear one mark of time, the generation of its rule set.
When it is another than after our last batch, somebody has been there: the whole table is put back,
and it counts as a repair if that made a difference.
"""

from __future__ import annotations

import logging
from collections import Counter
from pathlib import Path

from msgspec.structs import replace

from swarmd.lb.core.leaving import Due
from swarmd.lb.core.virtual import VirtualChange, compare, virtual_services
from swarmd.lb.nft import virtual_text as text
from swarmd.lb.nft.choosing import LACKING
from swarmd.lb.nft.forgetting import forget
from swarmd.lb.spaces import NamespaceBalancer, Services
from swarmd.network.kernel import netns, nft
from swarmd.runtime.clock import Clock

log = logging.getLogger(__name__)


def nft_virtual(*, clock: Clock) -> NamespaceBalancer:
    """The back end that needs nftables with address translation, and nothing else."""
    return NamespaceBalancer(
        "nft", services=virtual_services, space=NftSpace, clock=clock, lacking=LACKING
    )


class NftSpace:
    """Implements `Space`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._services: Services | None = None  # None: nothing is known to be in place
        self._leads: Counter[str] = Counter()  # how many services lead to each target
        self._led: set[str] = set()  # and to which they have, since it was forgotten last
        self._generation = -1

    def bring(self, wanted: Services) -> None:
        if self._services is None:
            self._replace(wanted)
            return
        change = compare(self._services, wanted)
        if not change:
            return
        if (change.added or change.removed) and (
            text.families(wanted.values()) != text.families(self._services.values())
        ):
            self._replace(wanted)
            return
        leads = _after(self._leads, change)
        batch = text.step(
            change,
            arrived=tuple(leads.keys() - self._leads.keys()),
            left=tuple(self._leads.keys() - leads.keys()),
            who=self._path.name,
        )
        self._services = None
        self._led |= leads.keys()
        try:
            self._generation = netns.inside(self._path, lambda: _run(batch))
        except nft.NftError as error:
            log.warning("nft.step_refused task.id=%s reason=%s: all anew", self._path.name, error)
            self._replace(wanted)
            return
        self._services, self._leads = wanted, leads

    def forget(self, due: Due) -> None:
        """For targets that this namespace was never led to the kernel need not look."""
        mine = replace(due, gone=due.gone & self._led, moved=due.moved & self._led)
        if mine:
            netns.inside(self._path, lambda: forget(mine, passes_on=False))
            self._led -= mine.gone - self._leads.keys()

    def repair(self) -> bool:
        services = self._services
        if services is None or netns.inside(self._path, nft.generation) == self._generation:
            return False
        before = netns.inside(self._path, _listing)
        self._replace(services)
        return before != netns.inside(self._path, _listing)

    def _replace(self, wanted: Services) -> None:
        batch = text.whole(wanted.values(), who=self._path.name)
        self._services = None
        self._generation = netns.inside(self._path, lambda: _run(batch))
        self._services = wanted
        self._leads = Counter(target.address for row in wanted.values() for target in row.targets)
        self._led |= self._leads.keys()


def _after(leads: Counter[str], change: VirtualChange) -> Counter[str]:
    after = leads.copy()
    for row in (*change.added, *(new for _, new in change.changed)):
        after.update(target.address for target in row.targets)
    for row in (*change.removed, *(old for old, _ in change.changed)):
        after.subtract(target.address for target in row.targets)
    return +after


def _run(batch: str) -> int:
    if batch:
        nft.run(batch)
    return nft.generation()


def _listing() -> str:
    return "".join(nft.listing(f"{family} {text.TABLE}") for family in ("ip", "ip6"))
