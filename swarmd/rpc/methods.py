"""Every method of our services, by path, from the compiled descriptors.

The services of containerd are among those that can be called; no server of ours finds them, since
only `BY_PATH` leads there.
"""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import msgspec
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from swarmd.rpc import pb
from swarmd.rpc.pb.containerd import (
    containers_pb2,
    content_pb2,
    diff_pb2,
    events_pb2,
    images_pb2,
    leases_pb2,
    namespaces_pb2,
    snapshots_pb2,
    tasks_pb2,
    version_pb2,
)
from swarmd.rpc.roles import Access, Routing, access_to, routing_of

# Named here as both a node that wants to be a manager and the managers go by it.
MEMBERSHIP = "docker.swarmkit.v1.RaftMembership"

_FILES = (
    pb.ca,
    pb.control,
    pb.dispatcher,
    pb.health,
    pb.logbroker,
    pb.raft,
    pb.resource,
    pb.watch,
    pb.cluster,
    pb.doctor,
    pb.endpoints,
    pb.errands,
    pb.exec_,
    pb.images,
    pb.local,
    pb.registries,
    pb.updates,
    pb.volumes,
)
_FOREIGN = (
    containers_pb2,
    content_pb2,
    diff_pb2,
    events_pb2,
    images_pb2,
    leases_pb2,
    namespaces_pb2,
    snapshots_pb2,
    tasks_pb2,
    version_pb2,
)


class Method(msgspec.Struct, frozen=True):
    """A method as declared: where it is, what goes in and out, and who may call it."""

    path: str
    service: str
    name: str
    request: type[Message]
    response: type[Message]
    parse_request: Callable[[bytes], Any]
    parse_response: Callable[[bytes], Any]
    client_streaming: bool
    server_streaming: bool
    access: Access
    routing: Routing

    @property
    def is_unary(self) -> bool:
        """One message in, one message out."""
        return not self.client_streaming and not self.server_streaming


def _describe(service: ServiceDescriptor, method: MethodDescriptor) -> Method:
    # The wrappers of both classes are made here once; messages use the C implementation.
    request: Any = GetMessageClass(method.input_type)
    response: Any = GetMessageClass(method.output_type)
    return Method(
        path=f"/{service.full_name}/{method.name}",
        service=service.full_name,
        name=method.name,
        request=request,
        response=response,
        parse_request=request.FromString,
        parse_response=response.FromString,
        client_streaming=method.client_streaming,
        server_streaming=method.server_streaming,
        access=access_to(service.full_name, method.name),
        routing=routing_of(service.full_name),
    )


def _collect(modules: tuple[ModuleType, ...]) -> dict[str, dict[str, Method]]:
    return {
        service.full_name: {
            method.name: _describe(service, method) for method in service.methods_by_name.values()
        }
        for module in modules
        for service in module.DESCRIPTOR.services_by_name.values()
    }


_OWN: dict[str, dict[str, Method]] = _collect(_FILES)
SERVICES: dict[str, dict[str, Method]] = {**_OWN, **_collect(_FOREIGN)}
BY_PATH: dict[str, Method] = {
    method.path: method for methods in _OWN.values() for method in methods.values()
}
