"""Services: create, read, update, roll back, remove, and count their tasks."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec
from msgspec.structs import replace

from swarmd.manager.control.core import Calls, ControlEnv, read_spec, require, require_id
from swarmd.manager.control.fill import with_defaults
from swarmd.manager.control.filters import Common, NamedAs, one_of
from swarmd.manager.validate import (
    check_port_conflicts,
    check_service_spec,
    check_service_update,
)
from swarmd.manager.validate.limits import SPEC_BYTES
from swarmd.manager.validate.references import check_referenced, refers, resolved
from swarmd.model import versions
from swarmd.model.errors import failed_precondition, out_of_sequence
from swarmd.model.ids import ServiceId
from swarmd.model.instant import Instant
from swarmd.model.service import PastSpec, Service
from swarmd.model.spec import ServiceSpec
from swarmd.orchestrator import runs
from swarmd.orchestrator.counts import counts
from swarmd.rpc.call import Call
from swarmd.rpc.convert import SERVICE_SPEC, service_to_pb
from swarmd.rpc.pb import control, objects
from swarmd.store.changes import Create, Delete, Kind, Transaction, Update

RUNTIME = "container"
Status = control.ListServiceStatusesResponse.ServiceStatus


class ServiceCalls(Calls):
    """The calls on services.

    Writes that publish ports, or refer to other objects, run one after the other, so that two
    services asking for one port at the same time cannot both pass the check, nor a service and the
    removal of a network that it is about to use.
    """

    async def CreateService(
        self, call: Call, request: control.CreateServiceRequest
    ) -> control.CreateServiceResponse:
        require(request, "spec")
        spec = _checked_spec(request.spec)
        await self._synchronize()
        service = Service(id=ServiceId(self._env.ids.new()), spec=spec)
        if _publishes(spec) or refers(spec):
            async with self._references:
                service = replace(service, spec=self._checked_against_others(spec))
                await self._create(service)
        else:
            await self._create(service)
        return control.CreateServiceResponse(service=self._written(service))

    async def UpdateService(
        self, call: Call, request: control.UpdateServiceRequest
    ) -> control.UpdateServiceResponse:
        service_id = require_id(request.service_id, "service")
        require(request, "service_version")
        rollback = request.rollback == control.UpdateServiceRequest.PREVIOUS
        if not rollback:
            require(request, "spec")
        wanted = None if rollback else _checked_spec(request.spec)
        async with self.changing(service_id, request.service_version.index) as change:
            if wanted is None:
                new = change.back(previous_of(change.old))
                await change.write(new, "rolled back by a user")
            else:
                wanted = resolved(wanted, self._view)
                check_service_update(change.old.spec, wanted)
                new = change.to(wanted)
                await change.write(new, "updated by a user")
        return control.UpdateServiceResponse(service=self._written(new))

    async def RemoveService(
        self, call: Call, request: control.RemoveServiceRequest
    ) -> control.RemoveServiceResponse:
        service_id = require_id(request.service_id, "service")
        await self._env.writer.submit(
            Transaction((Delete(Kind.SERVICE, service_id, reason="removed by a user"),))
        )
        return control.RemoveServiceResponse()

    async def GetService(
        self, call: Call, request: control.GetServiceRequest
    ) -> control.GetServiceResponse:
        service_id = require_id(request.service_id, "service")
        await self._synchronize()
        service = self._view.get_service(service_id)
        if request.insert_defaults:
            service = replace(service, spec=with_defaults(service.spec))
        return control.GetServiceResponse(service=service_to_pb(service))

    async def ListServices(
        self, call: Call, request: control.ListServicesRequest
    ) -> control.ListServicesResponse:
        await self._synchronize()
        wanted = request.filters
        common = Common(
            names=wanted.names,
            name_prefixes=tuple(wanted.name_prefixes),
            id_prefixes=tuple(wanted.id_prefixes),
            labels=wanted.labels,
        )
        return control.ListServicesResponse(
            services=[
                service_to_pb(replace(service, history=()))
                for service in self._view.services()
                if common.match(NamedAs(service.id, service.spec.name, service.spec.labels))
                and one_of(RUNTIME, wanted.runtimes)
            ]
        )

    async def ListServiceStatuses(
        self, call: Call, request: control.ListServiceStatusesRequest
    ) -> control.ListServiceStatusesResponse:
        await self._synchronize()
        return control.ListServiceStatusesResponse(
            statuses=[self._status(service_id) for service_id in request.services]
        )

    @asynccontextmanager
    async def changing(self, service_id: str, version: int) -> AsyncIterator[Change]:
        """A change of the service as its caller has read it, one service at a time.

        Raises:
            Rejection: there is no such service, or it isn't at `version` any more.
        """
        await self._synchronize()
        async with self._references:
            old = self._view.get_service(service_id)
            if old.version != version:
                raise out_of_sequence()
            yield Change(self._env, old)

    def _checked_against_others(self, spec: ServiceSpec) -> ServiceSpec:
        """`spec` with its networks by id, if all it refers to exists and its ports are free."""
        spec = resolved(spec, self._view)
        check_port_conflicts(spec.endpoint_spec, self._view.services())
        check_referenced(spec, self._view)
        return spec

    async def _create(self, service: Service) -> None:
        service = runs.created(service, Instant(self._env.clock.now()))
        await self._env.writer.submit(Transaction((Create(service, "created by a user"),)))

    def _status(self, service_id: str) -> Status:
        """Counts of a service; zeros for one that does not exist."""
        service = self._view.find_service(service_id)
        if service is None:
            return Status(service_id=service_id)
        tasks = self._view.tasks_of_service(ServiceId(service_id))
        return Status(service_id=service_id, **counts(service, tasks)._asdict())

    def _written(self, service: Service) -> objects.Service:
        """The service as stored, or as it was written if somebody has removed it since."""
        return service_to_pb(self._view.find_service(service.id) or service)


def _checked_spec(message: object) -> ServiceSpec:
    spec: ServiceSpec = read_spec(SERVICE_SPEC, message)
    check_service_spec(spec)
    SPEC_BYTES.check(len(msgspec.msgpack.encode(spec)))
    return spec


def _publishes(spec: ServiceSpec) -> bool:
    return spec.endpoint_spec is not None and bool(spec.endpoint_spec.ports)


class Change:
    """One change of a service's spec or update status, based on `old`."""

    def __init__(self, env: ControlEnv, old: Service) -> None:
        self.old = old
        self.now = Instant(env.clock.now())
        self._env = env
        self._limit = versions.limit_of(env.view.find_cluster())

    def to(self, spec: ServiceSpec) -> Service:
        """The service with a new spec; a service that was paused goes on."""
        new = versions.updated(self.old, spec, now=self.now, limit=self._limit)
        return runs.after_spec_change(self.old, new, self.now)

    def back(self, past: PastSpec) -> Service:
        """The service on its way back to a version of its past."""
        new = versions.gone_back(
            self.old, past, now=self.now, limit=self._limit, message="manually requested rollback"
        )
        return runs.after_spec_change(self.old, new, self.now)

    async def write(self, new: Service, reason: str) -> None:
        """Store the service, if the ports it publishes are free and what it refers to exists."""
        if new.spec.endpoint_spec != self.old.spec.endpoint_spec:
            services = self._env.view.services()
            check_port_conflicts(new.spec.endpoint_spec, services, own_id=new.id)
        check_referenced(new.spec, self._env.view)
        await self._env.writer.submit(
            Transaction((Update(new, base=self.old.version, reason=reason),))
        )


def previous_of(service: Service) -> PastSpec:
    """What a service goes back to when it isn't said how far."""
    if service.previous_spec is None:
        raise failed_precondition(
            f"service {service.spec.name} ({service.id}) has no previous spec to roll back to; "
            "it was never updated"
        )
    return PastSpec(spec=service.previous_spec, spec_version=service.previous_spec_version)
