"""From the wanted table and what a back end serves now to the steps in between.

The unit is the frontend: one published port on this node and the targets behind it. `frontends`
says what a table asks for; `diff` compares that with what is there. Both are level-triggered: a
missed table or a repeated one leads to the same place.
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from swarmd.lb.core.rotation import Target
from swarmd.lb.core.tables import PublishedPort, ServiceEndpoints, Tables
from swarmd.model.ids import ServiceId
from swarmd.model.states import Balance, Protocol


class PortKey(Struct, frozen=True, gc=False):
    """A published port, unique in a swarm."""

    protocol: Protocol
    port: int

    def __str__(self) -> str:
        return f"{self.port}/{self.protocol.value}"


class Frontend(Struct, frozen=True, gc=False):
    """One published port and who answers, in order of task id."""

    key: PortKey
    service_id: ServiceId
    service_name: str
    targets: tuple[Target, ...]
    addresses: tuple[str, ...] | None = None  # of the node, that answer; None: all
    balance: Balance = Balance.ROUND_ROBIN
    weights: tuple[int, ...] = ()  # of the targets; empty: they all have the same


class Plan(Struct, frozen=True):
    """Steps to take, in this order: close, open, change.

    A changed frontend keeps its listener and its open connections; only targets that are in
    `frontend.targets` get new ones. One that is to answer elsewhere is closed and opened.
    """

    close: tuple[PortKey, ...] = ()
    open: tuple[Frontend, ...] = ()
    change: tuple[Frontend, ...] = ()
    refused: tuple[str, ...] = ()  # sentences about what this back end can't serve


class FrontendCache:
    """Frontends per service, remade only for rows that changed since the last table."""

    def __init__(self) -> None:
        self._rows: dict[ServiceId, tuple[ServiceEndpoints, tuple[Frontend, ...]]] = {}

    def frontends(self, tables: Tables) -> tuple[Frontend, ...]:
        """What `tables` asks for, by order of service; frontends of unchanged rows are the same."""
        fresh: dict[ServiceId, tuple[ServiceEndpoints, tuple[Frontend, ...]]] = {}
        for service_id, row in tables.services.items():
            known = self._rows.get(service_id)
            if known is None or (known[0] is not row and known[0] != row):
                known = (row, tuple(_frontend(row, port) for port in row.ports))
            fresh[service_id] = known
        self._rows = fresh
        return tuple(frontend for _, frontends in fresh.values() for frontend in frontends)


def diff(
    wanted: tuple[Frontend, ...],
    actual: Mapping[PortKey, Frontend],
    *,
    protocols: frozenset[Protocol],
) -> Plan:
    """The plan that turns `actual` into `wanted` as far as `protocols` can be served.

    When two services claim one port the older id keeps it; the manager refuses such specs, so this
    only shows while a port changes hands between two log entries.
    """
    chosen: dict[PortKey, Frontend] = {}
    refused: list[str] = []
    for frontend in sorted(wanted, key=lambda row: row.service_id):
        if frontend.key.protocol not in protocols:
            refused.append(
                f"port {frontend.key} of service {frontend.service_name} is not answered on this "
                f"node: its balancing back end cannot carry {frontend.key.protocol.value}"
            )
            continue
        holder = chosen.get(frontend.key)
        if holder is None:
            chosen[frontend.key] = frontend
        elif holder.service_id != frontend.service_id:
            refused.append(
                f"port {frontend.key} is claimed by services {holder.service_name} and "
                f"{frontend.service_name}; {holder.service_name} answers"
            )
    kept = {
        key
        for key, row in chosen.items()
        if key in actual and actual[key].addresses == row.addresses
    }
    return Plan(
        close=tuple(key for key in actual if key not in kept),
        open=tuple(row for key, row in chosen.items() if key not in kept),
        change=tuple(
            row
            for key, row in chosen.items()
            if key in kept and actual[key] is not row and actual[key] != row
        ),
        refused=tuple(refused),
    )


def weights_of(row: ServiceEndpoints) -> tuple[int, ...]:
    """The weights of its backends; nothing when they all have the same."""
    weights = tuple(backend.weight for backend in row.backends)
    return () if len(set(weights)) <= 1 else weights


def _frontend(row: ServiceEndpoints, port: PublishedPort) -> Frontend:
    return Frontend(
        key=PortKey(port.protocol, port.published_port),
        service_id=row.service_id,
        service_name=row.service_name,
        targets=tuple(
            Target(
                task_id=backend.task_id,
                address=backend.address,
                port=backend.host_port(port.protocol, port.target_port),
            )
            for backend in row.backends
        ),
        addresses=port.addresses,
        balance=row.balance,
        weights=weights_of(row),
    )
