"""Who is at the other end: the name, roles and cluster in a verified node certificate."""

from __future__ import annotations

import msgspec
from cryptography import x509
from cryptography.x509.oid import NameOID

WORKER = "swarm-worker"
MANAGER = "swarm-manager"


class Identity(msgspec.Struct, frozen=True):
    """A node as its certificate names it. Parsed once per connection.

    `not_after_ns` is None for an identity that another manager vouches for.
    """

    node_id: str
    cluster_id: str
    roles: tuple[str, ...]
    not_after_ns: int | None = None

    @property
    def is_manager(self) -> bool:
        return MANAGER in self.roles


def from_certificate(der: bytes) -> Identity | None:
    """The identity in a certificate that TLS has verified; None when it names no node."""
    certificate = x509.load_der_x509_certificate(der)
    names = certificate.subject

    def values(kind: x509.ObjectIdentifier) -> tuple[str, ...]:
        return tuple(str(attribute.value) for attribute in names.get_attributes_for_oid(kind))

    node_ids = values(NameOID.COMMON_NAME)
    clusters = values(NameOID.ORGANIZATION_NAME)
    if not node_ids or not clusters:
        return None
    return Identity(
        node_id=node_ids[0],
        cluster_id=clusters[0],
        roles=values(NameOID.ORGANIZATIONAL_UNIT_NAME),
        not_after_ns=int(certificate.not_valid_after_utc.timestamp()) * 1_000_000_000,
    )
