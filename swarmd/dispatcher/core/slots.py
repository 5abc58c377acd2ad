"""The moments at which heartbeats are wanted: few, common to many nodes, and equally full.

A process that wakes for a single heartbeat finds its caches cold and pays several times what one
of a group costs. So every node is told a period that ends at the next of a fixed row of moments,
the slots. Nodes that came together, as after an election, are spread over the row: a slot that has
its share is passed over for an earlier one.
"""

from __future__ import annotations


class Slots:
    """How many heartbeats are expected at each multiple of `slot_ns`."""

    def __init__(self, slot_ns: int) -> None:
        self.slot_ns = slot_ns
        self._expected: dict[int, int] = {}
        self._past = 0  # slots before this one are forgotten

    def take(self, now: int, period_ns: int, nodes: int) -> int:
        """When a node is to send its next heartbeat: within `period_ns`, at least half of it away.

        Args:
            nodes: how many nodes share the slots of one period.
        """
        width = self.slot_ns
        latest = (now + period_ns) // width
        earliest = min((now + period_ns // 2) // width + 1, latest)
        self._forget(now // width)
        expected = self._expected
        share = -(-nodes * width // period_ns)
        chosen, fewest = latest, expected.get(latest, 0)
        for slot in range(latest, earliest - 1, -1):
            count = expected.get(slot, 0)
            if count < share:
                chosen, fewest = slot, count
                break
            if count < fewest:
                chosen, fewest = slot, count
        expected[chosen] = fewest + 1
        return max(chosen * width, now + 1)

    def _forget(self, present: int) -> None:
        if present > self._past:
            self._past = present
            for slot in [slot for slot in self._expected if slot < present]:
                del self._expected[slot]
