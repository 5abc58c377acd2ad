"""Settings of one Raft member, with the reason for each default.

Times are nanoseconds. The heartbeat has to be short against the election time-out, and the
time-out long against a stall of disk or network; docs/design/raft.md has the measurements.
"""

from __future__ import annotations

import msgspec

MS = 1_000_000
MIB = 1 << 20


class RaftConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Timings, sizes and limits. The defaults suit a local network and a solid-state disk."""

    heartbeat_ns: int = 100 * MS
    """How often the leader speaks to each follower when there is nothing to say."""
    election_min_ns: int = 500 * MS
    """A follower waits at least this long for its leader."""
    election_max_ns: int = 1_000 * MS
    """Upper end of the random wait that keeps candidates apart."""
    fallback_ns: int = 1_500 * MS
    """A leader without answers from a majority for this long steps down."""
    lost_link_wait_ns: int = 150 * MS
    """After the leader's connection broke, a follower campaigns within this and twice this
    instead of a full election time-out: a process that died takes its sockets with it."""
    commit_notice_ns: int = 20 * MS
    """Followers hear of a new commit index this soon even when no further entry carries it."""
    disk_stall_ns: int = 2_000 * MS
    """A leader whose disk has not finished a sync for this long stops sending heartbeats, so
    that a member with a working disk takes over."""
    apply_batch: int = 2_000
    """Entries applied before the loop gets a turn, to keep heartbeats flowing."""
    max_entry_bytes: int = 1_600_000
    """Largest proposal. Must stay below `append_batch_bytes`."""
    append_batch_bytes: int = 4 * MIB
    """Most entry bytes in one message to a follower."""
    max_waiting: int = 8_192
    """Proposals waiting for their commit before new ones are refused."""
    max_waiting_bytes: int = 64 * MIB
    """Bytes waiting for their commit before new proposals are refused."""
    send_buffer_bytes: int = 32 * MIB
    """A peer that lets this much pile up is disconnected; it catches up when it is back."""
    snapshot_entries: int = 10_000
    """Entries after the last snapshot that trigger the next."""
    snapshot_bytes: int = 64 * MIB
    """Journal bytes after the last snapshot that trigger the next."""
    trailing_entries: int = 500
    """Entries kept in memory behind a snapshot for followers that are a little late."""
    segment_bytes: int = 16 * MIB
    """Size of one preallocated journal file."""
    reserve_bytes: int = 4 * MIB
    """Free space below which proposals are refused; kept in a file to be given back when the
    disk is full."""
    catch_up_timeout_ns: int = 60_000 * MS
    """How long a joining member may take to receive the log before its join is given up."""

    def __post_init__(self) -> None:
        problems = []
        if self.heartbeat_ns <= 0:
            problems.append("heartbeat must be positive")
        if self.election_min_ns <= 3 * self.heartbeat_ns:
            problems.append("the election time-out must exceed three heartbeats")
        if self.election_max_ns <= self.election_min_ns:
            problems.append("election_max must exceed election_min")
        if self.max_entry_bytes >= self.append_batch_bytes:
            problems.append("max_entry_bytes must be below append_batch_bytes")
        if problems:
            raise ValueError("raft configuration: " + "; ".join(problems))

    @classmethod
    def slow_disk(cls) -> RaftConfig:
        """The profile for disks that stall: fewer false alarms, slower failover."""
        return cls(
            heartbeat_ns=250 * MS,
            election_min_ns=1_000 * MS,
            election_max_ns=2_000 * MS,
            fallback_ns=3_000 * MS,
            lost_link_wait_ns=300 * MS,
            disk_stall_ns=4_000 * MS,
        )
