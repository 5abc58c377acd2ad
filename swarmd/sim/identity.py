"""Certificates for simulated nodes: real X.509, the same bytes for the same name in every run."""

from __future__ import annotations

import datetime
import hashlib
from functools import cache

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from swarmd.model.ids import ClusterId
from swarmd.rpc.identity import MANAGER, WORKER

CLUSTER = ClusterId("simcluster")
_EPOCH = datetime.datetime(2000, 1, 1, tzinfo=datetime.UTC)


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
