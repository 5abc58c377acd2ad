"""How a member's state directory comes to be: founded, prepared to join, or made to stand alone.

None of this needs a running node or an event loop; `RaftNode.start` takes it from there.
"""

from __future__ import annotations

from pathlib import Path

from swarmd.raft import storage
from swarmd.raft.config import RaftConfig
from swarmd.raft.disk import RealDisk
from swarmd.raft.members import Member


def is_initialised(directory: Path) -> bool:
    """Whether a Raft member lives in this state directory."""
    return directory.is_dir() and storage.is_initialised(RealDisk(directory))


def bootstrap(
    directory: Path, member: Member, *, kek: bytes | None = None, config: RaftConfig | None = None
) -> None:
    """Write the state of the first member of a new cluster."""
    opened = storage.found(RealDisk(directory), member, kek, config or RaftConfig())
    opened.wal.close()


def prepare_join(
    directory: Path, member: Member, *, kek: bytes | None = None, config: RaftConfig | None = None
) -> None:
    """Write the empty state of a member that the leader will be asked to add; the leader calls."""
    storage.prepare(RealDisk(directory), member, kek, config or RaftConfig()).wal.close()


def force_new_cluster(
    directory: Path, member: Member, *, kek: bytes | None = None, config: RaftConfig | None = None
) -> None:
    """Make a stopped member the only one, under the new raft id of `member`.

    Everything in its log is kept, since any of it may have been acknowledged. The other members
    count as removed for ever.
    """
    settings = config or RaftConfig()
    opened = storage.resume(RealDisk(directory), kek, settings)
    try:
        storage.stand_alone(opened, member)
    finally:
        opened.wal.close()
