"""Encrypted networks on one node: the guard, and the mechanisms that it leads packets to.

The guard comes first and goes last. A network whose mechanism isn't to be had here is refused as a
whole, with a sentence that says why: its tasks don't run here, rather than being overheard.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping
from pathlib import Path

from msgspec.structs import replace

from swarmd.model.ids import NetworkId, NodeId
from swarmd.model.network import Mechanism
from swarmd.model.network_keys import IPSEC, NetworkKey
from swarmd.network.core.encryption import (
    Guarded,
    guarded,
    ipsec,
    newest_first,
    own_row,
    peers_of,
    sending,
)
from swarmd.network.core.overlay_plan import Underlay
from swarmd.network.core.tables import NetworkTable
from swarmd.network.core.wireguard import Wireguard, wireguard
from swarmd.network.crypt import guard as guards
from swarmd.network.crypt import ipsec as by_ipsec
from swarmd.network.crypt import wireguard as by_wireguard
from swarmd.network.crypt.tunnel import Tunnel
from swarmd.network.kernel import tun, xfrm
from swarmd.network.kernel import wireguard as kernel_wireguard
from swarmd.network.kernel.nft import NftError

log = logging.getLogger(__name__)

ANSWERS = {
    Mechanism.WIREGUARD: "modprobe wireguard on it",
    Mechanism.IPSEC: "modprobe esp4 xfrm_user on it",
    Mechanism.TUNNEL: "modprobe tun on it",
}


def lacking(scratch: Path | None = None) -> Mapping[Mechanism, str]:
    """Why this machine lacks a mechanism, by mechanism; those it has are not in it. Blocks.

    Args:
        scratch: a namespace to try in; None: this process's.
    """
    found = {
        Mechanism.WIREGUARD: kernel_wireguard.missing(scratch),
        Mechanism.IPSEC: xfrm.missing(scratch),
        Mechanism.TUNNEL: tun.missing(scratch),
    }
    return {mechanism: reason for mechanism, reason in found.items() if reason}


class Encryption:
    """All of it. Its methods are called from one event loop, one at a time.

    Args:
        lacking: the mechanisms this machine hasn't got, and why.
        node: the node's own namespace; None: the one this process lives in.
    """

    def __init__(
        self,
        node_id: NodeId,
        hostname: str,
        underlay: Underlay,
        tunnel: Tunnel,
        *,
        lacking: Mapping[Mechanism, str],
        node: Path | None = None,
    ) -> None:
        self.tunnel = tunnel
        self.lacking = lacking
        self.repaired = 0
        self._node_id = node_id
        self._hostname = hostname
        self._underlay = underlay
        self._node = node
        self._guard: guards.Guard | None = None
        self._tables: tuple[NetworkTable, ...] = ()  # encrypted ones, the refused included
        self._served: tuple[NetworkTable, ...] = ()
        self._refused: Mapping[NetworkId, str] = {}
        self._problem = ""
        self._is_swept = False  # whether all that is there is what this object has made
        self._keys: tuple[NetworkKey, ...] = ()
        self._lock = asyncio.Lock()

    @property
    def mechanisms(self) -> tuple[Mechanism, ...]:
        """Those this machine has."""
        return tuple(mechanism for mechanism in Mechanism if mechanism not in self.lacking)

    @property
    def refused(self) -> Mapping[NetworkId, str]:
        """Networks that can't be had here, and why."""
        return self._refused

    @property
    def problems(self) -> tuple[str, ...]:
        """Sentences on what is not as it should be."""
        own = (self._problem,) if self._problem else ()
        return (*own, *self._refused.values(), *self.tunnel.problems)

    def met(self) -> Mapping[tuple[str, int], int]:
        """When WireGuard has met the other ends of its sessions; nothing where there are none."""
        try:
            return by_wireguard.met(node=self._node)
        except OSError as error:
            log.info("encryption.sessions_unknown reason=%s", error)
            return {}

    async def apply(
        self, tables: Mapping[NetworkId, NetworkTable], leaving: Iterable[NetworkTable] = ()
    ) -> Mapping[NetworkId, NetworkTable]:
        """Encrypt these networks; answers those of all tables that may be made.

        Args:
            leaving: networks that are still made, though no table tells of them any more.
        """
        async with self._lock:
            self._refused = {
                network_id: self._refusal(table)
                for network_id, table in tables.items()
                if table.encrypted and table.mechanism not in self.mechanisms
            }
            self._tables = tuple(table for table in (*tables.values(), *leaving) if table.encrypted)
            self._served = tuple(
                table for table in self._tables if table.network_id not in self._refused
            )
            await self._bring()
            if self._problem:
                self._refused = {
                    **self._refused,
                    **{table.network_id: self._problem for table in self._tables},
                }
        return {key: table for key, table in tables.items() if key not in self._refused}

    def use_keys(self, keys: tuple[NetworkKey, ...]) -> bool:
        """Take over the swarm's ring of keys; True when that is to be followed by an `apply`."""
        mine = newest_first(keys, IPSEC)
        if not mine or mine == self._keys:
            return False
        before, self._keys = self._keys, mine
        if before and sending(mine) != sending(before):
            self.tunnel.renew()
        return True

    async def resize(self, mtu: int) -> None:
        """The underlay takes packets of another size from now on."""
        async with self._lock:
            self._underlay = replace(self._underlay, mtu=mtu)
            if self._tables:
                await self._bring()

    async def tend(self) -> None:
        """Put right what somebody has changed, or couldn't be done before."""
        async with self._lock:
            if self._tables:
                self.repaired += await self._bring()

    async def close(self, *, keep: bool) -> None:
        """Stop; what the kernel holds stays where tasks are kept."""
        async with self._lock:
            await self.tunnel.close()
            if not keep:
                self._tables = self._served = ()
                await self._bring()

    async def _bring(self) -> int:
        if not self._tables and self._guard is None and self._is_swept:
            return 0
        try:
            done = await self._guarded(guarded(self._tables)) if self._tables else 0
            done += await self._by_kernel()
            done += await self._by_tunnel()
            if not self._tables:
                # An earlier daemon may have left some, too.
                await asyncio.to_thread((await self._find_guard()).remove)
                self._guard = None
            self._is_swept = True
        except (OSError, NftError) as error:
            problem = f"encrypted networks can't be had on node {self._hostname}: {error}"
            if problem != self._problem:
                log.warning("encryption.problem reason=%s", error)
            self._problem = problem
            return 0
        self._problem = ""
        return done

    async def _guarded(self, wanted: Guarded) -> int:
        guard = await self._find_guard()
        return int(await asyncio.to_thread(guard.bring, wanted))

    async def _find_guard(self) -> guards.Guard:
        if self._guard is None:
            self._guard = await asyncio.to_thread(
                guards.choose, self._underlay.address, node=self._node
            )
        return self._guard

    async def _by_kernel(self) -> int:
        if self._served and not self._keys:
            # After a start, what an earlier daemon has left goes on until managers tell of keys.
            return 0
        done = 0
        if Mechanism.IPSEC not in self.lacking:
            peers = peers_of(self._served, Mechanism.IPSEC, self._node_id)
            wanted = ipsec(self._underlay.address, peers, self._keys)
            done += await asyncio.to_thread(by_ipsec.bring, wanted, node=self._node)
        if Mechanism.WIREGUARD not in self.lacking:
            done += await asyncio.to_thread(
                by_wireguard.bring, self._wireguard(), self._underlay, node=self._node
            )
        return done

    def _wireguard(self) -> Wireguard:
        me = own_row(self._served, Mechanism.WIREGUARD, self._node_id)
        if me is None:
            return Wireguard()
        peers = peers_of(self._served, Mechanism.WIREGUARD, self._node_id)
        return wireguard(replace(me, underlay=self._underlay.address), peers, self._keys)

    async def _by_tunnel(self) -> int:
        ids = guarded(self._served).of(Mechanism.TUNNEL)
        if Mechanism.TUNNEL in self.lacking:
            return 0
        peers = peers_of(self._served, Mechanism.TUNNEL, self._node_id)
        return int(await self.tunnel.use(peers, ids))

    def _refusal(self, table: NetworkTable) -> str:
        mechanism = table.mechanism
        if mechanism is None:
            return (
                f"network {table.name} is encrypted in a way that node {self._hostname} doesn't "
                "know; update swarmd there"
            )
        return (
            f"network {table.name} is encrypted by {mechanism.value}, which node {self._hostname} "
            f"hasn't got: {self.lacking[mechanism]}; {ANSWERS[mechanism]}, or constrain services "
            "of the network to other nodes"
        )
