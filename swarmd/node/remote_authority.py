"""The certificate authority over gRPC: one connection per certificate, five seconds per call."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from swarmd.model.errors import Code
from swarmd.model.ids import NodeId
from swarmd.model.node import NodeCertificate
from swarmd.model.states import Availability
from swarmd.rpc.channel import Channel, fetch_root_ca
from swarmd.rpc.convert import certificate_from_pb
from swarmd.rpc.convert.words import AVAILABILITY
from swarmd.rpc.errors import RpcError
from swarmd.rpc.pb import ca as pb
from swarmd.rpc.tls import ClientTls
from swarmd.runtime.timeouts import timeout

from .authority import NodeAuthority

T = TypeVar("T")

NODE_CA_SERVICE = "docker.swarmkit.v1.NodeCA"
CALL_TIMEOUT_S = 5.0


class RemoteAuthority:
    """Implements `authority.Authority`."""

    async def fetch_root(self, address: str) -> bytes:
        return await _within_limit(fetch_root_ca(address), address)

    @asynccontextmanager
    async def connect(self, address: str, tls: ClientTls) -> AsyncIterator[NodeAuthority]:
        channel = Channel(address, tls)
        try:
            yield RemoteNodeAuthority(channel.stub(NODE_CA_SERVICE), address)
        finally:
            await channel.close()


class RemoteNodeAuthority:
    """Implements `authority.NodeAuthority` over a stub of the service."""

    def __init__(self, stub: Any, address: str) -> None:
        self._stub = stub
        self._address = address

    async def issue(self, csr: bytes, *, token: str, availability: Availability) -> NodeId:
        request = pb.IssueNodeCertificateRequest(csr=csr, token=token)
        AVAILABILITY.put(request, "availability", availability)
        answer: pb.IssueNodeCertificateResponse = await _within_limit(
            self._stub.IssueNodeCertificate(request), self._address
        )
        return NodeId(answer.node_id)

    async def status(self, node_id: NodeId) -> NodeCertificate:
        answer: pb.NodeCertificateStatusResponse = await _within_limit(
            self._stub.NodeCertificateStatus(pb.NodeCertificateStatusRequest(node_id=node_id)),
            self._address,
        )
        certificate: NodeCertificate = certificate_from_pb(answer.certificate)
        return certificate


async def _within_limit(answer: Awaitable[T], address: str) -> T:
    try:
        async with timeout(CALL_TIMEOUT_S):
            return await answer
    except TimeoutError as error:
        raise RpcError(
            Code.DEADLINE_EXCEEDED,
            f"the manager at {address} did not answer within {CALL_TIMEOUT_S:g} seconds",
        ) from error
