"""Snapshots between members: handing out the newest one, and fetching the leader's when told to.

How a snapshot travels is in `swarmd.raft.transfer`. One is fetched at a time; any number is served.
"""

from __future__ import annotations

import logging
import ssl
from collections.abc import Callable

from swarmd.raft.links import Inbound
from swarmd.raft.members import Member
from swarmd.raft.messages import REFUSED, SNAPSHOT, Goodbye
from swarmd.raft.peers import Peers
from swarmd.raft.replica import Replica
from swarmd.raft.transfer import TransferFailed, fetch_snapshot, serve_snapshot
from swarmd.runtime.supervise import Supervisor

log = logging.getLogger(__name__)


class SnapshotExchange:
    """Serves snapshots of a replica, installs those of its leader; `tasks` owns the transfers."""

    def __init__(
        self,
        replica: Replica,
        peers: Peers,
        client_ssl: Callable[[], ssl.SSLContext],
        tasks: Supervisor,
    ) -> None:
        self._replica, self._peers, self._tasks = replica, peers, tasks
        self._client_ssl = client_ssl
        self.fetching = False

    def serve(self, connection: Inbound, index: int) -> None:
        """Send the newest snapshot, unless it is older than `index`."""
        newest = self._replica.snapshots.newest
        if newest is None or newest.header.index < index:
            connection.dismiss(Goodbye(REFUSED, f"there is no snapshot of {index} here"))
            return
        storage = self._replica.storage
        self._tasks.spawn(
            serve_snapshot(connection, storage.disk, storage.keys, newest.name),
            name="serve-snapshot",
        )

    def fetch(self, leader_id: str, index: int) -> None:
        """Begin to fetch the leader's snapshot; nothing happens while one is being fetched."""
        leader = self._peers.address_of(leader_id)
        if self.fetching or leader is None:
            return
        self.fetching = True
        self._tasks.spawn(self._fetch_from(leader, index), name="fetch-snapshot")

    async def _fetch_from(self, leader: Member, index: int) -> None:
        storage = self._replica.storage
        hello = self._peers.hello(leader, SNAPSHOT)
        try:
            info = await fetch_snapshot(
                leader, index, hello, self._client_ssl, storage.disk, storage.keys
            )
            self._replica.install(info)
        except (TransferFailed, OSError) as error:
            log.warning("raft.fetch_failed log.index=%s reason=%s", index, error)
            self._replica.fetch_failed()
        finally:
            self.fetching = False
