"""How a machine becomes a node: the records its admission and its renewals write.

The id of a new node is drawn from its signing request, the cluster and the role it is granted, so
asking again with the same request (the answer was lost, the leader changed) names the same node
instead of leaving a ghost behind. The request contains a fresh public key, so ids are as random as
keys are.
"""

from __future__ import annotations

import hashlib

from msgspec.structs import replace

from swarmd.ca.core.subject import Subject
from swarmd.model.ids import ClusterId, NodeId, id_from_bytes
from swarmd.model.node import Node, NodeCertificate, NodeSpec
from swarmd.model.states import Availability, IssuanceState, Membership, Role

_ID_BYTES = 17


def node_id_for(csr: bytes, *, cluster_id: ClusterId, role: Role) -> NodeId:
    """The id that a signing request gets in this cluster when it is granted this role."""
    digest = hashlib.sha256(b"\0".join((cluster_id.encode(), role.value.encode(), csr))).digest()
    return NodeId(id_from_bytes(digest[:_ID_BYTES]))


def new_node(subject: Subject, *, csr: bytes, cert_pem: bytes, availability: Availability) -> Node:
    """The record of a machine that joins, its certificate already issued."""
    return Node(
        id=subject.node_id,
        spec=NodeSpec(role=subject.role, membership=Membership.ACCEPTED, availability=availability),
        role=subject.role,
        certificate=_issued(subject, csr, cert_pem),
    )


def renewed_node(node: Node, subject: Subject, *, csr: bytes, cert_pem: bytes) -> Node:
    """The record with a new certificate in place of whatever was there."""
    return replace(node, certificate=_issued(subject, csr, cert_pem))


def is_answered(node: Node, csr: bytes) -> bool:
    """Whether the node's certificate already is the answer to this request.

    A certificate of another role, or one that is to be replaced, answers nothing.
    """
    certificate = node.certificate
    return (
        certificate.csr == csr
        and certificate.status is IssuanceState.ISSUED
        and certificate.role is node.role
    )


def _issued(subject: Subject, csr: bytes, cert_pem: bytes) -> NodeCertificate:
    return NodeCertificate(
        role=subject.role,
        csr=csr,
        status=IssuanceState.ISSUED,
        certificate=cert_pem,
        cn=subject.node_id,
    )
