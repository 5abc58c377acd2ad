"""Follows the endpoint tables that concern this node and hands them to its data plane.

There is one of published ports and one of each network the node takes part in. They outlive
whoever told them: without a manager the last ones go on being served, and they are kept in a file,
so that a daemon that starts again answers before it has found a manager. Kept tables are a
convenience; an unreadable file is left behind with a warning and nothing is lost.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import msgspec

from swarmd.agent.core.backoff import Backoff
from swarmd.lb.core import tables as published_tables
from swarmd.lb.core.tables import ServiceEndpoints, Tables
from swarmd.lb.kernel import Balancer
from swarmd.model.env import Rng
from swarmd.model.errors import Rejection
from swarmd.model.ids import NetworkId
from swarmd.model.instant import MILLISECOND, SECOND
from swarmd.network.core import deltas
from swarmd.network.core.deltas import OutOfStep
from swarmd.network.core.tables import NetworkTable
from swarmd.rpc.convert.endpoints import delta_from_pb
from swarmd.rpc.convert.network_tables import network_delta_from_pb
from swarmd.rpc.errors import RpcError
from swarmd.rpc.pb import endpoints as pb

log = logging.getLogger(__name__)

BACKOFF = Backoff(first_ns=100 * MILLISECOND, longest_ns=2 * SECOND)
KEEP_EVERY_NS = 1 * SECOND
FORMAT_VERSION = 1
# The table of published ports, among the ids of networks.
PUBLISHED = NetworkId("")


class EndpointsStub(Protocol):
    """Client of `swarmd.v1.Endpoints` at one manager."""

    def Watch(self, request: pb.WatchEndpointsRequest) -> AsyncIterator[Any]: ...


class Known(msgspec.Struct, frozen=True):
    """What is known of where everything is: mappings are never changed in place."""

    published: Tables = Tables()
    networks: Mapping[NetworkId, NetworkTable] = {}


class TableReport(msgspec.Struct, frozen=True):
    """What became of one table: what could not be done, and how often drift was repaired.

    `moving` is the lowest version at which a task left whose UDP clients may still be led to it by
    this node; 0: there is none.
    """

    problems: tuple[str, ...] = ()
    repaired: int = 0
    moving: int = 0


class DataPlane(Protocol):
    """What brings this node in line with the tables."""

    async def apply(
        self, published: Tables, networks: Mapping[NetworkId, NetworkTable]
    ) -> Mapping[NetworkId, TableReport]:
        """Have these tables in force when it returns, as far as they can be.

        Idempotent and level-triggered. Networks that are not among them are to be left. The answer
        is about tables by the id of their network, the empty one for the published ports; a table
        that it does not name is in force without a word. Cancelling leaves a prefix applied.
        """
        ...


class BalancerOnly:
    """A data plane without networks: published ports alone."""

    def __init__(self, balancer: Balancer) -> None:
        self._balancer = balancer

    async def apply(
        self, published: Tables, networks: Mapping[NetworkId, NetworkTable]
    ) -> Mapping[NetworkId, TableReport]:
        report = await self._balancer.apply(published)
        return {PUBLISHED: TableReport(report.problems)}


class _Kept(msgspec.Struct, frozen=True):
    """The file: the tables last served. Rows keep the names of their fields."""

    format: int
    version: int
    services: tuple[ServiceEndpoints, ...]
    networks: tuple[NetworkTable, ...] = ()


class EndpointsFollower:
    """Keeps a data plane in line with the swarm. `run` is its only task."""

    def __init__(
        self,
        data_plane: DataPlane,
        *,
        path: Path,
        rng: Rng,
        applied: Callable[[Known, Mapping[NetworkId, TableReport]], None] = lambda _known, _is: (
            None
        ),
    ) -> None:
        """`path` is where the last tables are kept; `applied` is told what is in force."""
        self._data_plane = data_plane
        self._applied = applied
        self._path = path
        self._rng = rng
        self._known = Known()
        self._stub: EndpointsStub | None = None
        self._stub_changed = asyncio.Event()
        self._keep_timer: asyncio.TimerHandle | None = None

    @property
    def known(self) -> Known:
        """What is being served."""
        return self._known

    @property
    def tables(self) -> Tables:
        """The published ports that are being served."""
        return self._known.published

    @property
    def networks(self) -> Mapping[NetworkId, NetworkTable]:
        """The networks that are being served."""
        return self._known.networks

    def follow(self, stub: EndpointsStub | None) -> None:
        """Watch at this manager from now on; None while there is none to watch."""
        self._stub = stub
        self._stub_changed.set()

    async def run(self) -> None:
        """Serve the tables that were kept, then follow managers, until cancelled."""
        try:
            await self._serve_kept()
            while True:
                self._stub_changed.clear()
                await self._follow_until_changed()
        finally:
            self._keep_now()

    async def _serve_kept(self) -> None:
        kept = read_tables(self._path)
        if kept is not None:
            await self._apply(kept)

    async def _follow_until_changed(self) -> None:
        """Watch at the present manager until `follow` names another one."""
        async with asyncio.TaskGroup() as group:
            watching = None
            if self._stub is not None:
                watching = group.create_task(self._watch_for_ever(self._stub))
            await self._stub_changed.wait()
            if watching is not None:
                watching.cancel()

    async def _watch_for_ever(self, stub: EndpointsStub) -> None:
        attempt = 0
        while True:
            arriving = Known()  # the first step is of whole tables, and tells of all there are
            try:
                async for message in stub.Watch(pb.WatchEndpointsRequest()):
                    attempt = 0
                    arriving = advance(arriving, message)
                    if not message.more:
                        await self._serve(arriving)
                log.debug("endpoints.watch_ended version=%s", self.tables.version)
            except (OutOfStep, RpcError, Rejection) as error:
                log.info("endpoints.watch_lost version=%s error=%s", self.tables.version, error)
            await asyncio.sleep(BACKOFF.delay_ns(attempt, self._rng) / SECOND)
            attempt += 1

    async def _serve(self, known: Known) -> None:
        await self._apply(known)
        self._keep_soon()

    async def _apply(self, known: Known) -> None:
        self._known = known
        reports = await self._data_plane.apply(known.published, known.networks)
        self._applied(known, reports)

    def _keep_soon(self) -> None:
        """Write the file within a second; changes that come quickly share one write."""
        if self._keep_timer is None:
            loop = asyncio.get_running_loop()
            self._keep_timer = loop.call_later(KEEP_EVERY_NS / SECOND, self._keep_now)

    def _keep_now(self) -> None:
        if self._keep_timer is None:
            return
        self._keep_timer.cancel()
        self._keep_timer = None
        try:
            write_tables(self._path, self._known)
        except OSError as error:
            log.warning(
                "endpoints.not_kept path=%s error=%s: after a restart published ports answer only "
                "once a manager is found",
                self._path,
                error.strerror,
            )


def advance(known: Known, message: pb.EndpointsMessage) -> Known:
    """What is known after a message.

    Raises:
        OutOfStep: something in between was missed.
        Rejection: the message is of a later version than this daemon.
    """
    published = known.published
    for part in message.published:
        published = published_tables.advance(published, delta_from_pb(part))
    if not message.networks and not message.left_network_ids:
        return Known(published, known.networks)
    networks = dict(known.networks)
    for network_id in message.left_network_ids:
        networks.pop(NetworkId(network_id), None)
    for change in message.networks:
        delta = network_delta_from_pb(change)
        networks[delta.network_id] = deltas.advance(networks.get(delta.network_id), delta)
    return Known(published, networks)


def read_tables(path: Path) -> Known | None:
    """The tables in a file; None, with a warning if it is unreadable, when there are none."""
    try:
        kept = msgspec.json.decode(path.read_bytes(), type=_Kept)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.MsgspecError) as error:
        log.warning("endpoints.unreadable path=%s error=%s: starting without", path, error)
        return None
    if kept.format != FORMAT_VERSION:
        log.warning("endpoints.unreadable path=%s format=%s: starting without", path, kept.format)
        return None
    return Known(
        Tables(kept.version, {row.service_id: row for row in kept.services}),
        {table.network_id: table for table in kept.networks},
    )


def write_tables(path: Path, known: Known) -> None:
    """Replace the file, so that it holds the old tables or the new ones, never half of them."""
    kept = _Kept(
        FORMAT_VERSION,
        known.published.version,
        tuple(known.published.services.values()),
        tuple(known.networks.values()),
    )
    fresh = path.with_suffix(".new")
    fresh.write_bytes(msgspec.json.encode(kept))
    os.replace(fresh, path)
