"""Which certificates are trusted, and what is said of the others."""

from __future__ import annotations

import base64
import ssl
from datetime import UTC, datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID
from hypothesis import given, settings
from hypothesis import strategies as st

from swarmd.ca.core.csr import NodePublicKey
from swarmd.ca.credentials import NodeCredentials
from swarmd.ca.problems import CertificateProblem, Defect
from swarmd.ca.verify import (
    datetime_of,
    load_key,
    read_node_certificate,
    require_matching_key,
    require_root,
    verify_chain,
)
from swarmd.ca.x509 import RootPair, generate_key, make_root
from swarmd.model.ids import ClusterId, NodeId
from swarmd.model.instant import HOUR, SECOND, Instant
from swarmd.model.states import Role
from tests.support.certs import CLUSTER, issue

NOW = Instant(1_800_000_000 * SECOND)
ROOT = make_root(NOW)
OTHER = make_root(NOW)
PAIR = issue(ROOT, "node1", Role.MANAGER, now=NOW, life_ns=24 * HOUR)


def a_name(**parts: str) -> x509.Name:
    oids = {
        "cn": NameOID.COMMON_NAME,
        "ou": NameOID.ORGANIZATIONAL_UNIT_NAME,
        "o": NameOID.ORGANIZATION_NAME,
    }
    return x509.Name(
        [
            x509.NameAttribute(oids[part.rstrip("2")], value, _validate=False)
            for part, value in parts.items()
        ]
    )


def sign_by_hand(
    root: RootPair, name: x509.Name, *, key: NodePublicKey | None = None, ca: bool | None = False
) -> bytes:
    """A certificate as another signer might make it, good or bad."""
    authority = x509.load_pem_x509_certificate(root.cert_pem)
    signing_key = load_key(root.key_pem)
    assert isinstance(signing_key, ec.EllipticCurvePrivateKey)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(authority.subject)
        .public_key(key or ec.generate_private_key(ec.SECP256R1()).public_key())
        .serial_number(7)
        .not_valid_before(datetime_of(NOW))
        .not_valid_after(datetime_of(Instant(NOW + HOUR)))
    )
    if ca is not None:
        builder = builder.add_extension(x509.BasicConstraints(ca, None), critical=True)
    return builder.sign(signing_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def the_problem(cert_pem: bytes, root_pem: bytes, now: Instant | None = NOW) -> CertificateProblem:
    with pytest.raises(CertificateProblem) as caught:
        verify_chain(cert_pem, root_pem, now=now)
    return caught.value


def test_a_certificate_of_the_root_is_trusted_and_read() -> None:
    facts = verify_chain(PAIR.cert_pem, ROOT.cert_pem, now=NOW)
    assert facts.subject.node_id == "node1"
    assert facts.subject.role is Role.MANAGER
    assert facts.subject.cluster_id == CLUSTER
    assert (facts.not_before, facts.not_after) == (NOW - HOUR, NOW + 24 * HOUR)
    assert facts == read_node_certificate(PAIR.cert_pem)


def test_any_root_of_a_bundle_will_do() -> None:
    bundle = OTHER.cert_pem + ROOT.cert_pem
    assert verify_chain(PAIR.cert_pem, bundle, now=NOW).subject.node_id == "node1"


def test_an_intermediate_leads_to_the_root() -> None:
    name = a_name(cn="swarm-ca")
    key_pem = generate_key()
    key = load_key(key_pem).public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    cross_signed = sign_by_hand(ROOT, name, key=key, ca=True)
    pair = issue(RootPair(cross_signed, key_pem), "node2", now=NOW, life_ns=HOUR)
    assert verify_chain(pair.cert_pem + cross_signed, ROOT.cert_pem, now=NOW)
    assert the_problem(pair.cert_pem, ROOT.cert_pem).defect is Defect.UNTRUSTED
    swapped = cross_signed + pair.cert_pem
    assert the_problem(swapped, ROOT.cert_pem).defect is Defect.UNTRUSTED


def test_a_certificate_of_another_cluster_is_not_trusted() -> None:
    assert the_problem(PAIR.cert_pem, OTHER.cert_pem).defect is Defect.UNTRUSTED


def test_a_root_of_the_same_name_does_not_pass_for_ours() -> None:
    forged = issue(OTHER, "node1", Role.MANAGER, now=NOW)
    assert the_problem(forged.cert_pem, ROOT.cert_pem).defect is Defect.UNTRUSTED


@pytest.mark.parametrize("ca", [False, None])
def test_a_node_certificate_can_not_sign_others(ca: bool | None) -> None:
    key_pem = generate_key()
    key = load_key(key_pem).public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    node = sign_by_hand(ROOT, a_name(cn="evil", ou="swarm-worker", o=CLUSTER), key=key, ca=ca)
    pair = issue(RootPair(node, key_pem), "manager1", Role.MANAGER, now=NOW)
    assert the_problem(pair.cert_pem + node, ROOT.cert_pem).defect is Defect.UNTRUSTED


@pytest.mark.parametrize(
    ("now", "defect", "sentence"),
    [
        pytest.param(NOW - 4 * HOUR, Defect.NOT_YET_VALID, "clock is at least 3h1s behind", id="-"),
        pytest.param(NOW - HOUR - 1, Defect.NOT_YET_VALID, "clock is at least 1s behind", id="-1"),
        pytest.param(NOW + 24 * HOUR, Defect.EXPIRED, "expired 0s ago", id="0"),
        pytest.param(NOW + 26 * HOUR, Defect.EXPIRED, "expired 2h ago", id="+"),
    ],
)
def test_a_wrong_time_is_explained_by_the_clock(now: int, defect: Defect, sentence: str) -> None:
    problem = the_problem(PAIR.cert_pem, ROOT.cert_pem, Instant(now))
    assert problem.defect is defect
    assert sentence in problem.message
    assert datetime.fromtimestamp(now // SECOND, UTC).strftime("%H:%M:%S UTC") in problem.message


@pytest.mark.parametrize("now", [NOW - HOUR, NOW, NOW + 24 * HOUR - 1])
def test_a_certificate_is_good_from_its_first_to_before_its_last_moment(now: int) -> None:
    assert verify_chain(PAIR.cert_pem, ROOT.cert_pem, now=Instant(now))


def test_without_a_time_an_expired_certificate_is_readable() -> None:
    old = issue(ROOT, "node1", now=Instant(NOW - 1000 * HOUR), life_ns=HOUR)
    assert verify_chain(old.cert_pem, ROOT.cert_pem, now=None).subject.node_id == "node1"
    assert the_problem(old.cert_pem, ROOT.cert_pem).defect is Defect.EXPIRED


def test_an_expired_root_vouches_for_nobody() -> None:
    root = make_root(Instant(NOW - 25 * 365 * 24 * HOUR))
    pem = sign_by_hand(root, a_name(cn="n", ou="swarm-worker", o=CLUSTER))
    problem = the_problem(pem, root.cert_pem)
    assert problem.defect is Defect.EXPIRED
    assert "root certificate" in problem.message


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        pytest.param(a_name(ou="swarm-worker", o=CLUSTER), "exactly one CN", id="no CN"),
        pytest.param(a_name(cn="n", o=CLUSTER), "exactly one OU", id="no OU"),
        pytest.param(a_name(cn="n", ou="swarm-worker"), "exactly one O ", id="no O"),
        pytest.param(a_name(cn="n", ou="admin", o=CLUSTER), "neither", id="wrong OU"),
        pytest.param(
            a_name(cn="n", ou="swarm-worker", ou2="swarm-manager", o=CLUSTER), "one OU", id="two OU"
        ),
        pytest.param(a_name(cn="n", cn2="m", ou="swarm-worker", o=CLUSTER), "one CN", id="two CN"),
    ],
)
def test_a_certificate_that_names_no_node_is_refused(name: x509.Name, sentence: str) -> None:
    problem = the_problem(sign_by_hand(ROOT, name), ROOT.cert_pem)
    assert problem.defect is Defect.WRONG_NAME
    assert sentence in problem.message


def test_a_weak_key_is_refused_even_if_the_root_signed_it() -> None:
    weak = rsa.generate_private_key(public_exponent=65537, key_size=1024).public_key()
    pem = sign_by_hand(ROOT, a_name(cn="n", ou="swarm-worker", o=CLUSTER), key=weak)
    assert the_problem(pem, ROOT.cert_pem).defect is Defect.WEAK


@pytest.mark.parametrize("pem", [b"", b"hello", ROOT.key_pem, b"\xff\xfe"])
def test_bytes_that_are_no_certificate_are_called_so(pem: bytes) -> None:
    assert the_problem(pem, ROOT.cert_pem).defect is Defect.MALFORMED
    assert the_problem(PAIR.cert_pem, pem).defect is Defect.MALFORMED


def flip(cert_pem: bytes, bit: int) -> bytes:
    der = bytearray(ssl.PEM_cert_to_DER_cert(cert_pem.decode()))
    bit %= len(der) * 8
    der[bit // 8] ^= 1 << bit % 8
    return b"-----BEGIN CERTIFICATE-----\n%s-----END CERTIFICATE-----\n" % base64.encodebytes(der)


# The sign bit of a serial number makes the library warn before anybody looks at the signature.
ignore_serial_numbers = pytest.mark.filterwarnings("ignore:Parsed a serial number")


@ignore_serial_numbers
@settings(max_examples=300)
@given(st.integers(0, 2**14))
def test_a_flipped_bit_is_noticed_or_changes_nothing(bit: int) -> None:
    """The few bits outside of the signature, and not part of it, are without meaning."""
    try:
        facts = verify_chain(flip(PAIR.cert_pem, bit), ROOT.cert_pem, now=NOW)
    except CertificateProblem:
        return
    assert facts == verify_chain(PAIR.cert_pem, ROOT.cert_pem, now=NOW)


@ignore_serial_numbers
@settings(max_examples=300)
@given(st.integers(0, 2**14))
def test_a_flipped_bit_of_a_root_is_noticed_or_changes_nothing(bit: int) -> None:
    damaged = flip(ROOT.cert_pem, bit)
    try:
        require_root(damaged, now=NOW)
    except CertificateProblem:
        return
    assert verify_chain(PAIR.cert_pem, damaged, now=NOW)


@ignore_serial_numbers
def test_most_flipped_bits_are_noticed() -> None:
    noticed = 0
    for bit in range(5, 3600, 29):
        try:
            verify_chain(flip(PAIR.cert_pem, bit), ROOT.cert_pem, now=NOW)
        except CertificateProblem:
            noticed += 1
    assert noticed == len(range(5, 3600, 29))


def test_the_key_must_be_the_one_in_the_certificate() -> None:
    require_matching_key(PAIR.cert_pem, PAIR.key_pem)
    with pytest.raises(CertificateProblem) as caught:
        require_matching_key(PAIR.cert_pem, generate_key())
    assert caught.value.defect is Defect.MISMATCH


def test_a_root_bundle_must_be_made_of_authorities() -> None:
    require_root(ROOT.cert_pem + OTHER.cert_pem, now=NOW)
    with pytest.raises(CertificateProblem) as caught:
        require_root(ROOT.cert_pem + PAIR.cert_pem, now=NOW)
    assert caught.value.defect is Defect.UNTRUSTED
    with pytest.raises(CertificateProblem) as caught:
        require_root(ROOT.cert_pem, now=Instant(NOW - 5 * HOUR))
    assert caught.value.defect is Defect.NOT_YET_VALID


def test_credentials_hold_together_or_are_refused() -> None:
    credentials = NodeCredentials.checked(
        root_pem=ROOT.cert_pem, cert_pem=PAIR.cert_pem, key_pem=PAIR.key_pem, now=NOW
    )
    assert credentials.node_id == NodeId("node1")
    assert credentials.role is Role.MANAGER
    assert credentials.cluster_id == ClusterId(CLUSTER)
    info = credentials.tls_info()
    assert info.trust_root == ROOT.cert_pem
    assert info.cert_issuer_subject
    assert info.cert_issuer_public_key
    assert "PRIVATE" not in repr(credentials)
    for broken in (
        {"root_pem": OTHER.cert_pem},
        {"key_pem": OTHER.key_pem},
        {"key_pem": b"hello"},
        {"now": Instant(NOW + 1000 * HOUR)},
    ):
        parts = {
            "root_pem": ROOT.cert_pem,
            "cert_pem": PAIR.cert_pem,
            "key_pem": PAIR.key_pem,
            "now": NOW,
        } | broken
        with pytest.raises(CertificateProblem):
            NodeCredentials.checked(**parts)  # type: ignore[arg-type]
