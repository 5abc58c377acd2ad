"""What the simulated nodes have seen, counted for whoever waits for it.

The figures are those of the API; the board only tells when asking it is worth while, so that
waiting doesn't load the managers.
"""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple


class Version(NamedTuple):
    """A service at one `force_update` of its template."""

    service_id: str
    generation: int


class Board:
    """Counts over all nodes of a fleet."""

    def __init__(self) -> None:
        self.in_session = 0
        self.opened = 0  # sessions, ever
        self.lost: Counter[str] = Counter()  # sessions, ever, by reason
        self.failed: list[str] = []  # nodes that could not join, by reason
        self.running: Counter[Version] = Counter()  # reported RUNNING and taken by a manager
        self.forgotten = 0  # tasks taken off a node, ever
        self.reports = 0  # calls of UpdateTaskStatus, ever
        self.beats = 0  # heartbeats, ever
        self.redirected = 0
