"""What a new cluster begins with, and the records of nodes that come to it."""

from __future__ import annotations

import pytest

from swarmd.ca.core.admission import is_answered, new_node, node_id_for, renewed_node
from swarmd.ca.core.subject import Subject
from swarmd.ca.core.tokens import match_role, parse_token
from swarmd.ca.founding import found, signer_of
from swarmd.ca.problems import CertificateProblem
from swarmd.ca.verify import verify_chain
from swarmd.model.cluster import RootCA
from swarmd.model.ids import ID_LENGTH, ClusterId, NodeId
from swarmd.model.instant import HOUR, SECOND, Instant
from swarmd.model.node import Node
from swarmd.model.states import Availability, IssuanceState, Membership, Role

NOW = Instant(1_800_000_000 * SECOND)
CLUSTER = ClusterId("c1")
FOUNDING = found(
    cluster_id=CLUSTER,
    node_id=NodeId("n1"),
    now=NOW,
    worker_secret=b"w" * 16,
    manager_secret=b"m" * 16,
    cert_expiry_ns=48 * HOUR,
)


def test_the_first_manager_trusts_the_root_it_made() -> None:
    facts = verify_chain(FOUNDING.certificate.certificate, FOUNDING.root_ca.ca_cert, now=NOW)
    assert facts.subject == Subject(node_id=NodeId("n1"), role=Role.MANAGER, cluster_id=CLUSTER)
    assert facts.not_after == NOW + 48 * HOUR
    assert FOUNDING.credentials.cert_pem == FOUNDING.certificate.certificate
    assert FOUNDING.certificate.status is IssuanceState.ISSUED
    assert FOUNDING.certificate.cn == "n1"


def test_both_tokens_pin_the_new_root() -> None:
    tokens = FOUNDING.root_ca.join_tokens
    for token, role in ((tokens.worker, Role.WORKER), (tokens.manager, Role.MANAGER)):
        assert parse_token(token).pins(FOUNDING.root_ca.ca_cert)
        assert parse_token(token).digest == FOUNDING.root_ca.ca_cert_hash
        assert match_role(token, tokens) is role


def test_a_root_without_its_key_can_not_sign() -> None:
    with pytest.raises(CertificateProblem):
        signer_of(RootCA(ca_cert=FOUNDING.root_ca.ca_cert))


def test_a_request_always_gets_the_same_id_and_another_for_another_role_or_cluster() -> None:
    first = node_id_for(b"csr", cluster_id=CLUSTER, role=Role.WORKER)
    assert first == node_id_for(b"csr", cluster_id=CLUSTER, role=Role.WORKER)
    others = {
        node_id_for(b"csr", cluster_id=CLUSTER, role=Role.MANAGER),
        node_id_for(b"csr", cluster_id=ClusterId("c2"), role=Role.WORKER),
        node_id_for(b"csr2", cluster_id=CLUSTER, role=Role.WORKER),
    }
    assert len(others) == 3
    assert first not in others
    assert len(first) == ID_LENGTH


def test_a_new_node_is_accepted_with_its_certificate_issued() -> None:
    subject = Subject(node_id=NodeId("n2"), role=Role.WORKER, cluster_id=CLUSTER)
    node = new_node(subject, csr=b"csr", cert_pem=b"cert", availability=Availability.DRAIN)
    assert node.role is node.spec.role is Role.WORKER
    assert node.spec.availability is Availability.DRAIN
    assert node.spec.membership is Membership.ACCEPTED
    assert is_answered(node, b"csr")
    assert not is_answered(node, b"csr2")


def test_a_certificate_of_the_former_role_answers_nothing() -> None:
    worker = Subject(node_id=NodeId("n2"), role=Role.WORKER, cluster_id=CLUSTER)
    promoted = Node(id=NodeId("n2"), role=Role.MANAGER)
    assert not is_answered(renewed_node(promoted, worker, csr=b"csr", cert_pem=b"cert"), b"csr")
    manager = Subject(node_id=NodeId("n2"), role=Role.MANAGER, cluster_id=CLUSTER)
    renewed = renewed_node(promoted, manager, csr=b"csr", cert_pem=b"cert")
    assert is_answered(renewed, b"csr")
    assert renewed.role is Role.MANAGER
