"""Published ports: numbers that belong to one service in the whole cluster.

An ingress port is taken by its service from the moment this book hands it out until the service,
or a spec that drops the port, is committed. Protocols have spaces of their own.
"""

from __future__ import annotations

from msgspec.structs import replace

from swarmd.model.ids import ServiceId
from swarmd.model.service import Endpoint, Service
from swarmd.model.spec import PortConfig
from swarmd.model.states import Protocol, PublishMode

DYNAMIC_FIRST, DYNAMIC_LAST = 30000, 32767

_Space = tuple[Protocol, int]


class PortConflict(Exception):
    """A service can't have the ports it asks for; the text says why and what to do."""


class PortBook:
    """Which service holds which published port."""

    def __init__(self) -> None:
        self._holder: dict[_Space, ServiceId] = {}
        self._held: dict[ServiceId, tuple[_Space, ...]] = {}
        self._names: dict[ServiceId, str] = {}
        self._next: dict[Protocol, int] = {}

    def record(self, service: Service) -> None:
        """Take over what is committed for a service, in place of anything held for it before."""
        self.release(service.id)
        ports = service.endpoint.ports if service.endpoint else ()
        self._hold(service, ports)

    def release(self, service_id: ServiceId) -> None:
        for space in self._held.pop(service_id, ()):
            if self._holder.get(space) == service_id:
                del self._holder[space]
        self._names.pop(service_id, None)

    def held(self) -> frozenset[tuple[ServiceId, Protocol, int]]:
        """All ports that are taken, by whom."""
        return frozenset(
            (service_id, *space) for service_id, spaces in self._held.items() for space in spaces
        )

    def allocate(self, service: Service) -> Endpoint | None:
        """The endpoint for the service's spec, its ports held from now on; None for no endpoint.

        A port the swarm may choose keeps the number it had for the same name, protocol and
        target.

        Raises:
            PortConflict: another service holds one of the ports, or none is left; the service
                goes on holding what it held.
        """
        spec = service.spec.endpoint_spec
        if spec is None:
            self.release(service.id)
            return None
        before = {
            (port.name, port.protocol, port.target_port): port.published_port
            for port in (service.endpoint.ports if service.endpoint else ())
        }
        chosen: set[_Space] = {
            (port.protocol, port.published_port)
            for port in spec.ports
            if port.publish_mode is PublishMode.INGRESS and port.published_port
        }
        ports = []
        for port in spec.ports:
            if port.publish_mode is PublishMode.INGRESS and not port.published_port:
                kept = before.get((port.name, port.protocol, port.target_port), 0)
                port = replace(port, published_port=self._choose(service.id, port, kept, chosen))
                chosen.add((port.protocol, port.published_port))
            elif port.publish_mode is PublishMode.INGRESS:
                self._check_free(service.id, port)
            ports.append(port)
        self.release(service.id)
        self._hold(service, tuple(ports))
        return Endpoint(spec=spec, ports=tuple(ports))

    def _hold(self, service: Service, ports: tuple[PortConfig, ...]) -> None:
        spaces = tuple(
            (port.protocol, port.published_port)
            for port in ports
            if port.publish_mode is PublishMode.INGRESS and port.published_port
        )
        for space in spaces:
            self._holder.setdefault(space, service.id)
        self._held[service.id] = spaces
        self._names[service.id] = service.spec.name

    def _check_free(self, service_id: ServiceId, port: PortConfig) -> None:
        holder = self._holder.get((port.protocol, port.published_port))
        if holder is not None and holder != service_id:
            raise PortConflict(
                f"published port {port.published_port}/{port.protocol.value} is held by service "
                f"{self._names[holder]}; publish another port or remove it there"
            )

    def _choose(
        self, service_id: ServiceId, port: PortConfig, kept: int, chosen: set[_Space]
    ) -> int:
        if kept and self._is_free(service_id, (port.protocol, kept), chosen):
            return kept
        size = DYNAMIC_LAST - DYNAMIC_FIRST + 1
        start = self._next.get(port.protocol, DYNAMIC_FIRST)
        for step in range(size):
            number = DYNAMIC_FIRST + (start - DYNAMIC_FIRST + step) % size
            if self._is_free(service_id, (port.protocol, number), chosen):
                self._next[port.protocol] = number + 1
                return number
        raise PortConflict(
            f"no {port.protocol.value} port is free between {DYNAMIC_FIRST} and {DYNAMIC_LAST}; "
            "name a published port or remove services"
        )

    def _is_free(self, service_id: ServiceId, space: _Space, chosen: set[_Space]) -> bool:
        return space not in chosen and self._holder.get(space, service_id) == service_id
