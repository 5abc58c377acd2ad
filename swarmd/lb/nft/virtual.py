"""The nftables back end for virtual addresses: what is in place in each namespace, and the calls.

Rules of a namespace nobody else should touch bear one mark of time, the generation of its rule set.
When it is another than after our last batch, somebody has been there: the whole table is put back,
and it counts as a repair if that made a difference.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

from swarmd.lb.core.virtual import (
    VirtualService,
    compare,
    departed,
    mark_of,
    retired,
    virtual_services,
)
from swarmd.lb.nft import virtual_text as text
from swarmd.lb.virtual import Tended
from swarmd.model.ids import NetworkId
from swarmd.model.instant import SECOND, Instant
from swarmd.network.core.tables import NetworkTable
from swarmd.network.kernel import conntrack, netns, nft
from swarmd.runtime.clock import Clock

log = logging.getLogger(__name__)

# Answers under way when a task leaves the balancers have arrived by then.
UDP_REST_NS = 1 * SECOND
VERIFY_EVERY_NS = 10 * SECOND


class _Space:
    """What is in place in one namespace."""

    def __init__(self) -> None:
        self.services: dict[str, VirtualService] = {}
        self.leads: Counter[str] = Counter()  # how many services lead to each target
        self.generation = -1  # after our last batch; -1: nothing is known to be in place


class NftVirtual:
    """Implements `VirtualBalancer`."""

    name = "nft"

    def __init__(self, *, clock: Clock) -> None:
        self._clock = clock
        self._tables: Mapping[NetworkId, NetworkTable] = {}
        self._services: dict[NetworkId, tuple[NetworkTable, dict[str, VirtualService]]] = {}
        self._members: Mapping[Path, tuple[NetworkId, ...]] = {}
        self._spaces: dict[Path, _Space] = {}
        self._resting: list[tuple[Instant, frozenset[str]]] = []
        self._verified_at = Instant(0)

    async def apply(
        self,
        tables: Mapping[NetworkId, NetworkTable],
        members: Mapping[Path, tuple[NetworkId, ...]],
    ) -> tuple[str, ...]:
        gone = departed(self._tables.values(), tables.values())
        leaving = retired(self._tables.values(), tables.values())
        if leaving:
            self._resting.append((Instant(self._clock.monotonic() + UDP_REST_NS), leaving))
        self._tables, self._members = tables, members
        self._services = {
            network_id: self._services_of(table) for network_id, table in tables.items()
        }
        self._spaces = {path: self._spaces.get(path) or _Space() for path in members}
        return await asyncio.to_thread(self._apply, gone)

    async def tend(self) -> Tended:
        now = self._clock.monotonic()
        rested = frozenset(
            address for due, addresses in self._resting if due <= now for address in addresses
        )
        self._resting = [row for row in self._resting if row[0] > now]
        verify = now - self._verified_at >= VERIFY_EVERY_NS
        if verify:
            self._verified_at = Instant(now)
        if not rested and not verify:
            return Tended()
        return await asyncio.to_thread(self._tend, rested, verify)

    def _services_of(self, table: NetworkTable) -> tuple[NetworkTable, dict[str, VirtualService]]:
        known = self._services.get(table.network_id)
        if known is not None and known[0] is table:
            return known
        return table, {row.address: row for row in virtual_services(table)}

    def _apply(self, gone: frozenset[str]) -> tuple[str, ...]:
        problems = []
        for path, networks in self._members.items():
            wanted = {
                address: row
                for network_id in networks
                if network_id in self._services
                for address, row in self._services[network_id][1].items()
            }
            problem = self._bring(path, self._spaces[path], wanted, gone)
            if problem:
                problems.append(problem)
        return tuple(problems)

    def _bring(
        self, path: Path, space: _Space, wanted: dict[str, VirtualService], gone: frozenset[str]
    ) -> str:
        """Bring one namespace in line; answers what went wrong."""
        if space.generation < 0:
            return self._replace(path, space, wanted)
        change = compare(space.services, wanted)
        if not change and not gone:
            return ""
        before = space.leads.copy()
        for _, row in change.changed:
            space.leads.update(target.address for target in row.targets)
        for row in change.added:
            space.leads.update(target.address for target in row.targets)
        for row in (*change.removed, *(row for row, _ in change.changed)):
            space.leads.subtract(target.address for target in row.targets)
        space.leads = +space.leads
        batch = text.step(
            change,
            arrived=tuple(space.leads.keys() - before.keys()),
            left=tuple(before.keys() - space.leads.keys()),
        )
        try:
            space.generation = netns.inside(path, lambda: _run(batch, gone))
        except nft.NftError as error:
            log.warning("nft.step_refused namespace=%s reason=%s: all anew", path.name, error)
            return self._replace(path, space, wanted)
        except OSError as error:
            space.generation = -1
            return _problem(path, error)
        space.services = wanted
        return ""

    def _replace(self, path: Path, space: _Space, wanted: dict[str, VirtualService]) -> str:
        batch = text.whole(wanted.values())
        space.generation = -1
        try:
            space.generation = netns.inside(path, lambda: _run(batch, ()))
        except (nft.NftError, OSError) as error:
            return _problem(path, error)
        space.services = wanted
        space.leads = Counter(target.address for row in wanted.values() for target in row.targets)
        return ""

    def _tend(self, rested: frozenset[str], verify: bool) -> Tended:
        repaired, problems = 0, []
        for path, space in self._spaces.items():
            try:
                if rested:
                    netns.inside(path, lambda: _release_udp(rested))
                if verify and netns.inside(path, nft.generation) != space.generation:
                    before = netns.inside(path, _listing)
                    problem = self._replace(path, space, space.services)
                    problems += [problem] if problem else []
                    repaired += before != netns.inside(path, _listing)
            except OSError as error:
                problems.append(_problem(path, error))
        return Tended(repaired=repaired, problems=tuple(problems))


def _run(batch: str, gone: Iterable[str]) -> int:
    if batch:
        nft.run(batch)
    for address in gone:
        conntrack.flush(mark_of(address))
    return nft.generation()


def _release_udp(addresses: frozenset[str]) -> None:
    for address in addresses:
        conntrack.flush_udp(mark_of(address))


def _listing() -> str:
    return "".join(nft.listing(f"{family} {text.TABLE}") for family in ("ip", "ip6"))


def _problem(path: Path, error: Exception) -> str:
    return f"virtual addresses of task {path.name} are not up to date: {error}"
