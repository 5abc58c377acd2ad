"""Calls to containerd: its services with our namespace and a time limit on every call.

Errors arrive as `RpcError`; the few codes that are answers in disguise are named here, so that
callers read as what they mean.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Any

from swarmd.model.errors import Code
from swarmd.rpc.channel import Channel
from swarmd.rpc.client_connection import ClientCall
from swarmd.rpc.errors import RpcError
from swarmd.rpc.metadata import metadata_of
from swarmd.rpc.methods import SERVICES
from swarmd.rpc.pb.containerd import leases_pb2 as leases
from swarmd.rpc.pb.containerd import namespaces_pb2 as namespaces

NAMESPACE = "swarmd"
CALL_S_MAX = 60.0

_WRITE = "/containerd.services.content.v1.Content/Write"


def is_missing(error: RpcError) -> bool:
    return error.code is Code.NOT_FOUND


def is_there_already(error: RpcError) -> bool:
    return error.code is Code.ALREADY_EXISTS


def is_full(error: RpcError) -> bool:
    """Whether there was no room on containerd's disk, for which it has no code of its own."""
    return any(word in error.message for word in ("no space left on device", "quota exceeded"))


class Client:
    """One containerd as one of its namespaces sees it.

    The services are attributes whose methods take a request and `timeout_s` (a minute unless told;
    None waits for ever).

    Args:
        lease: makes what is created through this client live as long as the lease, at least.
    """

    def __init__(self, channel: Channel, *, lease: str = "") -> None:
        self._channel = channel
        self._lease = lease
        pairs = [("containerd-namespace", NAMESPACE)]
        if lease:
            pairs.append(("containerd-lease", lease))
        self._metadata = pairs
        self.containers = self._service("containerd.services.containers.v1.Containers")
        self.tasks = self._service("containerd.services.tasks.v1.Tasks")
        self.images = self._service("containerd.services.images.v1.Images")
        self.content = self._service("containerd.services.content.v1.Content")
        self.snapshots = self._service("containerd.services.snapshots.v1.Snapshots")
        self.diff = self._service("containerd.services.diff.v1.Diff")
        self.leases = self._service("containerd.services.leases.v1.Leases")
        self.events = self._service("containerd.services.events.v1.Events")
        self._namespaces = self._service("containerd.services.namespaces.v1.Namespaces")
        self._version = self._service("containerd.services.version.v1.Version")

    def leased(self, lease: str) -> Client:
        """The same containerd, with everything made under `lease`."""
        return Client(self._channel, lease=lease)

    async def hold(self, kind: str, name: str) -> None:
        """Have the lease keep something that others made, if it is there.

        Whether it is there has to be asked afterwards: until then it may be collected.

        Args:
            kind: `content`, or `snapshots/` and the snapshotter.
        """
        resource = leases.Resource(id=name, type=kind)
        request = leases.AddResourceRequest(id=self._lease, resource=resource)
        await self.leases.AddResource(request)

    @property
    def is_connected(self) -> bool:
        return self._channel.is_connected

    async def version(self, *, timeout_s: float) -> str:
        """Which containerd answers, such as `1.6.20`."""
        request = SERVICES["containerd.services.version.v1.Version"]["Version"].request()
        answer = await self._version.Version(request, timeout_s=timeout_s)
        number: str = answer.version
        return number.removeprefix("v").partition("~")[0]

    async def make_namespace(self) -> None:
        """Make our namespace; one that is there already will do."""
        request = namespaces.CreateNamespaceRequest()
        request.namespace.name = NAMESPACE
        try:
            await self._namespaces.Create(request)
        except RpcError as error:
            if not is_there_already(error):
                raise

    async def begin_write(self) -> ClientCall:
        """The two-way stream by which content is written; cancel it when done."""
        return await self._channel.start(_WRITE, None, metadata=metadata_of(self._metadata))

    async def close(self) -> None:
        await self._channel.close()

    def _service(self, name: str) -> Service:
        return Service(self._channel.stub(name), self._metadata)


class Service:
    """The methods of one service, with the namespace added to each call."""

    def __init__(self, stub: Any, metadata: list[tuple[str, str]]) -> None:
        self._stub = stub
        self._metadata = metadata

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self._stub, name)
        bound = partial(method, metadata=self._metadata, timeout_s=CALL_S_MAX)
        setattr(self, name, bound)
        return bound


async def listed(stream: AsyncIterator[Any]) -> list[Any]:
    """The rows of a listing that arrives in portions."""
    return [row async for portion in stream for row in portion.info]
