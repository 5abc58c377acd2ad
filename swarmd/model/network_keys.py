"""Keys by which nodes encrypt what passes between them, replicated with the cluster.

A ring of three generations for each subsystem. Nodes understand all three and send with the middle
one, so a new key is known everywhere before anybody uses it, and the last one is understood until
everybody has stopped using it.
"""

from __future__ import annotations

from swarmd.model.record import Record

GOSSIP, IPSEC = "networking:gossip", "networking:ipsec"  # as engines know them
SUBSYSTEMS = (GOSSIP, IPSEC)
KEY_BYTES = 16


class NetworkKey(Record, frozen=True):
    """A key for AES-128-GCM. The higher its time, the newer it is."""

    subsystem: str = ""
    key: bytes = b""
    lamport_time: int = 0

    def __repr__(self) -> str:
        return f"NetworkKey({self.subsystem}, lamport_time={self.lamport_time}, key hidden)"
