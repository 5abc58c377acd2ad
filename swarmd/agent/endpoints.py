"""Follows the endpoint table of the swarm and hands it to this node's balancer.

The table outlives whoever told it: without a manager the last one goes on being served, and it is
kept in a file, so that a daemon that starts again answers before it has found a manager. Kept
tables are a convenience; an unreadable file is left behind with a warning and nothing is lost.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Protocol

import msgspec

from swarmd.agent.core.backoff import Backoff
from swarmd.lb.core.tables import OutOfStep, ServiceEndpoints, Tables, advance
from swarmd.lb.kernel import Balancer
from swarmd.model.env import Rng
from swarmd.model.errors import Rejection
from swarmd.model.instant import MILLISECOND, SECOND
from swarmd.rpc.convert.endpoints import delta_from_pb
from swarmd.rpc.errors import RpcError
from swarmd.rpc.pb import endpoints as pb

log = logging.getLogger(__name__)

BACKOFF = Backoff(first_ns=100 * MILLISECOND, longest_ns=2 * SECOND)
KEEP_EVERY_NS = 1 * SECOND
FORMAT_VERSION = 1


class EndpointsStub(Protocol):
    """Client of `swarmd.v1.Endpoints` at one manager."""

    def Watch(self, request: pb.WatchEndpointsRequest) -> AsyncIterator[Any]: ...


class _Kept(msgspec.Struct, frozen=True):
    """The file: the table last served. Rows keep the names of their fields."""

    format: int
    version: int
    services: tuple[ServiceEndpoints, ...]


class EndpointsFollower:
    """Keeps one balancer in line with the swarm. `run` is its only task."""

    def __init__(self, balancer: Balancer, *, path: Path, rng: Rng) -> None:
        """`path` is where the last table is kept."""
        self._balancer = balancer
        self._path = path
        self._rng = rng
        self._tables = Tables()
        self._stub: EndpointsStub | None = None
        self._stub_changed = asyncio.Event()
        self._keep_timer: asyncio.TimerHandle | None = None

    @property
    def tables(self) -> Tables:
        """What is being served."""
        return self._tables

    def follow(self, stub: EndpointsStub | None) -> None:
        """Watch at this manager from now on; None while there is none to watch."""
        self._stub = stub
        self._stub_changed.set()

    async def run(self) -> None:
        """Serve the table that was kept, then follow managers, until cancelled."""
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
            self._tables = kept
            await self._balancer.apply(kept)

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
            arriving = self._tables
            try:
                async for message in stub.Watch(pb.WatchEndpointsRequest()):
                    attempt = 0
                    delta = delta_from_pb(message)
                    arriving = advance(arriving, delta)
                    if not delta.more:
                        await self._serve(arriving)
                log.debug("endpoints.watch_ended version=%s", self._tables.version)
            except (OutOfStep, RpcError, Rejection) as error:
                log.info("endpoints.watch_lost version=%s error=%s", self._tables.version, error)
            await asyncio.sleep(BACKOFF.delay_ns(attempt, self._rng) / SECOND)
            attempt += 1

    async def _serve(self, tables: Tables) -> None:
        self._tables = tables
        await self._balancer.apply(tables)
        self._keep_soon()

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
            write_tables(self._path, self._tables)
        except OSError as error:
            log.warning(
                "endpoints.not_kept path=%s error=%s: after a restart published ports answer only "
                "once a manager is found",
                self._path,
                error.strerror,
            )


def read_tables(path: Path) -> Tables | None:
    """The table in a file; None, with a warning if it is unreadable, when there is none."""
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
    return Tables(kept.version, {row.service_id: row for row in kept.services})


def write_tables(path: Path, tables: Tables) -> None:
    """Replace the file, so that it holds the old table or the new one, never half of one."""
    kept = _Kept(FORMAT_VERSION, tables.version, tuple(tables.services.values()))
    fresh = path.with_suffix(".new")
    fresh.write_bytes(msgspec.json.encode(kept))
    os.replace(fresh, path)
