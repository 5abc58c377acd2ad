"""All back ends that balance a service, as `BalancingContract` has them.

Virtual addresses by nftables and IPVS are tried between namespaces, published ports by the proxy on
loopback.
"""

from __future__ import annotations

import asyncio
import os
import random
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple

import pytest
from msgspec.structs import replace

from swarmd.lb.core.tables import PublishedPort, ServiceEndpoints
from swarmd.lb.ipvs.virtual import ipvs_virtual
from swarmd.lb.ipvs.virtual import missing as ipvs_missing
from swarmd.lb.nft.virtual import nft_virtual
from swarmd.lb.proxy import Place, ProxyBalancer
from swarmd.lb.virtual import VirtualBalancer
from swarmd.model.ids import ServiceId
from swarmd.model.states import Balance, Protocol
from swarmd.network.kernel import netns, nft
from swarmd.runtime.clock import SystemClock
from tests.support import echo, virtual_world
from tests.support.balancing_contract import BackEnd, Balanced, Connection
from tests.support.hand_clock import HandClock
from tests.support.virtual_world import ADDRESSES, NETWORK, PATIENCE_S, PORT, World, world

CLIENTS = 8


class VirtualAddress:
    """A virtual address between namespaces: each that calls it has it in its own."""

    def __init__(self, made: World, balancer: VirtualBalancer, *, ipv6: bool) -> None:
        self._world = made
        self._balancer = balancer
        self._address = ADDRESSES[int(ipv6)]
        self._version = 0
        self._callers: tuple[Path, ...] = (made.client,)
        self.clients = tuple(made.more_clients(CLIENTS, ipv6=ipv6))

    async def serve(
        self,
        weights: Mapping[str, int],
        balance: Balance = Balance.ROUND_ROBIN,
        *,
        more: int = 0,
    ) -> tuple[str, ...]:
        self._version += 1
        tables = virtual_world.table(
            self._world,
            ready="".join(weights),
            weights=weights,
            balance=balance,
            version=self._version,
            more=more,
        )
        return await self._balancer.apply(tables, dict.fromkeys(self._callers, (NETWORK,)))

    def connect(self, client: str = "") -> Connection:
        sock = virtual_world.connect(self._world.client, self._address, client)
        return sock.recv(10).decode(), sock

    async def call_from(self, task: str) -> str:
        path = self._world.tasks[task].path
        assert await self._balancer.attend(path, (NETWORK,)) == ()
        return await asyncio.to_thread(virtual_world.ask, path, self._address)

    def datagrams(self) -> socket.socket:
        family = socket.AF_INET6 if ":" in self._address else socket.AF_INET
        sock = netns.inside(self._world.client, lambda: socket.socket(family, socket.SOCK_DGRAM))
        sock.settimeout(PATIENCE_S)
        sock.connect((self._address, PORT))
        return sock

    async def firsts(self) -> list[str]:
        self._callers = tuple(self._world.members)
        await self.serve(dict.fromkeys(self._world.tasks, 1))
        return [
            await asyncio.to_thread(virtual_world.ask, path, self._address)
            for path in self._callers
        ]


@asynccontextmanager
async def _virtual(
    make: Callable[[], VirtualBalancer], tasks: str, ipv6: bool
) -> AsyncIterator[Balanced]:
    with world(tasks) as made:
        yield VirtualAddress(made, make(), ipv6=ipv6)


class Both(NamedTuple):
    """A task of both protocols, each at a port of its own."""

    tcp: echo.TcpTask
    udp: echo.UdpTask


class ProxiedPort:
    """A port that a proxy answers on loopback."""

    entry = ("127.0.0.7", "::1")

    def __init__(self, tasks: Mapping[str, Both], *, ipv6: bool) -> None:
        self._tasks = tasks
        self._family = socket.AF_INET6 if ipv6 else socket.AF_INET
        self._address = self.entry[int(ipv6)]
        self._port = echo.free_port(self._address)
        self._version = 0
        self._proxy = self._proxy_of("n1")
        # IPv6 has one address for all of loopback.
        self.clients = ("::1",) if ipv6 else tuple(f"127.0.1.{n}" for n in range(1, CLIENTS + 1))

    async def close(self) -> None:
        await self._proxy.close()

    async def serve(
        self,
        weights: Mapping[str, int],
        balance: Balance = Balance.ROUND_ROBIN,
        *,
        more: int = 0,
    ) -> tuple[str, ...]:
        self._version += 1
        tables = echo.table(self._version, *self._rows(weights, balance), *_others(more))
        return (await self._proxy.apply(tables)).problems

    def connect(self, client: str = "") -> Connection:
        sock = socket.socket(self._family)
        sock.settimeout(PATIENCE_S)
        try:
            if client:
                sock.bind((client, 0))
            sock.connect((self._address, self._port))
        except OSError:
            sock.close()
            raise
        return sock.recv(10).decode().strip(), sock

    async def call_from(self, task: str) -> str:
        name, sock = await asyncio.to_thread(self.connect, self._tasks[task].tcp.address)
        sock.close()
        return name

    def datagrams(self) -> socket.socket:
        sock = socket.socket(self._family, socket.SOCK_DGRAM)
        sock.settimeout(PATIENCE_S)
        sock.connect((self._address, self._port))
        return sock

    async def firsts(self) -> list[str]:
        names = []
        for node in range(6):
            await self._proxy.close()
            self._proxy = self._proxy_of(f"n{node}")
            await self.serve(dict.fromkeys(self._tasks, 1))
            name, sock = await asyncio.to_thread(self.connect)
            sock.close()
            names.append(name)
        return names

    def _proxy_of(self, node: str) -> ProxyBalancer:
        place = Place(node_name=node, listen=self.entry)
        return ProxyBalancer(place=place, clock=SystemClock(), rng=random.Random(node))

    def _rows(self, weights: Mapping[str, int], balance: Balance) -> list[ServiceEndpoints]:
        """One row for each protocol: a task of either listens at a port of its own."""
        rows = []
        for protocol in (Protocol.TCP, Protocol.UDP):
            chosen = [
                both.tcp if protocol is Protocol.TCP else both.udp
                for name, both in self._tasks.items()
                if name in weights
            ]
            row = echo.service(self._port, *chosen, name=protocol.value, protocol=protocol)
            backends = tuple(
                replace(backend, weight=weights[backend.task_id]) for backend in row.backends
            )
            rows.append(replace(row, backends=backends, balance=balance))
        return rows


def _others(count: int) -> list[ServiceEndpoints]:
    return [
        ServiceEndpoints(
            service_id=ServiceId(f"other-{number}"),
            service_name=f"other{number}",
            ports=(PublishedPort(Protocol.TCP, 12_000 + number, 80),),
        )
        for number in range(count)
    ]


@asynccontextmanager
async def _proxied(tasks: str, ipv6: bool) -> AsyncIterator[Balanced]:
    address = "::1" if ipv6 else "127.0.0.1"
    made = {name: Both(echo.TcpTask(name, address), echo.UdpTask(name, address)) for name in tasks}
    async with echo.running(*(task for both in made.values() for task in both)):
        port = ProxiedPort(made, ipv6=ipv6)
        try:
            yield port
        finally:
            await port.close()


def _lacking(missing: Callable[[], str]) -> str:
    return missing() if os.geteuid() == 0 else "namespaces need root"


NFT = BackEnd(
    "nft",
    partial(_virtual, lambda: nft_virtual(clock=HandClock(0))),
    least_connection=False,
    lacking=lambda: _lacking(nft.missing),
)
IPVS = BackEnd(
    "ipvs",
    partial(_virtual, lambda: ipvs_virtual(clock=HandClock(0))),
    least_connection=True,
    lacking=lambda: _lacking(ipvs_missing),
)
PROXY = BackEnd("proxy", _proxied, least_connection=True, lacking=lambda: "")


def parameters(*back_ends: BackEnd) -> list[pytest.ParameterSet]:
    """For a fixture: those that can't be had here are skipped, and say why."""
    return [
        pytest.param(
            one, id=one.name, marks=pytest.mark.skipif(bool(one.lacking()), reason=one.lacking())
        )
        for one in back_ends
    ]
