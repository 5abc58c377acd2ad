"""A cluster's CA that nodes reach without a network: the real services behind plain calls.

Everything is the shipped code except the wire; what the wire can do to a call is scripted.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

from msgspec.structs import replace

from swarmd.ca.core.subject import Subject
from swarmd.ca.founding import found, signer_of
from swarmd.ca.verify import read_node_certificate
from swarmd.manager.ca_service import CAService, NodeCAService
from swarmd.model.cluster import DEFAULT_CERT_EXPIRY_NS, Cluster
from swarmd.model.errors import Code, Rejection
from swarmd.model.ids import ClusterId, NodeId
from swarmd.model.instant import SECOND, Instant
from swarmd.model.node import Node, NodeCertificate
from swarmd.model.states import Availability, IssuanceState, Role
from swarmd.node.authority import NodeAuthority
from swarmd.rpc.call import Call, Peer
from swarmd.rpc.convert import certificate_from_pb
from swarmd.rpc.convert.words import AVAILABILITY
from swarmd.rpc.errors import RpcError
from swarmd.rpc.identity import Identity
from swarmd.rpc.pb import ca as pb
from swarmd.rpc.tls import ClientTls
from swarmd.store.changes import Create, Update
from swarmd.store.store import Store
from tests.support.hand_clock import HandClock
from tests.support.manager import InstantWriter

T = TypeVar("T")

NOW = Instant(1_800_000_000 * SECOND)
CLUSTER = ClusterId("c1")


class MemoryAuthority:
    """Implements `node.authority.Authority` for one founded cluster.

    Before each call the next of `failures` happens instead, if there is one and it isn't None.
    With `answers_lost` set, calls are carried out and their answers thrown away. `after_issue`
    is run once a request was accepted, `rewrite` on every certificate sent. `shown` collects what
    callers showed, in order.
    """

    def __init__(self, *, now: Instant = NOW) -> None:
        self.clock = HandClock(now)
        self.founding = found(
            cluster_id=CLUSTER,
            node_id=NodeId("n1"),
            now=now,
            worker_secret=b"w" * 16,
            manager_secret=b"m" * 16,
        )
        self.store = Store()
        self.writer = InstantWriter(self.store)
        self.writer.write(
            Create(Cluster(id=CLUSTER, root_ca=self.founding.root_ca)),
            Create(Node(id=NodeId("n1"), role=Role.MANAGER, certificate=self.founding.certificate)),
        )
        self.failures: list[RpcError | None] = []
        self.answers_lost = 0
        self.after_issue: Callable[[NodeId], None] = lambda node_id: None
        self.rewrite: Callable[[NodeCertificate], NodeCertificate] = lambda sent: sent
        self.shown: list[tuple[str, ClientTls]] = []
        self.tokens = self.founding.root_ca.join_tokens
        self._ca = CAService(self.store)
        self._node_ca = NodeCAService(self.store, self.writer, self.clock)

    def change_node(
        self, node_id: str, *, role: Role | None = None, status: IssuanceState | None = None
    ) -> Node:
        """Write another role or certificate state for a node; its record as of now."""
        node = self.store.get_node(node_id)
        changed = replace(
            node,
            role=role or node.role,
            certificate=replace(node.certificate, status=status or node.certificate.status),
        )
        self.writer.write(Update(changed, base=node.version))
        return self.store.get_node(node_id)

    def sign_for(self, node_id: str, sent: NodeCertificate) -> NodeCertificate:
        """The certificate that `sent` is, but in the name of another node."""
        subject = Subject(node_id=NodeId(node_id), role=sent.role, cluster_id=CLUSTER)
        signer = signer_of(self.founding.root_ca)
        now = Instant(self.clock.now())
        pem = signer.sign(sent.csr, subject, now=now, life_ns=DEFAULT_CERT_EXPIRY_NS)
        return replace(sent, certificate=pem)

    async def fetch_root(self, address: str) -> bytes:
        async def answer() -> bytes:
            call = Call(Peer(), "")
            return self._ca.GetRootCACertificate(call, pb.GetRootCACertificateRequest()).certificate

        return await self._over_the_wire(answer)

    @asynccontextmanager
    async def connect(self, address: str, tls: ClientTls) -> AsyncIterator[NodeAuthority]:
        self.shown.append((address, tls))
        yield _Connection(self, tls)

    async def _over_the_wire(self, answer: Callable[[], Awaitable[T]]) -> T:
        failure = self.failures.pop(0) if self.failures else None
        if failure is not None:
            raise failure
        try:
            result = await answer()
        except Rejection as rejection:
            raise RpcError(rejection.code, rejection.message) from rejection
        if self.answers_lost:
            self.answers_lost -= 1
            raise lost()
        return result


class _Connection:
    def __init__(self, authority: MemoryAuthority, tls: ClientTls) -> None:
        self._authority = authority
        identity = None
        if tls.cert_pem:
            subject = read_node_certificate(tls.cert_pem).subject
            identity = Identity(subject.node_id, subject.cluster_id, (subject.ou,))
        self._call = Call(Peer(identity=identity), "")

    async def issue(self, csr: bytes, *, token: str, availability: Availability) -> NodeId:
        request = pb.IssueNodeCertificateRequest(csr=csr, token=token)
        AVAILABILITY.put(request, "availability", availability)

        async def answer() -> NodeId:
            issued = await self._authority._node_ca.IssueNodeCertificate(self._call, request)
            self._authority.after_issue(NodeId(issued.node_id))
            return NodeId(issued.node_id)

        return await self._authority._over_the_wire(answer)

    async def status(self, node_id: NodeId) -> NodeCertificate:
        request = pb.NodeCertificateStatusRequest(node_id=node_id)

        async def answer() -> NodeCertificate:
            status = self._authority._node_ca.NodeCertificateStatus(self._call, request)
            return self._authority.rewrite(certificate_from_pb(status.certificate))

        return await self._authority._over_the_wire(answer)


def lost() -> RpcError:
    """What a caller sees of a call that the network swallowed."""
    return RpcError(Code.UNAVAILABLE, "connection lost")
