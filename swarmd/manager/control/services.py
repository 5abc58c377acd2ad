"""Services: create, read, update, roll back, remove, and count their tasks."""

from __future__ import annotations

import asyncio

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
from swarmd.model.errors import failed_precondition, out_of_sequence
from swarmd.model.ids import ServiceId
from swarmd.model.instant import Instant
from swarmd.model.service import Service, UpdateStatus
from swarmd.model.spec import ServiceSpec
from swarmd.model.states import UpdateState
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

    Writes that publish ports run one after the other, so that two services asking for one port at
    the same time cannot both pass the check.
    """

    def __init__(self, env: ControlEnv) -> None:
        super().__init__(env)
        self._publishing = asyncio.Lock()

    async def CreateService(
        self, call: Call, request: control.CreateServiceRequest
    ) -> control.CreateServiceResponse:
        require(request, "spec")
        spec = _checked_spec(request.spec)
        await self._synchronize()
        now = Instant(self._env.clock.now())
        service = runs.created(Service(id=ServiceId(self._env.ids.new()), spec=spec), now)
        create = Transaction((Create(service, "created by a user"),))
        if _publishes(spec):
            async with self._publishing:
                check_port_conflicts(spec.endpoint_spec, self._view.services())
                await self._env.writer.submit(create)
        else:
            await self._env.writer.submit(create)
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
        await self._synchronize()
        async with self._publishing:
            old = self._view.get_service(service_id)
            if old.version != request.service_version.index:
                raise out_of_sequence()
            now = Instant(self._env.clock.now())
            new = _rolled_back(old, now=now) if wanted is None else _updated(old, wanted)
            new = runs.after_spec_change(old, new, now)
            if new.spec.endpoint_spec != old.spec.endpoint_spec:
                check_port_conflicts(
                    new.spec.endpoint_spec, self._view.services(), own_id=service_id
                )
            reason = "rolled back by a user" if rollback else "updated by a user"
            await self._env.writer.submit(
                Transaction((Update(new, base=old.version, reason=reason),))
            )
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
                service_to_pb(service)
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


def _updated(old: Service, spec: ServiceSpec) -> Service:
    """`old` with a new spec; the version it replaces numbers the new one, as no other can have it.

    An update in progress is forgotten: the updater starts over with the new spec, and a service
    that was paused goes on.
    """
    check_service_update(old.spec, spec)
    return replace(
        old,
        spec=spec,
        spec_version=old.version,
        previous_spec=old.spec,
        previous_spec_version=old.spec_version,
        update_status=None,
    )


def _rolled_back(old: Service, *, now: Instant) -> Service:
    """`old` with its previous spec and version of it, the current one becoming the previous."""
    if old.previous_spec is None:
        raise failed_precondition(
            f"service {old.spec.name} ({old.id}) has no previous spec to roll back to; "
            "it was never updated"
        )
    return replace(
        old,
        spec=old.previous_spec,
        spec_version=old.previous_spec_version,
        previous_spec=old.spec,
        previous_spec_version=old.spec_version,
        update_status=UpdateStatus(
            state=UpdateState.ROLLBACK_STARTED,
            started_at=now,
            message="manually requested rollback",
        ),
    )
