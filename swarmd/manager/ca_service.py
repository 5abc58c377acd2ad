"""The certificate authority of the cluster, served by the leader: `CA` and `NodeCA`.

A request is signed before it is answered, and node and certificate are written in one transaction,
so a join costs one log entry and its certificate can be fetched with the very next call. Asking
again with the same request changes nothing and gives the same answer; a client whose answer got
lost simply repeats itself (docs/design/ca.md).

Who calls is settled before these handlers run: an identity seen here belongs to a present member
of this cluster.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Protocol

from swarmd.ca.core.admission import is_answered, new_node, node_id_for, renewed_node
from swarmd.ca.core.subject import Subject, find_role
from swarmd.ca.core.tokens import explain_refusal, match_role
from swarmd.ca.founding import signer_of
from swarmd.ca.problems import CertificateProblem
from swarmd.model.cluster import Cluster, RootCA
from swarmd.model.errors import Code, Rejection, invalid, not_found, out_of_sequence
from swarmd.model.ids import NodeId
from swarmd.model.instant import Instant
from swarmd.model.node import Node
from swarmd.model.states import Availability
from swarmd.rpc.call import Call
from swarmd.rpc.convert import certificate_to_pb
from swarmd.rpc.convert.words import AVAILABILITY, MEMBERSHIP
from swarmd.rpc.identity import Identity
from swarmd.rpc.pb import ca as pb
from swarmd.runtime.clock import Clock
from swarmd.store.changes import Create, Transaction, Update
from swarmd.store.view import View

log = logging.getLogger(__name__)

CA_SERVICE = "docker.swarmkit.v1.CA"
NODE_CA_SERVICE = "docker.swarmkit.v1.NodeCA"
# The node record may change while its certificate is being signed; each try signs anew.
WRITE_TRIES_MAX = 5


class Writes(Protocol):
    """Commits transactions; the manager's writer, or one kept in memory."""

    async def submit(self, transaction: Transaction) -> int: ...


class Signs(Protocol):
    """Makes certificates with the root of the cluster; see `ca.x509.Signer`."""

    def sign(self, csr: bytes, subject: Subject, *, now: Instant, life_ns: int) -> bytes: ...


class CAService:
    """What every machine may know about the root, and the unlock key of managers."""

    def __init__(self, view: View) -> None:
        self._view = view

    def GetRootCACertificate(
        self, call: Call, request: pb.GetRootCACertificateRequest
    ) -> pb.GetRootCACertificateResponse:
        cluster = _cluster(self._view)
        return pb.GetRootCACertificateResponse(certificate=cluster.root_ca.ca_cert)

    def GetUnlockKey(self, call: Call, request: pb.GetUnlockKeyRequest) -> pb.GetUnlockKeyResponse:
        """An empty key: managers of this cluster are not locked."""
        response = pb.GetUnlockKeyResponse()
        response.version.index = _cluster(self._view).version
        return response


class NodeCAService:
    """Admits machines that hold a join token, and renews the certificates of nodes."""

    def __init__(
        self,
        view: View,
        writer: Writes,
        clock: Clock,
        *,
        signer_of: Callable[[RootCA], Signs] = signer_of,
    ) -> None:
        self._view = view
        self._writer = writer
        self._clock = clock
        self._signer_of = signer_of
        self._root_ca: RootCA | None = None
        self._signer: Signs | None = None

    async def IssueNodeCertificate(
        self, call: Call, request: pb.IssueNodeCertificateRequest
    ) -> pb.IssueNodeCertificateResponse:
        if not request.csr:
            raise invalid("a certificate signing request is required, and this one is empty")
        renewing = _renewing_node(call.peer.identity)
        if renewing is not None:
            node = await self._renew(renewing, request.csr)
        else:
            node = await self._admit(
                request.token, request.csr, AVAILABILITY.get(request, "availability")
            )
        response = pb.IssueNodeCertificateResponse(node_id=node.id)
        MEMBERSHIP.put(response, "node_membership", node.spec.membership)
        return response

    def NodeCertificateStatus(
        self, call: Call, request: pb.NodeCertificateStatusRequest
    ) -> pb.NodeCertificateStatusResponse:
        """Never waits: by the time a node knows its id, its certificate has been signed."""
        if not request.node_id:
            raise invalid("the id of the node whose certificate is asked for is required")
        _cluster(self._view)
        certificate = certificate_to_pb(self._view.get_node(request.node_id).certificate)
        return pb.NodeCertificateStatusResponse(status=certificate.status, certificate=certificate)

    async def _admit(self, token: str, csr: bytes, availability: Availability) -> Node:
        cluster = _cluster(self._view)
        role = match_role(token, cluster.root_ca.join_tokens)
        if role is None:
            raise explain_refusal(token, cluster.root_ca)
        node_id = node_id_for(csr, cluster_id=cluster.id, role=role)
        if node_id in cluster.removed_nodes:
            raise invalid(
                f"this signing request belongs to node {node_id}, which was removed from the "
                "swarm; join with a new key"
            )
        subject = Subject(node_id=node_id, role=role, cluster_id=cluster.id)
        node = self._view.find_node(node_id)
        if node is None:
            node = new_node(
                subject,
                csr=csr,
                cert_pem=self._sign(cluster, csr, subject),
                availability=availability,
            )
            create = Create(node, reason=f"a {role.value} joined with a token")
            try:
                await self._writer.submit(Transaction((create,)))
            except Rejection as refusal:
                if refusal.code is not Code.ALREADY_EXISTS:
                    raise
            else:
                log.info("ca.joined node.id=%s role=%s", node_id, role.value)
            node = self._view.get_node(node_id)
        if node.certificate.csr != csr:
            raise Rejection(
                Code.ALREADY_EXISTS,
                f"node {node_id} joined with this signing request and has moved on since; "
                "join with a new key",
            )
        return node

    async def _renew(self, node_id: NodeId, csr: bytes) -> Node:
        for _ in range(WRITE_TRIES_MAX):
            cluster, node = _cluster(self._view), self._view.find_node(node_id)
            if node is None:
                raise not_found("node", node_id)
            if is_answered(node, csr):
                return node
            subject = Subject(node_id=node.id, role=node.role, cluster_id=cluster.id)
            cert_pem = self._sign(cluster, csr, subject)
            renewed = renewed_node(node, subject, csr=csr, cert_pem=cert_pem)
            update = Update(renewed, base=node.version, reason="certificate renewed")
            try:
                await self._writer.submit(Transaction((update,)))
            except Rejection as refusal:
                if refusal != out_of_sequence():
                    raise
            else:
                log.info("ca.renewed node.id=%s role=%s", node_id, node.role.value)
                return renewed
        raise Rejection(
            Code.ABORTED,
            f"node {node_id} kept changing while its certificate was written; try again",
        )

    def _sign(self, cluster: Cluster, csr: bytes, subject: Subject) -> bytes:
        signer = self._signer
        if signer is None or cluster.root_ca is not self._root_ca:
            signer = self._load_signer(cluster.root_ca)
        return signer.sign(
            csr,
            subject,
            now=Instant(self._clock.now()),
            life_ns=cluster.spec.ca_config.node_cert_expiry_ns,
        )

    def _load_signer(self, root_ca: RootCA) -> Signs:
        try:
            signer = self._signer_of(root_ca)
        except CertificateProblem as problem:
            raise Rejection(
                Code.ABORTED, f"this cluster can't sign certificates: {problem.message}"
            ) from problem
        self._root_ca, self._signer = root_ca, signer
        return signer


def _renewing_node(identity: Identity | None) -> NodeId | None:
    """The node that renews, when the caller is one; its certificate is worth more than a token."""
    if identity is None or not any(find_role(ou) for ou in identity.roles):
        return None
    return NodeId(identity.node_id)


def _cluster(view: View) -> Cluster:
    cluster = view.find_cluster()
    if cluster is None:
        raise Rejection(Code.ABORTED, "the CA signer is still starting up; try again")
    return cluster
