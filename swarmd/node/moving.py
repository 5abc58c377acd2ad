"""A node whose address changes while it runs: noticed, followed, and told to the others.

Interfaces get other addresses by DHCP, or by people. The node's data address is followed on its
interface; where it is nowhere to be found for a while, as after a start on another network, the
address by which this machine reaches its managers takes its place. The daemon then resumes its
membership under the new address as a restart would, and tasks run on meanwhile.

A manager of a single one can't tell its workers: they know no other address than the old one.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

from msgspec.structs import replace

from swarmd.model.instant import SECOND, Instant
from swarmd.network.core.whereabouts import Held, Seat, follow, seat_of
from swarmd.network.local import News, survey
from swarmd.runtime.clock import Clock
from swarmd.runtime.timeouts import timeout

from .address import is_loopback, join, split
from .settings import Remote, Settings

log = logging.getLogger(__name__)

LOOK_S = 10.0  # even without news
SETTLE_S = 0.3  # an address goes and another comes
GRACE_NS = 20 * SECOND  # before another interface is looked for


class Placed(Protocol):
    """What has a place on the network: the node as a member of a cluster."""

    settings: Settings

    async def addresses_changed(self) -> None:
        """The machine has got or lost addresses, or interfaces."""
        ...

    async def resize(self, mtu: int) -> None:
        """The interface with the node's data address takes packets of another size."""
        ...


class Whereabouts:
    """Follows the data address of a node.

    Args:
        member: the node, while it is part of a cluster.
        move: has the node resume under another data address than its present one.
    """

    def __init__(
        self,
        member: Callable[[], Placed | None],
        move: Callable[[str], Awaitable[None]],
        *,
        clock: Clock,
    ) -> None:
        self._member = member
        self._move = move
        self._clock = clock
        self._seat: Seat | None = None
        self._refusal = ""
        self._lost_at: Instant | None = None  # when the address was first found to be gone

    async def run(self) -> None:
        """Follow until cancelled, or the machine refuses to tell of its addresses."""
        try:
            with News() as news:
                while True:
                    await self._look()
                    with contextlib.suppress(TimeoutError):
                        async with timeout(LOOK_S):
                            await news.wait()
                            await asyncio.sleep(SETTLE_S)
        except OSError as error:
            if str(error) != self._refusal:
                log.warning("node.unfollowed reason=%s", error)
            self._refusal = str(error)

    async def _look(self) -> None:
        member = self._member()
        if member is None or is_loopback(member.settings.data_addr):
            self._seat = None
            return
        interfaces = await asyncio.to_thread(survey)
        now = self._follow(member.settings, interfaces)
        before, self._seat = self._seat, now or self._seat
        if now is None:
            return
        if now.address != member.settings.data_addr:
            log.warning("node.moved before=%s now=%s", member.settings.data_addr, now.address)
            await self._move(now.address)
            return
        if before is not None and before.mtu != now.mtu:
            log.info("node.resized interface=%s mtu=%d", now.interface, now.mtu)
            await member.resize(now.mtu)
        await member.addresses_changed()

    def _follow(self, settings: Settings, interfaces: Mapping[str, Held]) -> Seat | None:
        address = settings.data_addr
        seat = self._seat if self._seat and self._seat.address == address else None
        now = follow(seat, interfaces) if seat else seat_of(address, interfaces)
        if now is not None:
            self._lost_at = None
            return now
        if self._lost_at is None:
            log.warning("node.address_lost address=%s", address)
            self._lost_at = Instant(self._clock.monotonic())
        if self._clock.monotonic() - self._lost_at < GRACE_NS:
            return None
        return seat_of(_towards(settings.remotes), interfaces)


def moved(settings: Settings, node_id: str, address: str) -> Settings:
    """The settings of a node that is found at another address now, ports unchanged.

    Addresses that were given apart from the data address stay as they are.
    """
    before = settings.data_addr

    def anew(addr: str) -> str:
        host, port = split(addr, what="an address of the node")
        return join(address, port) if host == before and port is not None else addr

    return replace(
        settings,
        listen_addr=anew(settings.listen_addr),
        advertise_addr=anew(settings.advertise_addr),
        data_addr=address,
        remotes=tuple(
            Remote(one.node_id, anew(one.addr) if one.node_id == node_id else one.addr)
            for one in settings.remotes
        ),
    )


def _towards(remotes: tuple[Remote, ...]) -> str:
    """The address by which this machine sends to its managers; empty if it can't. Sends nothing."""
    for remote in remotes:
        host, port = split(remote.addr, what="a manager's address")
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        with socket.socket(family, socket.SOCK_DGRAM) as probing:
            try:
                probing.connect((host, port or 1))
            except OSError:
                continue
            return str(probing.getsockname()[0])
    return ""
