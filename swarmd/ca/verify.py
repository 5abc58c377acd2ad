"""Judging certificates: what they say, which root stands behind them, whether now is their time.

Every foreign exception becomes a `CertificateProblem` with a sentence for the operator. A wrong
time is told apart from everything else, because it usually is this machine's clock that is wrong.
"""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.x509.oid import NameOID
from msgspec import Struct

from swarmd.ca.core.csr import find_weakness
from swarmd.ca.core.subject import Subject, find_role
from swarmd.ca.problems import CertificateProblem, Defect
from swarmd.model.ids import ClusterId, NodeId
from swarmd.model.instant import SECOND, Instant, format_duration


class CertificateFacts(Struct, frozen=True, kw_only=True):
    """What a node certificate says; nothing here has been verified."""

    subject: Subject
    not_before: Instant
    not_after: Instant
    issuer_der: bytes  # distinguished name of the issuer
    serial: int

    def require_valid_at(self, now: Instant) -> None:
        """Raise `CertificateProblem` when the certificate is not valid now, explaining clocks."""
        _require_time(self.not_before, self.not_after, now, "the node certificate")


def read_node_certificate(chain_pem: bytes) -> CertificateFacts:
    """The facts of the first certificate in `chain_pem`; the rest of the chain isn't looked at.

    Raises:
        CertificateProblem: not a certificate, or not one of a node.
    """
    return facts_of(load_bundle(chain_pem, "node certificate")[0])


def facts_of(certificate: x509.Certificate) -> CertificateFacts:
    """As `read_node_certificate`, for a parsed certificate."""
    role = find_role(_one_name(certificate, NameOID.ORGANIZATIONAL_UNIT_NAME, "OU"))
    if role is None:
        raise CertificateProblem(
            Defect.WRONG_NAME, "the certificate names neither a worker nor a manager in its OU"
        )
    return CertificateFacts(
        subject=Subject(
            node_id=NodeId(_one_name(certificate, NameOID.COMMON_NAME, "CN")),
            role=role,
            cluster_id=ClusterId(_one_name(certificate, NameOID.ORGANIZATION_NAME, "O")),
        ),
        not_before=instant_of(certificate.not_valid_before_utc),
        not_after=instant_of(certificate.not_valid_after_utc),
        issuer_der=certificate.issuer.public_bytes(),
        serial=certificate.serial_number,
    )


def verify_chain(chain_pem: bytes, root_pem: bytes, *, now: Instant | None) -> CertificateFacts:
    """The facts of a node certificate that leads to one of the roots.

    Each certificate in `chain_pem` must be signed by the one behind it, and the last by a root.
    All must be valid at `now`; None leaves time out, for looking at files at rest.

    Raises:
        CertificateProblem: what is wrong; a wrong time is only reported when all else is right.
    """
    chain = load_bundle(chain_pem, "node certificate")
    roots = load_bundle(root_pem, "root certificate")
    for child, parent in pairwise(chain):
        if not _issued(parent, child):
            raise _untrusted()
    root = next((root for root in roots if _issued(root, chain[-1])), None)
    if root is None:
        raise _untrusted()
    for certificate in chain:
        require_strong(certificate, "the certificate")
    facts = facts_of(chain[0])
    if now is not None:
        facts.require_valid_at(now)
        for certificate in chain[1:]:
            _require_certificate_time(certificate, now, "an intermediate certificate")
        _require_certificate_time(root, now, "the root certificate")
    return facts


def require_root(bundle_pem: bytes, *, now: Instant | None) -> None:
    """Refuse a root bundle that isn't one: not PEM, not a CA, weak, damaged, or not valid now.

    None leaves time out, as in `verify_chain`.
    """
    for certificate in load_bundle(bundle_pem, "root certificate"):
        if not _is_authority(certificate):
            raise CertificateProblem(
                Defect.UNTRUSTED, "the root certificate is not a certificate authority"
            )
        require_strong(certificate, "the root certificate")
        # TLS ends its search at self-signed certificates only; and a signature shows damage.
        if not _issued(certificate, certificate):
            raise CertificateProblem(
                Defect.UNTRUSTED, "the root certificate is not self-signed, or was damaged"
            )
        if now is not None:
            _require_certificate_time(certificate, now, "the root certificate")


def require_matching_key(chain_pem: bytes, key_pem: bytes) -> None:
    """Refuse a private key that isn't the one the certificate was made for."""
    certificate = load_bundle(chain_pem, "node certificate")[0]
    if load_key(key_pem).public_key() != certificate.public_key():
        raise CertificateProblem(
            Defect.MISMATCH, "the node certificate was made for another private key"
        )


def require_strong(certificate: x509.Certificate, what: str) -> None:
    """Refuse a certificate with a weak key, or with one of a kind we don't use."""
    try:
        weakness = find_weakness(certificate.public_key())
    except (ValueError, UnsupportedAlgorithm):
        weakness = "its key can't be read"
    if weakness is not None:
        raise CertificateProblem(Defect.WEAK, f"{what} is refused: {weakness}")


def issuer_public_key(chain_pem: bytes, root_pem: bytes) -> bytes:
    """The public key (DER) of whoever signed the node certificate; empty when not among these."""
    chain = load_bundle(chain_pem, "node certificate")
    candidates = [*chain[1:], *load_bundle(root_pem, "root certificate")]
    issuer = next((candidate for candidate in candidates if _issued(candidate, chain[0])), None)
    if issuer is None:
        return b""
    return issuer.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def load_bundle(pem: bytes, what: str) -> list[x509.Certificate]:
    """All certificates of a PEM bundle, at least one; their names are known to be readable."""
    try:
        certificates = x509.load_pem_x509_certificates(pem)
        # Names are parsed when first asked for, and what fails then should fail here.
        for certificate in certificates:
            _ = certificate.subject, certificate.issuer
        return certificates
    except (ValueError, x509.InvalidVersion) as error:
        raise CertificateProblem(
            Defect.MALFORMED, f"the {what} is not a readable PEM certificate"
        ) from error


def load_key(key_pem: bytes) -> PrivateKeyTypes:
    """A private key from PEM that isn't encrypted."""
    try:
        return serialization.load_pem_private_key(key_pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise CertificateProblem(
            Defect.MALFORMED, "the private key is not a readable PEM key"
        ) from error


def instant_of(moment: datetime) -> Instant:
    """A certificate's time as an instant."""
    return Instant(int(moment.timestamp()) * SECOND)


def datetime_of(moment: Instant) -> datetime:
    """An instant as certificates write it, in whole seconds."""
    return datetime.fromtimestamp(moment // SECOND, UTC)


def _require_certificate_time(certificate: x509.Certificate, now: Instant, what: str) -> None:
    _require_time(
        instant_of(certificate.not_valid_before_utc),
        instant_of(certificate.not_valid_after_utc),
        now,
        what,
    )


def _require_time(not_before: Instant, not_after: Instant, now: Instant, what: str) -> None:
    if now < not_before:
        behind = format_duration((not_before - now) // SECOND * SECOND + SECOND)
        raise CertificateProblem(
            Defect.NOT_YET_VALID,
            f"{what} is not valid yet: this machine's clock is at least {behind} behind that of "
            f"the swarm; it says {_written(now)} and the certificate begins "
            f"{_written(not_before)}; set the clock, then try again",
        )
    if now >= not_after:
        since = format_duration((now - not_after) // SECOND * SECOND)
        raise CertificateProblem(
            Defect.EXPIRED,
            f"{what} expired {since} ago, on {_written(not_after)}, by this machine's clock "
            f"({_written(now)}); if the clock is ahead, set it; otherwise the certificate "
            "must be renewed",
        )


def _written(moment: Instant) -> str:
    return datetime_of(moment).strftime("%Y-%m-%d %H:%M:%S UTC")


def _untrusted() -> CertificateProblem:
    return CertificateProblem(
        Defect.UNTRUSTED, "the certificate was not issued by the root of this cluster"
    )


def _issued(issuer: x509.Certificate, child: x509.Certificate) -> bool:
    if not _is_authority(issuer):
        return False
    try:
        child.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def _is_authority(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except (x509.ExtensionNotFound, x509.DuplicateExtension, ValueError):
        return False


def _one_name(certificate: x509.Certificate, oid: x509.ObjectIdentifier, word: str) -> str:
    values = certificate.subject.get_attributes_for_oid(oid)
    if len(values) != 1 or not isinstance(values[0].value, str) or not values[0].value:
        raise CertificateProblem(
            Defect.WRONG_NAME, f"the certificate must name exactly one {word} in its subject"
        )
    return values[0].value
