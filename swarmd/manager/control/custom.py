"""Extensions and resources: objects of clients' own making, kept and watched but not understood."""

from __future__ import annotations

from msgspec.structs import replace

from swarmd.manager.control.core import Calls, require, require_id
from swarmd.manager.control.filters import Common, NamedAs
from swarmd.manager.validate.custom import check_extension, check_resource
from swarmd.model.custom import Extension, Resource
from swarmd.model.errors import Code, Rejection, invalid, not_found
from swarmd.model.ids import ExtensionId, ResourceId
from swarmd.rpc.call import Call
from swarmd.rpc.convert.custom import EXTENSION, RESOURCE
from swarmd.rpc.pb import control, objects
from swarmd.store.changes import Create, Delete, Kind, Transaction, Update


class CustomCalls(Calls):
    async def CreateExtension(
        self, call: Call, request: control.CreateExtensionRequest
    ) -> control.CreateExtensionResponse:
        extension = Extension(
            id=ExtensionId(self._env.ids.new()),
            name=request.annotations.name,
            labels=dict(request.annotations.labels),
            description=request.description,
        )
        check_extension(extension)
        await self._env.writer.submit(Transaction((Create(extension, "created by a user"),)))
        stored = self._view.find_extension(extension.id) or extension
        return control.CreateExtensionResponse(extension=EXTENSION.to_pb(stored))

    async def GetExtension(
        self, call: Call, request: control.GetExtensionRequest
    ) -> control.GetExtensionResponse:
        extension_id = require_id(request.extension_id, "extension")
        await self._synchronize()
        extension = self._view.get_extension(extension_id)
        return control.GetExtensionResponse(extension=EXTENSION.to_pb(extension))

    async def RemoveExtension(
        self, call: Call, request: control.RemoveExtensionRequest
    ) -> control.RemoveExtensionResponse:
        """The store refuses it while there are resources of the kind."""
        extension_id = require_id(request.extension_id, "extension")
        await self._synchronize()
        if self._view.find_extension(extension_id) is None:
            raise Rejection(Code.NOT_FOUND, f"could not find extension {extension_id}")
        remove = Delete(Kind.EXTENSION, extension_id, reason="removed by a user")
        await self._env.writer.submit(Transaction((remove,)))
        return control.RemoveExtensionResponse()

    async def CreateResource(
        self, call: Call, request: control.CreateResourceRequest
    ) -> control.CreateResourceResponse:
        resource = Resource(
            id=ResourceId(self._env.ids.new()),
            name=request.annotations.name,
            labels=dict(request.annotations.labels),
            kind=request.kind,
            payload_type=request.payload.type_url,
            payload=request.payload.value,
        )
        check_resource(resource)
        await self._env.writer.submit(Transaction((Create(resource, "created by a user"),)))
        return control.CreateResourceResponse(resource=self._resource(resource))

    async def GetResource(
        self, call: Call, request: control.GetResourceRequest
    ) -> control.GetResourceResponse:
        resource_id = require_id(request.resource_id, "resource")
        await self._synchronize()
        resource = self._view.get_resource(resource_id)
        return control.GetResourceResponse(resource=RESOURCE.to_pb(resource))

    async def ListResources(
        self, call: Call, request: control.ListResourcesRequest
    ) -> control.ListResourcesResponse:
        await self._synchronize()
        wanted = request.filters
        common = Common(
            names=wanted.names,
            name_prefixes=tuple(wanted.name_prefixes),
            id_prefixes=tuple(wanted.id_prefixes),
            labels=wanted.labels,
        )
        return control.ListResourcesResponse(
            resources=[
                RESOURCE.to_pb(resource)
                for resource in self._view.resources()
                if wanted.kind in ("", resource.kind)
                and common.match(NamedAs(resource.id, resource.name, resource.labels))
            ]
        )

    async def UpdateResource(
        self, call: Call, request: control.UpdateResourceRequest
    ) -> control.UpdateResourceResponse:
        """Labels are replaced if annotations are given, the payload if there is one."""
        resource_id = require_id(request.resource_id, "resource")
        require(request, "resource_version")
        await self._synchronize()
        old = self._view.get_resource(resource_id)
        new = old
        if request.HasField("annotations"):
            if request.annotations.name not in ("", old.name):
                raise invalid(f"resource {old.name} can't be renamed")
            new = replace(new, labels=dict(request.annotations.labels))
        if request.HasField("payload"):
            payload = request.payload
            new = replace(new, payload_type=payload.type_url, payload=payload.value)
        check_resource(new)
        if old.version != request.resource_version.index:
            raise _out_of_sequence()
        try:
            await self._env.writer.submit(
                Transaction((Update(new, base=old.version, reason="updated by a user"),))
            )
        except Rejection as rejection:
            # Clients of this call, unlike those of others, know the race by another code.
            raise _out_of_sequence() if rejection.message == _RACE else rejection from None
        return control.UpdateResourceResponse(resource=self._resource(new))

    async def RemoveResource(
        self, call: Call, request: control.RemoveResourceRequest
    ) -> control.RemoveResourceResponse:
        resource_id = require_id(request.resource_id, "resource")
        await self._synchronize()
        if self._view.find_resource(resource_id) is None:
            raise not_found("resource", resource_id)
        remove = Delete(Kind.RESOURCE, resource_id, reason="removed by a user")
        await self._env.writer.submit(Transaction((remove,)))
        return control.RemoveResourceResponse()

    def _resource(self, resource: Resource) -> objects.Resource:
        return RESOURCE.to_pb(self._view.find_resource(resource.id) or resource)


_RACE = "update out of sequence"


def _out_of_sequence() -> Rejection:
    return invalid(_RACE)
