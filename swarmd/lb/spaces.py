"""Virtual addresses, namespace by namespace: what all kernel back ends have in common.

A back end says how one namespace is brought in line (`Space`). Here is decided which services a
namespace has, when what leads to a task that left is forgotten, and when to look after drift.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Protocol

from swarmd.lb.core.balance import unserved
from swarmd.lb.core.leaving import Due, Leaving
from swarmd.lb.core.virtual import VirtualService
from swarmd.lb.virtual import Tended
from swarmd.model.ids import NetworkId
from swarmd.model.instant import SECOND, Instant
from swarmd.model.states import Balance
from swarmd.network.core.tables import NetworkTable
from swarmd.network.kernel import netns
from swarmd.network.kernel.nft import NftError
from swarmd.runtime.clock import Clock

log = logging.getLogger(__name__)

VERIFY_EVERY_NS = 10 * SECOND

Services = Mapping[str, VirtualService]  # by address


class Space(Protocol):
    """One namespace in the hands of a back end. All methods block, and raise NftError or OSError.

    After an exception nothing is assumed of what is in place.
    """

    def bring(self, wanted: Services) -> None:
        """Have these services; nearly free when they are the very same as before."""
        ...

    def forget(self, due: Due) -> None:
        """Cut off what leads to targets that are gone; have UDP clients of others begin anew.

        It may be called while another method is at work.
        """
        ...

    def repair(self) -> bool:
        """Put back what somebody else has changed; whether there was anything."""
        ...


class NamespaceBalancer:
    """Implements `VirtualBalancer`.

    Args:
        services: what a network's table makes of its services, for this back end.
        space: takes charge of the namespace at a path; nothing is known to be in place there.
        lacking: how this back end can't balance. Who asks for it gets the usual round, and is told.
    """

    def __init__(
        self,
        name: str,
        *,
        services: Callable[[NetworkTable], tuple[VirtualService, ...]],
        space: Callable[[Path], Space],
        clock: Clock,
        lacking: frozenset[Balance] = frozenset(),
    ) -> None:
        self.name = name
        self._make_services = services
        self._make_space = space
        self._clock = clock
        self._lacking = lacking
        self._tables: Mapping[NetworkId, NetworkTable] = {}
        self._services: dict[NetworkId, tuple[NetworkTable, Services]] = {}
        self._merged: dict[tuple[NetworkId, ...], tuple[tuple[Services, ...], Services]] = {}
        self._members: dict[Path, tuple[NetworkId, ...]] = {}
        self._spaces: dict[Path, Space] = {}
        self._leaving = Leaving()
        self._verified_at = Instant(0)

    async def apply(
        self,
        tables: Mapping[NetworkId, NetworkTable],
        members: Mapping[Path, tuple[NetworkId, ...]],
    ) -> tuple[str, ...]:
        self._members = dict(members)
        self._services = {
            network_id: self._services_of(table) for network_id, table in tables.items()
        }
        self._merged = {networks: self._merge(networks) for networks in set(members.values())}
        self._spaces = {path: self._spaces.get(path) or self._make_space(path) for path in members}
        problems = await asyncio.to_thread(lambda: tuple(self._bring(self._members)))
        # Not before the rules are in force: until then new connections lead to those who leave.
        now = Instant(self._clock.monotonic())
        before, after = self._tables, tables
        self._leaving.note(
            (table for key, table in before.items() if after.get(key) is not table),
            (table for key, table in after.items() if before.get(key) is not table),
            now,
        )
        self._tables = tables
        return (*problems, *self._unserved())

    async def attend(self, path: Path, networks: tuple[NetworkId, ...]) -> tuple[str, ...]:
        self._members[path] = networks
        self._merged[networks] = self._merge(networks)
        self._spaces[path] = self._make_space(path)
        return await asyncio.to_thread(lambda: tuple(self._bring({path: networks})))

    async def tend(self) -> Tended:
        now = self._clock.monotonic()
        if now - self._verified_at < VERIFY_EVERY_NS:
            return Tended()
        self._verified_at = Instant(now)
        return await asyncio.to_thread(self._repair)

    async def move(self) -> bool:
        await self._forget(self._leaving.moved(Instant(self._clock.monotonic())))
        return bool(self._leaving.moving)

    async def forget(self) -> bool:
        await self._forget(self._leaving.gone(Instant(self._clock.monotonic())))
        return self._leaving.ending

    async def _forget(self, due: Due) -> None:
        if not due:
            return
        if await asyncio.to_thread(_forget, tuple(self._spaces.items()), due):
            self._leaving.done(due)
        else:
            self._leaving.failed(due, Instant(self._clock.monotonic()))

    @property
    def moving(self) -> Mapping[NetworkId, int]:
        return self._leaving.moving

    def _unserved(self) -> tuple[str, ...]:
        rows = (row for table in self._tables.values() for row in table.services.values())
        asked = ((row.name, row.balance) for row in rows if row.virtual_ips)
        return tuple(dict.fromkeys(unserved(asked, by=self.name, lacking=self._lacking)))

    def _services_of(self, table: NetworkTable) -> tuple[NetworkTable, Services]:
        known = self._services.get(table.network_id)
        if known is not None and known[0] is table:
            return known
        return table, {row.address: row for row in self._make_services(table)}

    def _merge(self, networks: tuple[NetworkId, ...]) -> tuple[tuple[Services, ...], Services]:
        """The services of these networks together, and what they are made of.

        All namespaces on the same networks are handed the same object, for as long as it holds.
        """
        parts = tuple(self._services[one][1] for one in networks if one in self._services)
        known = self._merged.get(networks)
        if known is not None and tuple(map(id, known[0])) == tuple(map(id, parts)):
            return known
        return parts, {address: row for part in parts for address, row in part.items()}

    def _bring(self, members: Mapping[Path, tuple[NetworkId, ...]]) -> Iterator[str]:
        """Bring namespaces in line; yields a sentence for each that could not be."""
        for path, networks in members.items():
            try:
                self._spaces[path].bring(self._merged[networks][1])
            except (NftError, OSError) as error:
                if netns.exists(path):  # or else it has ended with its task meanwhile
                    yield _problem(path, error)

    def _repair(self) -> Tended:
        repaired, problems = 0, []
        for path, space in self._spaces.items():
            try:
                repaired += space.repair()
            except (NftError, OSError) as error:
                if netns.exists(path):
                    problems.append(_problem(path, error))
        return Tended(repaired=repaired, problems=tuple(problems))


def _forget(spaces: Iterable[tuple[Path, Space]], due: Due) -> bool:
    """Whether it could be done everywhere."""
    is_done = True
    for path, space in spaces:
        try:
            space.forget(due)
        except FileNotFoundError:
            continue  # the namespace ended, and its connections with it
        except OSError as error:
            is_done = False
            log.warning("virtual.not_forgotten task.id=%s reason=%s", path.name, error)
    return is_done


def _problem(path: Path, error: Exception) -> str:
    return f"virtual addresses of task {path.name} are not up to date: {error}"
