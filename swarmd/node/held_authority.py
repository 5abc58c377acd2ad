"""The certificate authority of a manager that holds its key, without a connection to it.

A manager whose own certificate has expired can't call anybody, itself included, and nobody can call
it. While it leads it holds what renewing takes; whoever asks for it here has come by the local
socket and is trusted.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from swarmd.manager.ca_service import NodeCAService, Writes
from swarmd.model.env import Rng
from swarmd.model.errors import failed_precondition
from swarmd.model.ids import NodeId
from swarmd.model.instant import Instant
from swarmd.model.node import NodeCertificate
from swarmd.model.states import Availability
from swarmd.rpc.call import Call, Peer
from swarmd.rpc.identity import Identity
from swarmd.rpc.pb import ca as pb
from swarmd.rpc.tls import ClientTls
from swarmd.runtime.clock import Clock
from swarmd.store.view import View

from .authority import NodeAuthority
from .certificates import CertificateKeeper
from .security import SecurityContext


class HeldAuthority:
    """Implements `authority.Authority` for the node of a manager that leads, and so writes."""

    def __init__(self, view: View, writer: Writes, identity: Identity, clock: Clock) -> None:
        self._view = view
        self._service = NodeCAService(view, writer, clock)
        self._identity = identity

    async def fetch_root(self, address: str) -> bytes:
        return self._view.cluster().root_ca.ca_cert

    @asynccontextmanager
    async def connect(self, address: str, tls: ClientTls) -> AsyncIterator[NodeAuthority]:
        yield self

    async def issue(self, csr: bytes, *, token: str, availability: Availability) -> NodeId:
        call = Call(Peer(identity=self._identity), "renewal at home")
        request = pb.IssueNodeCertificateRequest(csr=csr, token=token)
        return NodeId((await self._service.IssueNodeCertificate(call, request)).node_id)

    async def status(self, node_id: NodeId) -> NodeCertificate:
        return self._view.get_node(node_id).certificate


def has_expired(security: SecurityContext, now: Instant) -> bool:
    return security.credentials.facts.not_after <= now


async def renew_at_home(
    security: SecurityContext, view: View, writer: Writes, *, clock: Clock, rng: Rng
) -> None:
    """A new certificate for the node of a manager that leads, whatever the old one is worth.

    Raises:
        Rejection: the cluster can't sign, or its root has expired as well.
    """
    subject = security.credentials.facts.subject
    identity = Identity(node_id=subject.node_id, cluster_id=subject.cluster_id, roles=(subject.ou,))
    keeper = CertificateKeeper(
        security,
        HeldAuthority(view, writer, identity, clock),
        managers=lambda: ["this manager"],
        clock=clock,
        rng=rng,
    )
    if not await keeper.renew():
        raise failed_precondition(keeper.problem)
