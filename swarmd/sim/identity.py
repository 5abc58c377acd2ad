"""Certificates for simulated nodes: real X.509, the same bytes for the same name in every run.

Nobody signs anything: the network vouches for who is who. So the leader's signer only writes down
what it was asked to certify, and a request is any bytes that nobody else has handed in.
"""

from __future__ import annotations

import datetime
import hashlib
from functools import cache
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from swarmd.ca.core.subject import Subject
from swarmd.ca.core.tokens import rotate
from swarmd.model.cluster import RootCA
from swarmd.model.ids import ClusterId, NodeId
from swarmd.model.instant import Instant
from swarmd.model.states import Role
from swarmd.rpc.identity import MANAGER, WORKER, from_certificate

CLUSTER = ClusterId("simcluster")
ROOT = rotate(RootCA(ca_cert=b"simulated root"), worker_secret=b"w" * 16, manager_secret=b"m" * 16)
_EPOCH = datetime.datetime(2000, 1, 1, tzinfo=datetime.UTC)


class Papers(NamedTuple):
    """What a node's certificate says; it survives the daemon and power cuts."""

    node_id: NodeId
    role: Role

    @property
    def certificate(self) -> bytes:
        """The certificate itself, DER."""
        return certificate(self.node_id, manager=self.role is Role.MANAGER)


class SimSigner:
    """Implements `manager.ca_service.Signs`."""

    def __init__(self, root_ca: RootCA) -> None:
        """Any root will do."""

    def sign(self, csr: bytes, subject: Subject, *, now: Instant, life_ns: int) -> bytes:
        der = Papers(subject.node_id, subject.role).certificate
        return x509.load_der_x509_certificate(der).public_bytes(Encoding.PEM)


def papers_of(pem: bytes) -> Papers:
    """What a certificate of `SimSigner` says."""
    der = x509.load_pem_x509_certificate(pem).public_bytes(Encoding.DER)
    identity = from_certificate(der)
    assert identity is not None, "nothing but nodes is certified here"
    role = Role.MANAGER if identity.is_manager else Role.WORKER
    return Papers(NodeId(identity.node_id), role)


@cache
def certificate(node_id: str, *, manager: bool) -> bytes:
    """The DER certificate of a node. Nothing verifies its signature: the network vouches."""
    key = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(node_id.encode()).digest())
    name = x509.Name(
        [
            x509.NameAttribute(NameOID.COMMON_NAME, node_id),
            x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, MANAGER if manager else WORKER),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, CLUSTER),
        ]
    )
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(_EPOCH)
        .not_valid_after(_EPOCH + datetime.timedelta(days=36_500))
        .sign(key, None)
    )
    return made.public_bytes(Encoding.DER)
