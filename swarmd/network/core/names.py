"""What names stand for, as a task sees them: only what is on its own networks.

A service's name and its aliases stand for its virtual addresses, or without any for its ready
tasks; `tasks.<service>` always for the latter. A task is found under its own names from its
placement until it has stopped. A name may be followed by the name of its network. Names don't
differ by case. Of several networks the first that knows a name answers.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping
from ipaddress import ip_address

from msgspec import Struct

from swarmd.model.ids import NetworkId
from swarmd.network.core.tables import Endpoint, NetworkTable, ServiceRow

# Virtual addresses stay for as long as their service, whoever answers for them at the moment.
VIRTUAL_TTL_S = 60
# Tasks come and go: nobody is to remember those that went.
TASK_TTL_S = 1

IPV4, IPV6 = 4, 6


class Want(enum.Enum):
    """What is asked of a name."""

    IPV4 = "A"
    IPV6 = "AAAA"
    SERVICE = "SRV"
    NAME = "PTR"
    OTHER = "other"


class Place(Struct, frozen=True, gc=False):
    """One answer to SRV: a port of a task, under a name that has these addresses."""

    name: str
    port: int
    addresses: tuple[str, ...]


class Answer(Struct, frozen=True):
    """What is known of a name; it may be known and have nothing of what was asked."""

    addresses: tuple[str, ...] = ()
    name: str = ""
    places: tuple[Place, ...] = ()
    ttl_s: int = TASK_TTL_S


class _Names:
    """The names of one network, by what they stand for."""

    def __init__(self, table: NetworkTable) -> None:
        self.virtual: dict[str, tuple[str, ...]] = {}
        self.tasks: dict[str, tuple[str, ...]] = {}
        self.owners: dict[str, str] = {}  # address → name
        self.places: dict[str, tuple[Place, ...]] = {}
        ready = _ready_by_service(table)
        for endpoint in table.endpoints.values():
            self._add_task(endpoint, table.name)
        for service in table.services.values():
            self._add_service(service, ready.get(service.service_id, ()), table.name)

    def find(self, name: str) -> tuple[tuple[str, ...], int] | None:
        if name in self.virtual:
            return self.virtual[name], VIRTUAL_TTL_S
        if name in self.tasks:
            return self.tasks[name], TASK_TTL_S
        return None

    def _add_task(self, endpoint: Endpoint, network: str) -> None:
        for name in endpoint.names:
            key = name.lower()
            self.tasks[key] = (*self.tasks.get(key, ()), *endpoint.addresses)
        for address in endpoint.addresses:
            if endpoint.names:
                self.owners[address] = f"{endpoint.names[0]}.{network}"
        if endpoint.ready:
            for alias in endpoint.aliases:
                key = alias.lower()
                self.tasks[key] = (*self.tasks.get(key, ()), *endpoint.addresses)

    def _add_service(self, service: ServiceRow, ready: tuple[Endpoint, ...], network: str) -> None:
        addresses = tuple(address for endpoint in ready for address in endpoint.addresses)
        self.tasks[f"tasks.{service.name}".lower()] = addresses
        for name in (service.name, *service.aliases):
            if service.virtual_ips:
                self.virtual[name.lower()] = service.virtual_ips
            else:
                # An alias may be shared by several services; a service's own name is not.
                known = self.tasks.get(name.lower(), ()) if name != service.name else ()
                self.tasks[name.lower()] = tuple(dict.fromkeys((*known, *addresses)))
        for address in service.virtual_ips:
            self.owners[address] = f"{service.name}.{network}"
        for port in service.ports:
            places = tuple(
                Place(f"{endpoint.names[0]}.{network}", port.target_port, endpoint.addresses)
                for endpoint in ready
                if endpoint.names
            )
            for label in (port.name, str(port.target_port)):
                if label:
                    key = f"_{label}._{port.protocol.value}.{service.name}".lower()
                    self.places[key] = places


class Names:
    """The names on all networks of a node. Cheap to make anew: unchanged networks are kept."""

    def __init__(
        self, tables: Mapping[NetworkId, NetworkTable] | None = None, before: Names | None = None
    ) -> None:
        known = before._networks if before is not None else {}
        self._networks: dict[NetworkId, tuple[NetworkTable, _Names]] = {}
        for network_id, table in (tables or {}).items():
            if table.ingress:
                continue  # it carries published ports, and is nobody's network to talk on
            former = known.get(network_id)
            self._networks[network_id] = (
                former if former is not None and former[0] is table else (table, _Names(table))
            )

    def find(self, networks: Iterable[NetworkId], name: str, want: Want) -> Answer | None:
        """What a task on these networks gets to know of a name; None when they don't know it.

        Args:
            name: without a final dot, in any case.
        """
        name = name.lower()
        for network_id in networks:
            table, names = self._networks.get(network_id, (None, None))
            if table is None or names is None:
                continue
            answer = _find(names, name, want)
            suffix = f".{table.name}".lower()
            if answer is None and name.endswith(suffix):
                answer = _find(names, name.removesuffix(suffix), want)
            if answer is not None:
                return answer
        return None


def _find(names: _Names, name: str, want: Want) -> Answer | None:
    if want is Want.NAME:
        owner = names.owners.get(_address_of(name), "")
        return Answer(name=owner) if owner else None
    if name in names.places:
        return Answer(places=names.places[name] if want is Want.SERVICE else ())
    found = names.find(name)
    if found is None:
        return None
    addresses, ttl_s = found
    version = {Want.IPV4: IPV4, Want.IPV6: IPV6}.get(want)
    return Answer(
        addresses=tuple(address for address in addresses if ip_address(address).version == version),
        ttl_s=ttl_s,
    )


def _address_of(name: str) -> str:
    """The address that a name below in-addr.arpa or ip6.arpa is about; empty for any other."""
    labels = name.split(".")
    try:
        match labels:
            case [*reverse, "in-addr", "arpa"]:
                return str(ip_address(".".join(reversed(reverse))))
            case [*reverse, "ip6", "arpa"]:
                digits = "".join(reversed(reverse))
                groups = (digits[at : at + 4] for at in range(0, len(digits), 4))
                return str(ip_address(":".join(groups)))
            case _:
                return ""
    except ValueError:
        return ""


def _ready_by_service(table: NetworkTable) -> dict[str, tuple[Endpoint, ...]]:
    ready: dict[str, tuple[Endpoint, ...]] = {}
    for task_id in sorted(table.endpoints):
        endpoint = table.endpoints[task_id]
        if endpoint.ready:
            ready[endpoint.service_id] = (*ready.get(endpoint.service_id, ()), endpoint)
    return ready
