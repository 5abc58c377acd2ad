"""Where tasks failed lately: a node that keeps failing a service version is avoided for it."""

from __future__ import annotations

from collections import deque

from swarmd.model.ids import NodeId
from swarmd.model.instant import MINUTE, Instant
from swarmd.orchestrator.scheduler.load import Version

WINDOW_NS = 5 * MINUTE
TOLERATED = 5  # so many failures within the window put a node behind the others
REMEMBERED_MAX = 64  # per node and service version; more than the rule ever looks at
VERSIONS_MAX = 1024  # remembered before those without recent failures are looked for


class Failures:
    """Times of failures by service version and node."""

    def __init__(self) -> None:
        self._times: dict[Version, dict[NodeId, deque[Instant]]] = {}

    def note(self, version: Version, node_id: NodeId, at: Instant) -> None:
        """Remember that a task of this service version failed on the node."""
        nodes = self._times.setdefault(version, {})
        times = nodes.get(node_id)
        if times is None:
            times = nodes[node_id] = deque(maxlen=REMEMBERED_MAX)
        times.append(at)
        if len(self._times) > VERSIONS_MAX:
            self._forget_before(Instant(at - WINDOW_NS))

    def failing(self, version: Version, now: Instant) -> dict[NodeId, int]:
        """Nodes that failed the version too often in the last five minutes, and how often."""
        nodes = self._times.get(version)
        if nodes is None:
            return {}
        counts = {}
        for node_id, times in list(nodes.items()):
            while times and times[0] <= now - WINDOW_NS:
                times.popleft()
            if not times:
                del nodes[node_id]
            elif len(times) >= TOLERATED:
                counts[node_id] = len(times)
        if not nodes:
            del self._times[version]
        return counts

    def drop_node(self, node_id: NodeId) -> None:
        for nodes in self._times.values():
            nodes.pop(node_id, None)

    def _forget_before(self, instant: Instant) -> None:
        stale = [
            version
            for version, nodes in self._times.items()
            if all(not times or times[-1] <= instant for times in nodes.values())
        ]
        for version in stale:
            del self._times[version]
