"""The CA services, asked directly."""

from __future__ import annotations

import asyncio

import pytest
from msgspec.structs import replace

from swarmd.ca.core.tokens import TOKEN_REFUSED, rotate
from swarmd.ca.founding import found
from swarmd.ca.verify import verify_chain
from swarmd.ca.x509 import generate_key, make_request, make_root
from swarmd.manager.ca_service import CAService, NodeCAService
from swarmd.model.cluster import CAConfig, Cluster, ClusterSpec
from swarmd.model.errors import Code, Rejection
from swarmd.model.ids import ClusterId, NodeId
from swarmd.model.instant import HOUR, SECOND, Instant
from swarmd.model.node import Node
from swarmd.model.states import Availability, IssuanceState, NodeState, Role
from swarmd.rpc.call import Call, Peer
from swarmd.rpc.identity import MANAGER, WORKER, Identity
from swarmd.rpc.pb import ca as pb
from swarmd.rpc.pb import specs, types
from swarmd.store.changes import Create, Delete, Kind, Transaction, Update
from swarmd.store.store import Store
from tests.support.hand_clock import HandClock
from tests.support.manager import InstantWriter, no_quorum

NOW = Instant(1_800_000_000 * SECOND)
CLUSTER = ClusterId("c1")
FOUNDING = found(
    cluster_id=CLUSTER,
    node_id=NodeId("n1"),
    now=NOW,
    worker_secret=b"w" * 16,
    manager_secret=b"m" * 16,
)
TOKENS = FOUNDING.root_ca.join_tokens
ANYBODY = Call(Peer(address="10.0.0.9:4000"), "")


def a_csr() -> bytes:
    return make_request(generate_key())


def caller(node_id: str, *roles: str) -> Call:
    return Call(Peer(identity=Identity(node_id, CLUSTER, roles)), "")


class Manager:
    """A founded cluster with its CA, without a network."""

    def __init__(self) -> None:
        self.store = Store()
        self.writer = InstantWriter(self.store)
        self.writer.write(
            Create(
                Cluster(
                    id=CLUSTER,
                    root_ca=FOUNDING.root_ca,
                    spec=ClusterSpec(ca_config=CAConfig(node_cert_expiry_ns=12 * HOUR)),
                )
            ),
            Create(Node(id=NodeId("n1"), role=Role.MANAGER, certificate=FOUNDING.certificate)),
        )
        self.clock = HandClock(NOW)
        self.ca = CAService(self.store)
        self.node_ca = NodeCAService(self.store, self.writer, self.clock)

    async def issue(self, csr: bytes, token: str = "", call: Call = ANYBODY) -> Node:
        request = pb.IssueNodeCertificateRequest(csr=csr, token=token)
        answer = await self.node_ca.IssueNodeCertificate(call, request)
        return self.store.get_node(answer.node_id)

    async def refuses(self, csr: bytes, token: str = "", call: Call = ANYBODY) -> Rejection:
        with pytest.raises(Rejection) as caught:
            await self.issue(csr, token, call)
        return caught.value

    def change(self, record: Node | Cluster) -> None:
        self.writer.write(Update(record, base=record.version))


@pytest.fixture
def manager() -> Manager:
    return Manager()


def test_the_root_is_sent_byte_for_byte(manager: Manager) -> None:
    answer = manager.ca.GetRootCACertificate(ANYBODY, pb.GetRootCACertificateRequest())
    assert answer.certificate == FOUNDING.root_ca.ca_cert


def test_without_autolock_the_unlock_key_is_empty_and_has_the_clusters_version(
    manager: Manager,
) -> None:
    answer = manager.ca.GetUnlockKey(caller("n1", MANAGER), pb.GetUnlockKeyRequest())
    assert answer.unlock_key == b""
    assert answer.version.index == manager.store.cluster().version > 0


@pytest.mark.parametrize(
    ("token", "role"),
    [(TOKENS.worker, Role.WORKER), (TOKENS.manager, Role.MANAGER)],
    ids=["worker", "manager"],
)
async def test_the_token_decides_the_role_and_one_write_makes_the_node(
    manager: Manager, token: str, role: Role
) -> None:
    csr = a_csr()
    node = await manager.issue(csr, token)
    assert len(manager.writer.entries) == 1
    assert node.role is node.spec.role is role
    assert node.status.state is NodeState.UNKNOWN
    certificate = node.certificate
    assert (certificate.status, certificate.csr) == (IssuanceState.ISSUED, csr)
    facts = verify_chain(certificate.certificate, FOUNDING.root_ca.ca_cert, now=NOW)
    assert facts.subject.node_id == node.id == certificate.cn
    assert facts.subject.role is role
    assert facts.subject.cluster_id == CLUSTER
    assert facts.not_after == NOW + 12 * HOUR


async def test_availability_comes_from_the_request(manager: Manager) -> None:
    request = pb.IssueNodeCertificateRequest(
        csr=a_csr(), token=TOKENS.worker, availability=specs.NodeSpec.DRAIN
    )
    answer = await manager.node_ca.IssueNodeCertificate(ANYBODY, request)
    assert answer.node_membership == specs.NodeSpec.ACCEPTED
    node = manager.store.get_node(answer.node_id)
    assert node.spec.availability is Availability.DRAIN


async def test_the_certificate_can_be_fetched_at_once(manager: Manager) -> None:
    csr = a_csr()
    node = await manager.issue(csr, TOKENS.worker)
    answer = manager.node_ca.NodeCertificateStatus(
        ANYBODY, pb.NodeCertificateStatusRequest(node_id=node.id)
    )
    assert answer.status.state == types.IssuanceStatus.ISSUED
    assert answer.certificate.status.state == types.IssuanceStatus.ISSUED
    assert answer.certificate.csr == csr
    assert answer.certificate.certificate == node.certificate.certificate
    assert answer.certificate.cn == node.id


@pytest.mark.parametrize(
    ("node_id", "code"), [("", Code.INVALID_ARGUMENT), ("nobody", Code.NOT_FOUND)]
)
def test_the_certificate_of_nobody_is_not_found(manager: Manager, node_id: str, code: Code) -> None:
    with pytest.raises(Rejection) as caught:
        manager.node_ca.NodeCertificateStatus(
            ANYBODY, pb.NodeCertificateStatusRequest(node_id=node_id)
        )
    assert caught.value.code is code


async def test_asking_again_with_the_same_request_makes_no_second_node(manager: Manager) -> None:
    csr = a_csr()
    first = await manager.issue(csr, TOKENS.worker)
    assert await manager.issue(csr, TOKENS.worker) == first
    async with asyncio.TaskGroup() as group:
        other = a_csr()
        tries = [group.create_task(manager.issue(other, TOKENS.worker)) for _ in range(5)]
    assert len({task.result().id for task in tries}) == 1
    assert len(manager.store.nodes()) == 3


async def test_a_node_promoted_meanwhile_still_gets_its_first_answer(manager: Manager) -> None:
    csr = a_csr()
    node = await manager.issue(csr, TOKENS.worker)
    manager.change(replace(node, role=Role.MANAGER))
    assert (await manager.issue(csr, TOKENS.worker)).id == node.id


async def test_a_request_whose_node_has_renewed_since_is_refused(manager: Manager) -> None:
    csr = a_csr()
    node = await manager.issue(csr, TOKENS.worker)
    await manager.issue(a_csr(), call=caller(node.id, WORKER))
    assert (await manager.refuses(csr, TOKENS.worker)).code is Code.ALREADY_EXISTS


async def test_a_removed_node_can_not_come_back_with_its_old_request(manager: Manager) -> None:
    csr = a_csr()
    node = await manager.issue(csr, TOKENS.worker)
    manager.writer.write(Delete(Kind.NODE, node.id))
    cluster = manager.store.cluster()
    manager.change(replace(cluster, removed_nodes={node.id: NOW + HOUR}))
    refusal = await manager.refuses(csr, TOKENS.worker)
    assert refusal.code is Code.INVALID_ARGUMENT
    assert "was removed" in refusal.message


async def test_a_removed_node_can_not_renew(manager: Manager) -> None:
    node = await manager.issue(a_csr(), TOKENS.worker)
    manager.writer.write(Delete(Kind.NODE, node.id))
    refusal = await manager.refuses(a_csr(), TOKENS.worker, caller(node.id, WORKER))
    assert refusal.code is Code.NOT_FOUND


async def test_tokens_are_refused_with_the_reason_and_nothing_is_written(manager: Manager) -> None:
    for token, word in (
        ("", "empty"),
        (TOKENS.worker[:-4], "truncated"),
        (rotate(FOUNDING.root_ca, worker_secret=b"o" * 16).join_tokens.worker, "rotated"),
    ):
        refusal = await manager.refuses(a_csr(), token)
        assert refusal.code is Code.INVALID_ARGUMENT
        assert refusal.message.startswith(TOKEN_REFUSED)
        assert word in refusal.message
    assert manager.writer.entries == []


async def test_a_rotated_token_is_refused_from_then_on(manager: Manager) -> None:
    cluster = manager.store.cluster()
    manager.change(replace(cluster, root_ca=rotate(cluster.root_ca, worker_secret=b"n" * 16)))
    assert "rotated" in (await manager.refuses(a_csr(), TOKENS.worker)).message
    fresh = manager.store.cluster().root_ca.join_tokens.worker
    assert (await manager.issue(a_csr(), fresh)).role is Role.WORKER


@pytest.mark.parametrize("call", [ANYBODY, caller("n1", MANAGER)])
async def test_bad_requests_are_refused_and_nothing_is_written(
    manager: Manager, call: Call
) -> None:
    for csr in (b"", b"hello"):
        assert (await manager.refuses(csr, TOKENS.worker, call)).code is Code.INVALID_ARGUMENT
    assert manager.writer.entries == []


async def test_a_renewal_needs_no_token_and_keeps_the_node(manager: Manager) -> None:
    node = await manager.issue(a_csr(), TOKENS.worker)
    csr = a_csr()
    manager.clock.advance(HOUR)
    renewed = await manager.issue(csr, call=caller(node.id, WORKER))
    assert (
        replace(
            renewed, certificate=node.certificate, version=node.version, updated_at=node.updated_at
        )
        == node
    )
    facts = verify_chain(renewed.certificate.certificate, FOUNDING.root_ca.ca_cert, now=NOW)
    assert facts.not_after == NOW + 13 * HOUR
    assert renewed.certificate.csr == csr


async def test_a_renewal_gets_the_role_the_node_has_now(manager: Manager) -> None:
    node = await manager.issue(a_csr(), TOKENS.worker)
    manager.change(replace(node, role=Role.MANAGER))
    renewed = await manager.issue(a_csr(), call=caller(node.id, WORKER))
    facts = verify_chain(renewed.certificate.certificate, FOUNDING.root_ca.ca_cert, now=NOW)
    assert facts.subject.role is renewed.certificate.role is Role.MANAGER


async def test_a_certificate_counts_more_than_a_token(manager: Manager) -> None:
    """A worker that holds the manager token does not become a manager by renewing."""
    node = await manager.issue(a_csr(), TOKENS.worker)
    renewed = await manager.issue(a_csr(), TOKENS.manager, caller(node.id, WORKER))
    assert renewed.id == node.id
    assert renewed.role is Role.WORKER


async def test_a_certificate_without_a_role_is_none(manager: Manager) -> None:
    node = await manager.issue(a_csr(), TOKENS.worker, caller("n1", "something"))
    assert node.id != "n1"


async def test_a_wish_to_rotate_ends_with_the_renewal(manager: Manager) -> None:
    csr = a_csr()
    node = await manager.issue(csr, TOKENS.worker)
    manager.change(
        replace(node, certificate=replace(node.certificate, status=IssuanceState.ROTATE))
    )
    renewed = await manager.issue(csr, call=caller(node.id, WORKER))
    assert renewed.certificate.status is IssuanceState.ISSUED
    assert renewed.certificate.certificate != node.certificate.certificate


class Meddling(InstantWriter):
    """Changes the node right before each of the first writes reaches the store."""

    def __init__(self, store: Store, *, times: int) -> None:
        super().__init__(store)
        self.times = times

    async def submit(self, transaction: Transaction) -> int:
        if self.times:
            self.times -= 1
            node = self.store.get_node("n1")
            role = Role.WORKER if node.role is Role.MANAGER else Role.MANAGER
            self.write(Update(replace(node, role=role), base=node.version))
        return await super().submit(transaction)


async def test_a_node_that_changes_meanwhile_is_signed_anew_for_its_new_role(
    manager: Manager,
) -> None:
    node_ca = NodeCAService(manager.store, Meddling(manager.store, times=3), manager.clock)
    request = pb.IssueNodeCertificateRequest(csr=a_csr())
    await node_ca.IssueNodeCertificate(caller("n1", MANAGER), request)
    node = manager.store.get_node("n1")
    facts = verify_chain(node.certificate.certificate, FOUNDING.root_ca.ca_cert, now=NOW)
    assert facts.subject.role is node.role is node.certificate.role is Role.WORKER


async def test_a_node_that_never_stops_changing_is_told_to_try_again(manager: Manager) -> None:
    node_ca = NodeCAService(manager.store, Meddling(manager.store, times=99), manager.clock)
    with pytest.raises(Rejection) as caught:
        await node_ca.IssueNodeCertificate(
            caller("n1", MANAGER), pb.IssueNodeCertificateRequest(csr=a_csr())
        )
    assert caught.value.code is Code.ABORTED


@pytest.mark.parametrize("call", [ANYBODY, caller("n1", MANAGER)])
async def test_a_write_that_fails_is_the_answer(manager: Manager, call: Call) -> None:
    manager.writer.refusing = no_quorum()
    assert await manager.refuses(a_csr(), TOKENS.worker, call) == no_quorum()


async def test_before_the_cluster_is_there_callers_are_told_to_try_again() -> None:
    store = Store()
    node_ca = NodeCAService(store, InstantWriter(store), HandClock(NOW))
    with pytest.raises(Rejection) as caught:
        await node_ca.IssueNodeCertificate(ANYBODY, pb.IssueNodeCertificateRequest(csr=a_csr()))
    assert caught.value.code is Code.ABORTED
    with pytest.raises(Rejection) as caught:
        CAService(store).GetRootCACertificate(ANYBODY, pb.GetRootCACertificateRequest())
    assert caught.value.code is Code.ABORTED


async def test_a_cluster_whose_root_lost_its_key_says_so(manager: Manager) -> None:
    cluster = manager.store.cluster()
    manager.change(replace(cluster, root_ca=replace(cluster.root_ca, ca_key=b"")))
    refusal = await manager.refuses(a_csr(), TOKENS.worker)
    assert refusal.code is Code.ABORTED
    assert "can't sign" in refusal.message


async def test_a_new_root_signs_from_the_next_request_on(manager: Manager) -> None:
    await manager.issue(a_csr(), TOKENS.worker)
    fresh = make_root(NOW)
    cluster = manager.store.cluster()
    root_ca = rotate(
        replace(cluster.root_ca, ca_cert=fresh.cert_pem, ca_key=fresh.key_pem),
        worker_secret=b"n" * 16,
    )
    manager.change(replace(cluster, root_ca=root_ca))
    node = await manager.issue(a_csr(), root_ca.join_tokens.worker)
    assert verify_chain(node.certificate.certificate, fresh.cert_pem, now=NOW)
