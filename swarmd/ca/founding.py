"""Founding a cluster: its root, its join tokens, and the certificate of the first manager.

The first manager has nobody to ask, so it signs for itself with the root it just made. The
`RootCA` record goes into the cluster object; from then on every certificate comes from the leader.
"""

from __future__ import annotations

from msgspec import Struct

from swarmd.ca.core.subject import Subject
from swarmd.ca.core.tokens import rotate
from swarmd.ca.credentials import NodeCredentials
from swarmd.ca.x509 import RootPair, Signer, generate_key, make_request, make_root
from swarmd.model.cluster import DEFAULT_CERT_EXPIRY_NS, RootCA
from swarmd.model.ids import ClusterId, NodeId
from swarmd.model.instant import Instant
from swarmd.model.node import NodeCertificate
from swarmd.model.states import IssuanceState, Role


class Founding(Struct, frozen=True):
    """Everything about trust that a new cluster begins with."""

    root_ca: RootCA
    credentials: NodeCredentials
    certificate: NodeCertificate  # for the node record of the first manager


def found(
    *,
    cluster_id: ClusterId,
    node_id: NodeId,
    now: Instant,
    worker_secret: bytes,
    manager_secret: bytes,
    cert_expiry_ns: int = DEFAULT_CERT_EXPIRY_NS,
) -> Founding:
    """A new root with both tokens, and the first manager's credentials under it.

    Args:
        worker_secret: 16 random bytes for the worker token.
        manager_secret: 16 others for the manager token.
    """
    pair = make_root(now)
    root_ca = rotate(
        RootCA(ca_cert=pair.cert_pem, ca_key=pair.key_pem),
        worker_secret=worker_secret,
        manager_secret=manager_secret,
    )
    key_pem = generate_key()
    csr = make_request(key_pem)
    subject = Subject(node_id=node_id, role=Role.MANAGER, cluster_id=cluster_id)
    cert_pem = signer_of(root_ca).sign(csr, subject, now=now, life_ns=cert_expiry_ns)
    return Founding(
        root_ca=root_ca,
        credentials=NodeCredentials.checked(
            root_pem=pair.cert_pem, cert_pem=cert_pem, key_pem=key_pem, now=now
        ),
        certificate=NodeCertificate(
            role=Role.MANAGER,
            csr=csr,
            status=IssuanceState.ISSUED,
            certificate=cert_pem,
            cn=node_id,
        ),
    )


def signer_of(root_ca: RootCA) -> Signer:
    """The signer for the root of a cluster; raises `CertificateProblem` when it can't sign."""
    return Signer(RootPair(root_ca.ca_cert, root_ca.ca_key))
