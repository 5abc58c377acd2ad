"""Tables on their way to watchers: the steps of each, serialized once, put together per watcher.

A table has a chain of steps, the latest of them kept. A watcher is at a place in the chain of each
of its tables; one that lags beyond the oldest step gets the table as a whole. Steps are kept as
parts of `EndpointsMessage`, which put one behind the other are one message.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable

from msgspec import Struct

from swarmd.lb.core.portions import portions
from swarmd.lb.core.tables import Delta
from swarmd.model.ids import NetworkId
from swarmd.network.core.deltas import NetworkDelta, cut
from swarmd.rpc.convert.endpoints import delta_to_pb
from swarmd.rpc.convert.network_tables import network_delta_to_pb
from swarmd.rpc.pb import endpoints as pb

STEPS_KEPT = 128
# A message may have 4 MiB, which the largest part does not come near to.
MESSAGE_BYTES = 1024 * 1024
_MORE = pb.EndpointsMessage(more=True).SerializeToString()


class Step(Struct, frozen=True):
    """From one version to `results_in`."""

    results_in: int
    parts: tuple[bytes, ...]


class Chain:
    """The steps of one table; `version` is where they have led to."""

    def __init__(self, version: int) -> None:
        self.version = version
        self.whole: Step | None = None  # of the present version, once somebody asked
        self._steps: OrderedDict[int, Step] = OrderedDict()  # by the version they build on

    def append(self, step: Step) -> None:
        self._steps[self.version] = step
        self.version = step.results_in
        self.whole = None
        if len(self._steps) > STEPS_KEPT:
            self._steps.popitem(last=False)

    def since(self, version: int) -> tuple[Step, ...] | None:
        """The steps that lead on from `version`; None if it is too old, or none of ours."""
        steps = []
        while version != self.version:
            step = self._steps.get(version)
            if step is None:
                return None
            steps.append(step)
            version = step.results_in
        return tuple(steps)


def published_step(delta: Delta) -> Step:
    """A step of the table of published ports."""
    return Step(
        delta.results_in,
        tuple(
            pb.EndpointsMessage(published=[delta_to_pb(part)]).SerializeToString()
            for part in portions(delta)
        ),
    )


def network_step(delta: NetworkDelta) -> Step:
    """A step of the table of a network."""
    return Step(
        delta.results_in,
        tuple(
            pb.EndpointsMessage(networks=[network_delta_to_pb(part)]).SerializeToString()
            for part in cut(delta)
        ),
    )


def left_part(network_ids: Iterable[NetworkId]) -> bytes:
    """Says which networks a watcher takes part in no more."""
    return pb.EndpointsMessage(left_network_ids=network_ids).SerializeToString()


def messages(parts: Iterable[bytes]) -> list[bytes]:
    """Parts of one step as few messages, of which all but the last say that more follows.

    A step without parts is no message.
    """
    runs: list[list[bytes]] = [[]]
    room = MESSAGE_BYTES
    for part in parts:
        if len(part) > room and runs[-1]:
            runs.append([])
            room = MESSAGE_BYTES
        runs[-1].append(part)
        room -= len(part)
    if not runs[-1]:
        return []
    *first, last = (b"".join(run) for run in runs)
    return [*(message + _MORE for message in first), last]
