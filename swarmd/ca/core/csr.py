"""What a signing request must be before a certificate is made from it.

A request proves that its sender holds a private key; nothing else in it counts. Its subject is
ignored, as the signer decides on the name. Weak keys and outdated signatures are refused here so
that no certificate of the cluster can ever carry them.
"""

from __future__ import annotations

from typing import TypeAlias

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import SignatureAlgorithmOID

from swarmd.model.errors import Rejection, invalid

NodePublicKey: TypeAlias = ec.EllipticCurvePublicKey | rsa.RSAPublicKey

CSR_BYTES_MAX = 32 * 1024
RSA_BITS_MIN = 2048
RSA_BITS_MAX = 8192  # beyond this, verifying the request itself becomes a way to waste our time
CURVES = ("secp256r1", "secp384r1", "secp521r1")

_SIGNATURES = frozenset(
    {
        SignatureAlgorithmOID.RSA_WITH_SHA256,
        SignatureAlgorithmOID.RSA_WITH_SHA384,
        SignatureAlgorithmOID.RSA_WITH_SHA512,
        SignatureAlgorithmOID.ECDSA_WITH_SHA256,
        SignatureAlgorithmOID.ECDSA_WITH_SHA384,
        SignatureAlgorithmOID.ECDSA_WITH_SHA512,
    }
)


def accept_request(csr: bytes) -> NodePublicKey:
    """The public key a PEM signing request asks a certificate for.

    Raises:
        Rejection: INVALID_ARGUMENT with the reason why no certificate can be made from it.
    """
    if not csr:
        raise invalid("a certificate signing request is required, and this one is empty")
    if len(csr) > CSR_BYTES_MAX:
        raise invalid(
            f"the certificate signing request has {len(csr)} bytes; "
            f"at most {CSR_BYTES_MAX} are accepted"
        )
    try:
        request = x509.load_pem_x509_csr(csr)
        public_key = request.public_key()
        signature_oid = request.signature_algorithm_oid
    except (ValueError, UnsupportedAlgorithm, x509.InvalidVersion) as error:
        raise invalid("the certificate signing request is not a readable PEM request") from error
    weakness = find_weakness(public_key)
    if weakness is not None:
        raise invalid(f"the certificate signing request is refused: {weakness}")
    if signature_oid not in _SIGNATURES:
        raise invalid(
            "the certificate signing request is signed with an algorithm that isn't accepted; "
            "use ECDSA or RSA with SHA-256, SHA-384 or SHA-512"
        )
    _require_possession(request)
    assert isinstance(public_key, ec.EllipticCurvePublicKey | rsa.RSAPublicKey)
    return public_key


def find_weakness(public_key: object) -> str | None:
    """Why a public key is too weak, or of a kind we don't use; None for a good key."""
    match public_key:
        case rsa.RSAPublicKey():
            if public_key.key_size < RSA_BITS_MIN:
                return f"its RSA key has {public_key.key_size} bits, at least {RSA_BITS_MIN} needed"
            if public_key.key_size > RSA_BITS_MAX:
                return f"its RSA key has {public_key.key_size} bits, at most {RSA_BITS_MAX} allowed"
            return None
        case ec.EllipticCurvePublicKey():
            if public_key.curve.name not in CURVES:
                return f"its curve {public_key.curve.name} is not P-256, P-384 or P-521"
            return None
        case _:
            return "its key is neither ECDSA nor RSA"


def _require_possession(request: x509.CertificateSigningRequest) -> None:
    refusal: Rejection = invalid(
        "the certificate signing request was changed after it was signed, "
        "or signed with another key than the one it carries"
    )
    try:
        if not request.is_signature_valid:
            raise refusal
    except (InvalidSignature, UnsupportedAlgorithm, ValueError) as error:
        raise refusal from error
