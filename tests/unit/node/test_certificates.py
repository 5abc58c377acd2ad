"""Renewal of a node's certificate: in time, when the cluster asks, and after failures."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import pytest

from swarmd.ca.credentials import NodeCredentials
from swarmd.ca.keystore import Keystore
from swarmd.ca.x509 import make_root
from swarmd.model.instant import HOUR, MILLISECOND, SECOND, Instant
from swarmd.model.states import Availability, IssuanceState, Role
from swarmd.node.certificates import CertificateKeeper
from swarmd.node.enrolment import Enrolment
from swarmd.node.security import SecurityContext
from swarmd.rpc.tls import MANAGER_NAME
from tests.support.authority import MemoryAuthority, lost

DAY = 24 * HOUR


class Worker:
    """A worker of the cluster in `authority`, with its keeper not yet running."""

    def __init__(
        self, authority: MemoryAuthority, credentials: NodeCredentials, path: Path
    ) -> None:
        self.authority = authority
        self.clock = authority.clock
        self.keystore = Keystore(path)
        self.keystore.save(credentials)
        self.security = SecurityContext(credentials, self.keystore)
        self.managers = ["10.0.0.1:2377", "10.0.0.2:2377"]
        self.heard: list[NodeCredentials] = []
        self.security.subscribe(self.heard.append)
        self.keeper = CertificateKeeper(
            self.security,
            authority,
            managers=lambda: self.managers,
            clock=authority.clock,
            rng=random.Random(1),
        )

    @property
    def node_id(self) -> str:
        return self.security.node_id

    def due_in_ns(self) -> int:
        return self.keeper.renewal.due - self.clock.now()


@pytest.fixture
async def worker(tmp_path: Path) -> Worker:
    authority = MemoryAuthority()
    enrolment = Enrolment(
        authority,
        token=authority.tokens.worker,
        availability=Availability.ACTIVE,
        clock=authority.clock,
        rng=random.Random(1),
    )
    credentials = await enrolment.run(["10.0.0.1:2377"])
    authority.shown.clear()
    return Worker(authority, credentials, tmp_path / "certificates")


def test_the_first_renewal_is_planned_within_the_window(worker: Worker) -> None:
    assert 44 * DAY < worker.due_in_ns() < 72 * DAY


async def test_a_renewal_replaces_credentials_on_disk_in_memory_and_for_listeners(
    worker: Worker,
) -> None:
    before = worker.security.credentials
    worker.clock.advance(50 * DAY)
    assert await worker.keeper.renew()
    after = worker.security.credentials
    assert after.node_id == before.node_id
    assert after.key_pem != before.key_pem
    assert after.facts.not_after == before.facts.not_after + 50 * DAY
    assert worker.keystore.load() == after
    assert worker.heard == [after]
    assert 44 * DAY < worker.due_in_ns() < 72 * DAY
    assert worker.keeper.problem == ""


async def test_a_renewal_shows_the_current_certificate_to_a_manager(worker: Worker) -> None:
    before = worker.security.credentials
    await worker.keeper.renew()
    ((address, tls),) = worker.authority.shown
    assert address in worker.managers
    assert (tls.cert_pem, tls.server_name) == (before.cert_pem, MANAGER_NAME)


async def test_another_manager_is_asked_when_one_fails(worker: Worker) -> None:
    worker.authority.failures = [lost()]
    assert await worker.keeper.renew()
    assert sorted(address for address, _ in worker.authority.shown) == worker.managers


async def test_a_failed_renewal_changes_nothing_and_comes_again_soon(worker: Worker) -> None:
    before = worker.security.credentials
    worker.authority.failures = [lost(), lost()]
    assert not await worker.keeper.renew()
    assert worker.security.credentials == worker.keystore.load() == before
    assert worker.heard == []
    assert worker.keeper.problem == (
        "the certificate of this node could not be renewed: connection lost"
    )
    assert worker.keeper.renewal.failures == 1
    assert worker.due_in_ns() < 10 * SECOND
    assert await worker.keeper.renew()
    assert worker.keeper.problem == ""


async def test_without_managers_a_renewal_fails_politely(worker: Worker) -> None:
    worker.managers = []
    assert not await worker.keeper.renew()
    assert "knows no manager" in worker.keeper.problem


async def test_an_expired_certificate_is_named_first(worker: Worker) -> None:
    worker.clock.advance(91 * DAY)
    worker.authority.failures = [lost(), lost()]
    assert not await worker.keeper.renew()
    assert worker.keeper.problem.startswith("the node certificate expired")
    assert "connection lost" in worker.keeper.problem


async def test_a_disk_that_refuses_keeps_the_old_credentials(
    worker: Worker, tmp_path: Path
) -> None:
    before = worker.security.credentials
    worker.keystore.directory = tmp_path / "file" / "below"
    (tmp_path / "file").write_text("")
    assert not await worker.keeper.renew()
    assert worker.security.credentials == before
    assert worker.heard == []


async def test_a_renewed_certificate_in_another_name_is_refused(worker: Worker) -> None:
    before = worker.security.credentials
    worker.authority.rewrite = lambda sent: worker.authority.sign_for("n1", sent)
    assert not await worker.keeper.renew()
    assert "a certificate of node n1" in worker.keeper.problem
    assert worker.security.credentials == worker.keystore.load() == before


async def test_a_new_role_is_fetched_half_a_second_later(worker: Worker) -> None:
    worker.keeper.observe_node(worker.authority.change_node(worker.node_id, role=Role.MANAGER))
    assert worker.due_in_ns() == 500 * MILLISECOND
    assert "manager" in worker.keeper.renewal.reason
    assert await worker.keeper.renew()
    assert worker.security.role is Role.MANAGER
    assert worker.due_in_ns() > 44 * DAY


async def test_a_certificate_of_the_wrong_role_is_used_and_renewed_again(worker: Worker) -> None:
    promoted = worker.authority.change_node(worker.node_id, role=Role.MANAGER)
    worker.keeper.observe_node(promoted)
    worker.authority.change_node(worker.node_id, role=Role.WORKER)
    assert not await worker.keeper.renew()
    assert worker.heard[0].role is Role.WORKER
    assert "is to be a manager" in worker.keeper.problem
    assert worker.due_in_ns() < 10 * SECOND
    worker.authority.change_node(worker.node_id, role=Role.MANAGER)
    assert await worker.keeper.renew()
    assert worker.security.role is Role.MANAGER


async def test_the_same_session_message_again_does_not_defeat_the_back_off(worker: Worker) -> None:
    promoted = worker.authority.change_node(worker.node_id, role=Role.MANAGER)
    worker.keeper.observe_node(promoted)
    worker.authority.failures = [lost(), lost()]
    await worker.keeper.renew()
    waiting = worker.keeper.renewal
    worker.keeper.observe_node(promoted)
    assert worker.keeper.renewal == waiting


def test_the_own_record_as_it_is_is_no_news(worker: Worker) -> None:
    planned = worker.keeper.renewal
    worker.keeper.observe_node(worker.authority.store.get_node(worker.node_id))
    assert worker.keeper.renewal == planned


async def test_a_wish_to_rotate_is_followed(worker: Worker) -> None:
    marked = worker.authority.change_node(worker.node_id, status=IssuanceState.ROTATE)
    worker.keeper.observe_node(marked)
    assert worker.due_in_ns() == 500 * MILLISECOND
    assert await worker.keeper.renew()
    node = worker.authority.store.get_node(worker.node_id)
    assert node.certificate.status is IssuanceState.ISSUED


async def test_a_root_bundle_that_still_vouches_for_us_is_adopted_at_once(worker: Worker) -> None:
    old = worker.security.credentials
    bundle = old.root_pem + make_root(Instant(worker.clock.now())).cert_pem
    worker.keeper.observe_root(bundle)
    assert worker.security.credentials.root_pem == worker.keystore.load().root_pem == bundle
    assert worker.security.credentials.cert_pem == old.cert_pem
    assert worker.due_in_ns() == 500 * MILLISECOND
    assert await worker.keeper.renew()
    assert worker.security.credentials.root_pem == bundle


async def test_a_root_that_does_not_vouch_for_us_waits_for_the_next_certificate(
    worker: Worker,
) -> None:
    old = worker.security.credentials
    fresh = make_root(Instant(worker.clock.now())).cert_pem
    worker.keeper.observe_root(fresh)
    assert worker.security.credentials == old
    assert worker.due_in_ns() == 500 * MILLISECOND
    # The authority still signs with the old root, so its certificate does not lead to the new.
    assert not await worker.keeper.renew()
    assert worker.security.credentials == old
    trusted = worker.authority.shown[-1][1].root_pem
    assert fresh.strip() in trusted
    assert old.root_pem.strip() in trusted


@pytest.mark.parametrize("bundle", [b"", b"hello"])
def test_a_root_that_is_none_is_ignored(worker: Worker, bundle: bytes) -> None:
    planned = worker.keeper.renewal
    worker.keeper.observe_root(bundle)
    assert worker.keeper.renewal == planned


async def test_the_loop_renews_when_it_is_time_and_when_it_is_told(worker: Worker) -> None:
    renewed = asyncio.Event()
    worker.security.subscribe(lambda _: renewed.set())
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        loop = group.create_task(worker.keeper.run())
        await asyncio.sleep(0)
        promoted = worker.authority.change_node(worker.node_id, role=Role.MANAGER)
        worker.keeper.observe_node(promoted)
        worker.clock.advance(SECOND)
        await renewed.wait()
        loop.cancel()
    assert worker.security.role is Role.MANAGER


async def test_a_node_that_was_off_too_long_renews_as_it_starts(
    worker: Worker, tmp_path: Path
) -> None:
    worker.clock.advance(80 * DAY)
    late = Worker(worker.authority, worker.security.credentials, tmp_path / "late")
    assert late.due_in_ns() == 0


async def test_the_raft_context_is_made_once_per_credentials(worker: Worker) -> None:
    first = worker.security.raft_client_context()
    assert worker.security.raft_client_context() is first
    await worker.keeper.renew()
    assert worker.security.raft_client_context() is not first


async def test_servers_and_clients_are_given_the_current_credentials(worker: Worker) -> None:
    await worker.keeper.renew()
    current = worker.security.credentials
    served = worker.security.server_credentials()
    assert (served.root_pem, served.cert_pem) == (current.root_pem, current.cert_pem)
    assert worker.security.client_tls("swarm-ca").server_name == "swarm-ca"
    assert worker.security.client_tls().key_pem == current.key_pem
    assert worker.security.tls_info().trust_root == current.root_pem


async def test_an_ended_subscription_hears_nothing(worker: Worker) -> None:
    heard: list[NodeCredentials] = []
    unsubscribe = worker.security.subscribe(heard.append)
    unsubscribe()
    unsubscribe()
    await worker.keeper.renew()
    assert heard == []


async def test_a_sealed_key_stays_sealed_when_it_is_renewed(worker: Worker) -> None:
    kek = bytes(range(32))
    security = SecurityContext(worker.security.credentials, worker.keystore, kek=kek)
    security.replace(worker.security.credentials)
    key_file = worker.keystore.directory / "swarm-node.key"
    assert b"ENCRYPTED" in key_file.read_bytes()
    assert worker.keystore.load(kek=kek) == security.credentials
