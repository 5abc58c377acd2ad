"""Why a node can't take a task."""

from __future__ import annotations

from enum import IntEnum


class Refusal(IntEnum):
    """The filters in the order in which they are asked; a node counts for the first that fails.

    The numbers leave a place (8) for volumes, which swarm asks about after the replicas.
    """

    NOT_READY = 1
    RESOURCES = 2
    PLUGIN = 3
    CONSTRAINTS = 4
    PLATFORM = 5
    HOST_PORT = 6
    MAX_REPLICAS = 7
    TAINT = 9
    AFFINITY = 10
