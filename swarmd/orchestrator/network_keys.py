"""When the swarm's network keys are made and replaced, and by what.

A new swarm gets a whole ring, and every twelve hours its leader adds a key to each subsystem and
drops the oldest. The time of the last change is in the store, so elections do not put it off.
"""

from __future__ import annotations

from msgspec.structs import replace

from swarmd.model.cluster import Cluster
from swarmd.model.instant import HOUR, Instant
from swarmd.model.network_keys import KEY_BYTES, SUBSYSTEMS, NetworkKey

GENERATIONS = 3
ROTATE_EVERY_NS = 12 * HOUR
ENTROPY_BYTES = KEY_BYTES * GENERATIONS * len(SUBSYSTEMS)  # the most that one change takes


def due_at(cluster: Cluster) -> Instant:
    """When the ring is to be changed next; 0 when it isn't complete."""
    if not _is_complete(cluster):
        return Instant(0)
    return Instant(cluster.network_keys_rotated_at + ROTATE_EVERY_NS)


def rotated(cluster: Cluster, entropy: bytes, now: Instant) -> Cluster:
    """The cluster with one new key per subsystem, or with a whole ring where there is none.

    Args:
        entropy: `ENTROPY_BYTES` that nobody else knows.
    """
    if len(entropy) < ENTROPY_BYTES:
        raise AssertionError(f"{ENTROPY_BYTES} bytes of entropy are needed, not {len(entropy)}")
    clock = cluster.encryption_key_lamport_clock
    keys = list(cluster.network_bootstrap_keys)
    count = 1 if _is_complete(cluster) else GENERATIONS
    at = 0
    for _ in range(count):
        for subsystem in SUBSYSTEMS:
            clock += 1
            key = entropy[at : at + KEY_BYTES]
            at += KEY_BYTES
            keys.append(NetworkKey(subsystem=subsystem, key=key, lamport_time=clock))
    kept = tuple(
        key
        for subsystem in SUBSYSTEMS
        for key in sorted(
            (key for key in keys if key.subsystem == subsystem), key=lambda key: key.lamport_time
        )[-GENERATIONS:]
    )
    return replace(
        cluster,
        network_bootstrap_keys=kept,
        encryption_key_lamport_clock=clock,
        network_keys_rotated_at=now,
    )


def _is_complete(cluster: Cluster) -> bool:
    return all(
        sum(key.subsystem == subsystem for key in cluster.network_bootstrap_keys) >= GENERATIONS
        for subsystem in SUBSYSTEMS
    )
