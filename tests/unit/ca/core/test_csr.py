"""Which signing requests are accepted."""

from __future__ import annotations

import base64

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.x509.oid import NameOID
from hypothesis import given, settings
from hypothesis import strategies as st

from swarmd.ca.core.csr import CSR_BYTES_MAX, accept_request
from swarmd.ca.x509 import generate_key, make_request
from swarmd.model.errors import Code, Rejection

GOOD = make_request(generate_key())
RSA_2048 = rsa.generate_private_key(public_exponent=65537, key_size=2048)
RSA_1024 = rsa.generate_private_key(public_exponent=65537, key_size=1024)


def a_request(
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey,
    algorithm: hashes.SHA1 | hashes.SHA224 | hashes.SHA256 | hashes.SHA384 | hashes.SHA512 | None,
    rsa_padding: padding.PSS | None = None,
) -> bytes:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "whatever")])
    builder = x509.CertificateSigningRequestBuilder().subject_name(name)
    request = builder.sign(key, algorithm, rsa_padding=rsa_padding)  # type: ignore[arg-type]
    return request.public_bytes(serialization.Encoding.PEM)


@pytest.mark.parametrize(
    "csr",
    [
        pytest.param(GOOD, id="ours"),
        pytest.param(a_request(ec.generate_private_key(ec.SECP384R1()), hashes.SHA384()), id="384"),
        pytest.param(a_request(ec.generate_private_key(ec.SECP521R1()), hashes.SHA512()), id="521"),
        pytest.param(a_request(RSA_2048, hashes.SHA256()), id="rsa-2048"),
    ],
)
def test_strong_keys_with_current_signatures_are_accepted(csr: bytes) -> None:
    assert accept_request(csr) == x509.load_pem_x509_csr(csr).public_key()


@pytest.mark.parametrize(
    ("csr", "sentence"),
    [
        pytest.param(b"", "empty", id="empty"),
        pytest.param(b"hello", "not a readable PEM request", id="not PEM"),
        pytest.param(b"\0" * (CSR_BYTES_MAX + 1), "at most", id="huge"),
        pytest.param(a_request(RSA_1024, hashes.SHA256()), "1024 bits", id="rsa-1024"),
        pytest.param(
            a_request(ec.generate_private_key(ec.SECP224R1()), hashes.SHA256()),
            "secp224r1",
            id="224",
        ),
        pytest.param(
            a_request(ec.generate_private_key(ec.SECP256K1()), hashes.SHA256()),
            "secp256k1",
            id="k1",
        ),
        pytest.param(
            a_request(ed25519.Ed25519PrivateKey.generate(), None), "neither ECDSA nor RSA", id="ed"
        ),
        pytest.param(
            a_request(ec.generate_private_key(ec.SECP256R1()), hashes.SHA224()),
            "algorithm that isn't accepted",
            id="sha-224",
        ),
        pytest.param(
            a_request(RSA_2048, hashes.SHA256(), padding.PSS(padding.MGF1(hashes.SHA256()), 32)),
            "algorithm that isn't accepted",
            id="pss",
        ),
    ],
)
def test_other_requests_are_refused_with_the_reason(csr: bytes, sentence: str) -> None:
    with pytest.raises(Rejection) as caught:
        accept_request(csr)
    assert caught.value.code is Code.INVALID_ARGUMENT
    assert sentence in caught.value.message


def test_a_request_for_somebody_elses_key_is_refused() -> None:
    """The key inside is exchanged, the signature stays that of the first one."""
    mine, theirs = make_request(generate_key()), make_request(generate_key())
    own_point, other_point = _point(mine), _point(theirs)
    tampered = _der(mine).replace(own_point, other_point)
    assert tampered != _der(mine)
    with pytest.raises(Rejection, match="changed after it was signed"):
        accept_request(_pem(tampered))


@settings(max_examples=200)
@given(
    st.integers(
        0, len(x509.load_pem_x509_csr(GOOD).public_bytes(serialization.Encoding.DER)) * 8 - 1
    )
)
def test_no_flipped_bit_goes_unnoticed(bit: int) -> None:
    der = bytearray(_der(GOOD))
    der[bit // 8] ^= 1 << bit % 8
    with pytest.raises(Rejection) as caught:
        accept_request(_pem(bytes(der)))
    assert caught.value.code is Code.INVALID_ARGUMENT


def _der(csr: bytes) -> bytes:
    return x509.load_pem_x509_csr(csr).public_bytes(serialization.Encoding.DER)


def _pem(der: bytes) -> bytes:
    body = base64.encodebytes(der)
    return b"-----BEGIN CERTIFICATE REQUEST-----\n" + body + b"-----END CERTIFICATE REQUEST-----\n"


def _point(csr: bytes) -> bytes:
    key = x509.load_pem_x509_csr(csr).public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    return key.public_bytes(
        serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
    )
