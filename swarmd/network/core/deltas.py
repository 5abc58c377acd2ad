"""The step from one version of a network's table to another, and how it is cut into messages.

A delta applies to exactly one version; a receiver at another one has missed something and must ask
for a complete table again. Rows that a delta does not name keep their identity.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

from msgspec import Struct
from msgspec.structs import replace

from swarmd.model.ids import NetworkId, NodeId, ServiceId, TaskId
from swarmd.network.core.tables import Endpoint, NetworkTable, Peer, ServiceRow

# A row takes 100 to 200 bytes on the wire, a message at most 4 MiB.
ROWS_MAX = 10_000

K = TypeVar("K", bound=str)
V = TypeVar("V")


class OutOfStep(Exception):
    """A delta does not build on the table at hand; watch again to get a complete one."""


class NetworkDelta(Struct, frozen=True):
    """Rows that came or changed, and keys of those that left.

    `head` is the table's own fields, without rows; absent when they stayed as they were. With
    `complete` it is there, and the rows are all there are.
    """

    network_id: NetworkId
    complete: bool
    applies_to: int
    results_in: int
    head: NetworkTable | None = None
    peers: tuple[Peer, ...] = ()
    services: tuple[ServiceRow, ...] = ()
    endpoints: tuple[Endpoint, ...] = ()
    removed_peers: tuple[NodeId, ...] = ()
    removed_services: tuple[ServiceId, ...] = ()
    removed_endpoints: tuple[TaskId, ...] = ()

    @property
    def rows(self) -> int:
        """How many rows it carries, with those that left."""
        lists: tuple[Sequence[object], ...] = (
            *(self.peers, self.services, self.endpoints),
            *(self.removed_peers, self.removed_services, self.removed_endpoints),
        )
        return sum(len(rows) for rows in lists)


def head(table: NetworkTable) -> NetworkTable:
    """`table` without its rows and version."""
    return replace(table, version=0, peers={}, services={}, endpoints={})


def complete(table: NetworkTable) -> NetworkDelta:
    """The delta that carries all of `table`."""
    return NetworkDelta(
        network_id=table.network_id,
        complete=True,
        applies_to=0,
        results_in=table.version,
        head=head(table),
        peers=tuple(table.peers.values()),
        services=tuple(table.services.values()),
        endpoints=tuple(table.endpoints.values()),
    )


def advance(table: NetworkTable | None, delta: NetworkDelta) -> NetworkTable:
    """The table after `delta`.

    Raises:
        OutOfStep: the delta starts from another version, or there is no table to start from.
    """
    if delta.complete:
        if delta.head is None:
            raise OutOfStep(f"the complete table of network {delta.network_id} has no head")
        table = delta.head
    elif table is None or delta.applies_to != table.version:
        present = "there is no table" if table is None else f"the table is at {table.version}"
        raise OutOfStep(
            f"changes of network {delta.network_id} build on version {delta.applies_to}, "
            f"but {present} here"
        )
    own = delta.head if delta.head is not None else table
    return replace(
        own,
        version=delta.results_in,
        peers=_with(table.peers, {row.node_id: row for row in delta.peers}, delta.removed_peers),
        services=_with(
            table.services,
            {row.service_id: row for row in delta.services},
            delta.removed_services,
        ),
        endpoints=_with(
            table.endpoints,
            {row.task_id: row for row in delta.endpoints},
            delta.removed_endpoints,
        ),
    )


def _with(rows: Mapping[K, V], changed: Mapping[K, V], removed: Sequence[K]) -> Mapping[K, V]:
    if not changed and not removed:
        return rows
    merged = {**rows, **changed}
    for key in removed:
        merged.pop(key, None)
    return merged


def cut(delta: NetworkDelta, rows_max: int = ROWS_MAX) -> tuple[NetworkDelta, ...]:
    """Deltas that together are `delta`, each with at most `rows_max` rows besides removals.

    The first keeps the character of the whole; the others build on the version it results in.
    """
    if delta.rows <= rows_max:
        return (delta,)
    first = replace(delta, peers=(), services=(), endpoints=())
    following = NetworkDelta(
        network_id=delta.network_id,
        complete=False,
        applies_to=delta.results_in,
        results_in=delta.results_in,
    )
    return (
        first,
        *(replace(following, peers=some) for some in _runs(delta.peers, rows_max)),
        *(replace(following, services=some) for some in _runs(delta.services, rows_max)),
        *(replace(following, endpoints=some) for some in _runs(delta.endpoints, rows_max)),
    )


def _runs(rows: tuple[V, ...], length: int) -> list[tuple[V, ...]]:
    return [rows[at : at + length] for at in range(0, len(rows), length)]
