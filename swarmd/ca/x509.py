"""X.509: making keys, requests, the root, and node certificates.

Everything enters and leaves as PEM bytes and our own records. Times are instants; certificates
count in whole seconds. Judging the certificates of others is in `verify`.

Certificates begin an hour before they were made, so that clocks may differ by that much, and that
hour is added to the life that was asked for.
"""

from __future__ import annotations

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from msgspec import Struct

from swarmd.ca.core.csr import NodePublicKey, accept_request
from swarmd.ca.core.subject import CA_NAME, Subject
from swarmd.ca.problems import CertificateProblem, Defect
from swarmd.ca.verify import datetime_of, instant_of, load_bundle, load_key, require_strong
from swarmd.model.instant import HOUR, SECOND, Instant

BACKDATE_NS = HOUR
ROOT_LIFE_NS = 630_720_000 * SECOND
NODE_LIFE_MIN_NS = HOUR

_SERVER_AND_CLIENT = x509.ExtendedKeyUsage(
    [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
)


class RootPair(Struct, frozen=True):
    """A root certificate and the key that signs with it, both PEM."""

    cert_pem: bytes
    key_pem: bytes

    def __repr__(self) -> str:
        return "RootPair(hidden)"


def generate_key() -> bytes:
    """A fresh P-256 private key, PKCS#8 PEM, not encrypted."""
    return ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def make_request(key_pem: bytes) -> bytes:
    """A signing request for a key, with an empty subject: the signer decides on the name."""
    key = _signing_key(load_key(key_pem))
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def make_root(now: Instant) -> RootPair:
    """A new self-signed root, valid for twenty years."""
    key_pem = generate_key()
    key = _signing_key(load_key(key_pem))
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, CA_NAME)])
    begin = Instant(now - BACKDATE_NS)
    certificate = (
        _builder(name, name, key.public_key(), begin, Instant(begin + ROOT_LIFE_NS))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(_key_usage(signs_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return RootPair(certificate.public_bytes(serialization.Encoding.PEM), key_pem)


class Signer:
    """Signs node certificates with one root; keeps the parsed key, so signing is cheap."""

    def __init__(self, root: RootPair) -> None:
        self._certificate = load_bundle(root.cert_pem, "root certificate")[0]
        self._key = _signing_key(load_key(root.key_pem))
        if self._key.public_key() != self._certificate.public_key():
            raise CertificateProblem(
                Defect.MISMATCH, "the root certificate and the signing key do not belong together"
            )
        require_strong(self._certificate, "the root certificate")
        self._root_end = instant_of(self._certificate.not_valid_after_utc)
        self._authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(
            self._certificate.public_key()  # type: ignore[arg-type]  # strong keys only, see above
        )

    def sign(self, csr: bytes, subject: Subject, *, now: Instant, life_ns: int) -> bytes:
        """A certificate for the key in `csr` under the name `subject`, PEM.

        It never outlives the root, and a life below an hour is lifted to one hour.

        Raises:
            Rejection: the request isn't acceptable; the sentence says why.
        """
        public_key = accept_request(csr)
        begin = Instant(now - BACKDATE_NS)
        end = Instant(min(now + max(life_ns, NODE_LIFE_MIN_NS), self._root_end))
        names = x509.SubjectAlternativeName([x509.DNSName(name) for name in subject.dns_names])
        certificate = (
            _builder(_name_of(subject), self._certificate.subject, public_key, begin, end)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(signs_certificates=False), critical=True)
            .add_extension(_SERVER_AND_CLIENT, critical=False)
            .add_extension(names, critical=False)
            .add_extension(self._authority, critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        return certificate.public_bytes(serialization.Encoding.PEM)


def _name_of(subject: Subject) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, subject.cluster_id),
            x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, subject.ou),
            x509.NameAttribute(NameOID.COMMON_NAME, subject.node_id),
        ]
    )


def _builder(
    name: x509.Name, issuer: x509.Name, key: NodePublicKey, begin: Instant, end: Instant
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime_of(begin))
        .not_valid_after(datetime_of(end))
    )


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=not signs_certificates,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _signing_key(key: PrivateKeyTypes) -> ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey:
    if not isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
        raise CertificateProblem(Defect.WEAK, "the private key is neither ECDSA nor RSA")
    return key
