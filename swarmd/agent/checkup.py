"""`swarmd.v1.Checkup`: this node tries its ways to others, and says what is wrong here.

Ways lead to another node from machine to machine, through the ingress network (UDP 4789, if the
first works and this one doesn't), to its manager's port, and to UDP ports of encrypted networks.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from swarmd.agent.ping import NoPing, ping
from swarmd.agent.udp_ways import Answering, ask, is_met
from swarmd.rpc.call import Call
from swarmd.rpc.pb import doctor as pb
from swarmd.runtime.clock import Clock
from swarmd.runtime.timeouts import timeout

CHECKUP = "swarmd.v1.Checkup"
AT_ONCE = 16
CONNECT_TIMEOUT_S = 2.0


class Checkup:
    """Implements `swarmd.v1.Checkup`.

    Args:
        ingress: the namespace of the ingress network on this node; None where it has none.
        problems: what is known to be wrong here, in sentences.
        met: when WireGuard has met the other ends of its sessions last, by their addresses and
            ports; 0: never.
    """

    def __init__(
        self,
        *,
        ingress: Callable[[], Path | None],
        problems: Callable[[], Iterable[str]],
        met: Callable[[], Mapping[tuple[str, int], int]] = dict,
        clock: Clock,
    ) -> None:
        self._met = met
        self._answering = Answering()
        self._ingress = ingress
        self._problems = problems
        self._clock = clock

    async def Examine(self, call: Call, request: pb.ExamineNodeRequest) -> pb.ExamineNodeResponse:
        """Try all ways, beside each other."""
        now = self._clock.now()
        await self._answering.answer(filter(None, map(_split, request.answer_at)))
        met = self._met() if any(one.udp_addresses for one in request.neighbours) else {}
        at_once = asyncio.Semaphore(AT_ONCE)

        async def look(neighbour: pb.Neighbour) -> pb.Ways:
            async with at_once:
                return await self._ways(neighbour, met)

        async with asyncio.TaskGroup() as group:
            looks = [group.create_task(look(neighbour)) for neighbour in request.neighbours]
        return pb.ExamineNodeResponse(
            now=now, ways=[one.result() for one in looks], problems=self._problems()
        )

    def close(self) -> None:
        """Answer others no more."""
        self._answering.close()

    async def _ways(self, neighbour: pb.Neighbour, met: Mapping[tuple[str, int], int]) -> pb.Ways:
        ingress = self._ingress()
        if not neighbour.overlay_address:
            overlay = pb.Trial(untried="it is not on the ingress network")
        elif ingress is None:
            overlay = pb.Trial(untried="this node takes no part in overlay networks")
        else:
            overlay = await self._echo(neighbour.overlay_address, ingress)
        return pb.Ways(
            node_id=neighbour.node_id,
            underlay=await self._echo(neighbour.address, None),
            overlay=overlay,
            manager=await self._connect(neighbour.manager_address),
            udp=[await self._by_udp(one, met) for one in neighbour.udp_addresses],
        )

    async def _by_udp(self, text: str, met: Mapping[tuple[str, int], int]) -> pb.Trial:
        address = _split(text)
        if address is None:
            return pb.Trial(untried=f"{text!r} is no address with a port")
        if address in met:
            return pb.Trial(answered=is_met(met[address], now_ns=self._clock.now()))
        round_trip = await ask(address, clock=self._clock)
        return pb.Trial(answered=round_trip is not None, round_trip=round_trip or 0)

    async def _echo(self, address: str, namespace: Path | None) -> pb.Trial:
        try:
            echo = await ping(address, clock=self._clock, namespace=namespace)
        except NoPing as error:
            return pb.Trial(untried=str(error))
        if echo is None:
            return pb.Trial(answered=False)
        return pb.Trial(answered=True, round_trip=echo.round_trip_ns, mtu=echo.mtu)

    async def _connect(self, address: str) -> pb.Trial:
        at = _split(address)
        if at is None:
            return pb.Trial(untried="it is no manager")
        begun = self._clock.monotonic()
        try:
            async with timeout(CONNECT_TIMEOUT_S):
                _, writer = await asyncio.open_connection(*at)
        except (OSError, TimeoutError):
            return pb.Trial(answered=False)
        writer.transport.abort()
        return pb.Trial(answered=True, round_trip=self._clock.monotonic() - begun)


def _split(address: str) -> tuple[str, int] | None:
    """Host and port; None if it isn't both."""
    host, _, port = address.rpartition(":")
    return (host.strip("[]"), int(port)) if port.isdecimal() else None
