"""Where a simulated manager lives; implements `node.premises.Premises`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from random import Random

from swarmd.manager.manager import Ground, Manager
from swarmd.model.ids import NodeId
from swarmd.raft import storage
from swarmd.raft.config import RaftConfig
from swarmd.raft.members import Member
from swarmd.rpc.channel import Channel
from swarmd.rpc.router import Router
from swarmd.rpc.tls import RAFT_ALPN
from swarmd.runtime.chance import RandomIds
from swarmd.runtime.clock import Clock
from swarmd.sim.disk import SimDisk
from swarmd.sim.identity import SimSigner
from swarmd.sim.network import SimContext
from swarmd.sim.parts import SimWorker
from swarmd.store.changes import Transaction


class SimPremises:
    """The Raft directory of a simulated machine, and what its manager is made of.

    Args:
        on_manager: told each manager before it starts, for checkers to listen.
    """

    def __init__(
        self,
        disk: SimDisk,
        *,
        node_id: NodeId,
        address: str,
        raft_config: RaftConfig,
        router: Router,
        dial: Callable[[str], Channel],
        make_worker: Callable[[str], SimWorker],
        clock: Clock,
        rng: Random,
        on_manager: Callable[[Manager], None],
        on_removed_node: Callable[[str], None],
        on_fatal: Callable[[str], None],
    ) -> None:
        self._disk = disk
        self._node_id = node_id
        self._address = address
        self._raft_config = raft_config
        self._router = router
        self._dial = dial
        self._make_worker = make_worker
        self._clock = clock
        self._rng = rng
        self._on_manager = on_manager
        self._on_removed_node = on_removed_node
        self._on_fatal = on_fatal
        # What a certificate says is the business of the machine's endpoint.
        self._context = SimContext.make(b"", RAFT_ALPN)

    def is_initialised(self) -> bool:
        return storage.is_initialised(self._disk)

    def found(self, member: Member) -> None:
        storage.found(self._disk, member, None, self._raft_config).wal.close()

    def prepare(self, member: Member) -> None:
        storage.prepare(self._disk, member, None, self._raft_config).wal.close()

    def wipe(self) -> None:
        self._disk.wipe()

    def dial(self, address: str) -> Channel:
        return self._dial(address)

    def make_manager(self, founding: Transaction | None) -> Manager:
        rng = self._rng
        manager = Manager(
            node_id=self._node_id,
            raft_directory=Path("/nonexistent"),
            raft_context=lambda: self._context,
            advertise_addr=self._address,
            router=self._router,
            clock=self._clock,
            rng=Random(rng.getrandbits(64)),
            founding=founding,
            on_removed_node=self._on_removed_node,
            on_fatal=self._on_fatal,
            ground=Ground(
                raft_config=self._raft_config,
                raft_disk=self._disk,
                raft_worker=self._make_worker,
                ids=RandomIds(Random(rng.getrandbits(64))),
                entropy=Random(rng.getrandbits(64)).randbytes,
                signer_of=SimSigner,
            ),
        )
        self._on_manager(manager)
        return manager
