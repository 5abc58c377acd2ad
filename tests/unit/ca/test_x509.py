"""What roots and node certificates look like."""

from __future__ import annotations

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from swarmd.ca.core.subject import Subject
from swarmd.ca.problems import CertificateProblem, Defect
from swarmd.ca.verify import instant_of, issuer_public_key, load_bundle, read_node_certificate
from swarmd.ca.x509 import ROOT_LIFE_NS, RootPair, Signer, generate_key, make_request, make_root
from swarmd.model.errors import Rejection
from swarmd.model.ids import NodeId
from swarmd.model.instant import HOUR, SECOND, Instant
from swarmd.model.states import Role
from tests.support.certs import CLUSTER, issue

NOW = Instant(1_800_000_000 * SECOND)
ROOT = make_root(NOW)


def leaf(role: Role = Role.WORKER, life_ns: int = 24 * HOUR) -> x509.Certificate:
    pair = issue(ROOT, "node1", role, now=NOW, life_ns=life_ns)
    return load_bundle(pair.cert_pem, "certificate")[0]


def names(certificate: x509.Certificate) -> list[str]:
    extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    return extension.value.get_values_for_type(x509.DNSName)


def test_a_root_is_named_swarm_ca_and_lives_twenty_years_from_an_hour_ago() -> None:
    root = load_bundle(ROOT.cert_pem, "root")[0]
    assert root.subject == root.issuer
    assert root.subject.rfc4514_string() == "CN=swarm-ca"
    assert instant_of(root.not_valid_before_utc) == NOW - HOUR
    assert instant_of(root.not_valid_after_utc) == NOW - HOUR + ROOT_LIFE_NS
    key = root.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    assert key.curve.name == "secp256r1"
    usage = root.extensions.get_extension_for_class(x509.KeyUsage).value
    assert (usage.key_cert_sign, usage.crl_sign, usage.digital_signature) == (True, True, False)
    assert root.extensions.get_extension_for_class(x509.BasicConstraints).value.ca


def test_a_worker_certificate_names_node_role_and_cluster() -> None:
    certificate = leaf()
    attributes = {attribute.oid: attribute.value for attribute in certificate.subject}
    assert attributes == {
        NameOID.COMMON_NAME: "node1",
        NameOID.ORGANIZATIONAL_UNIT_NAME: "swarm-worker",
        NameOID.ORGANIZATION_NAME: CLUSTER,
    }
    assert names(certificate) == ["swarm-worker", "node1"]


def test_only_a_manager_certificate_may_answer_as_the_ca() -> None:
    assert names(leaf(Role.MANAGER)) == ["swarm-manager", "node1", "swarm-ca"]


def test_a_node_certificate_serves_and_calls_but_signs_nothing() -> None:
    extensions = leaf(Role.MANAGER).extensions
    usage = extensions.get_extension_for_class(x509.KeyUsage).value
    assert (usage.digital_signature, usage.key_encipherment) == (True, True)
    assert (usage.key_cert_sign, usage.crl_sign) == (False, False)
    assert set(extensions.get_extension_for_class(x509.ExtendedKeyUsage).value) == {
        ExtendedKeyUsageOID.SERVER_AUTH,
        ExtendedKeyUsageOID.CLIENT_AUTH,
    }
    assert not extensions.get_extension_for_class(x509.BasicConstraints).value.ca


@pytest.mark.parametrize(
    ("life_ns", "lived_ns"),
    [
        pytest.param(24 * HOUR, 24 * HOUR, id="as asked"),
        pytest.param(1 * SECOND, HOUR, id="at least an hour"),
        pytest.param(2 * ROOT_LIFE_NS, ROOT_LIFE_NS - HOUR, id="not beyond the root"),
    ],
)
def test_the_backdated_hour_is_added_to_the_life_asked_for(life_ns: int, lived_ns: int) -> None:
    certificate = leaf(life_ns=life_ns)
    assert instant_of(certificate.not_valid_before_utc) == NOW - HOUR
    assert instant_of(certificate.not_valid_after_utc) == NOW + lived_ns


def test_the_subject_of_the_request_is_ignored_and_the_key_is_taken() -> None:
    key_pem = generate_key()
    csr = make_request(key_pem)
    subject = Subject(node_id=NodeId("n"), role=Role.WORKER, cluster_id=CLUSTER)
    cert_pem = Signer(ROOT).sign(csr, subject, now=NOW, life_ns=HOUR)
    assert read_node_certificate(cert_pem).subject == subject
    certificate = load_bundle(cert_pem, "certificate")[0]
    assert certificate.public_key() == x509.load_pem_x509_csr(csr).public_key()
    assert list(x509.load_pem_x509_csr(csr).subject) == []


def test_every_certificate_has_its_own_serial_number() -> None:
    assert leaf().serial_number != leaf().serial_number


def test_signing_refuses_what_is_not_a_request() -> None:
    subject = Subject(node_id=NodeId("n"), role=Role.WORKER, cluster_id=CLUSTER)
    with pytest.raises(Rejection):
        Signer(ROOT).sign(b"hello", subject, now=NOW, life_ns=HOUR)


def test_a_root_with_another_roots_key_can_not_sign() -> None:
    with pytest.raises(CertificateProblem) as caught:
        Signer(RootPair(ROOT.cert_pem, make_root(NOW).key_pem))
    assert caught.value.defect is Defect.MISMATCH


def test_the_issuer_key_is_that_of_the_root_that_signed() -> None:
    other = make_root(NOW)
    pair = issue(ROOT, "node1", now=NOW)
    found = issuer_public_key(pair.cert_pem, other.cert_pem + ROOT.cert_pem)
    assert found == issuer_public_key(pair.cert_pem, ROOT.cert_pem) != b""
    assert issuer_public_key(pair.cert_pem, other.cert_pem) == b""


def test_private_keys_do_not_show_in_representations() -> None:
    assert "PRIVATE" not in repr(ROOT)
