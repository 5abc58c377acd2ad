"""How a machine gets its first certificate, and what it is told when it does not."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest
from msgspec.structs import replace

from swarmd.ca.core.tokens import make_token
from swarmd.ca.credentials import NodeCredentials
from swarmd.model.errors import Code, Rejection
from swarmd.model.ids import NodeId
from swarmd.model.instant import HOUR, MINUTE, SECOND, Instant
from swarmd.model.states import Availability, IssuanceState, Role
from swarmd.node.enrolment import ATTEMPTS, Enrolment
from swarmd.rpc.errors import RpcError
from swarmd.rpc.tls import CA_NAME
from tests.support.authority import NOW, MemoryAuthority, lost
from tests.support.hand_clock import HandClock

ADDRESS = "10.0.0.1:2377"


class NoDelay:
    def random(self) -> float:
        return 0.0

    def randrange(self, start: int, stop: int) -> int:
        return start


class Joiner:
    """A machine that wants to become a node of the cluster behind `authority`."""

    def __init__(self, authority: MemoryAuthority) -> None:
        self.authority = authority
        self.clock = HandClock(authority.clock.now())
        self.looks: list[tuple[str, bytes | None]] = []
        self.finding: Rejection | None = None

    async def join(self, token: str, addresses: Sequence[str] = (ADDRESS,)) -> NodeCredentials:
        enrolment = Enrolment(
            self.authority,
            token=token,
            availability=Availability.PAUSE,
            clock=self.clock,
            rng=NoDelay(),
            probe=self._look,
            pause_s=0,
        )
        return await enrolment.run(addresses)

    async def fails(self, token: str, addresses: Sequence[str] = (ADDRESS,)) -> Rejection:
        with pytest.raises(Rejection) as caught:
            await self.join(token, addresses)
        return caught.value

    async def _look(self, address: str, root_pem: bytes | None) -> Rejection | None:
        self.looks.append((address, root_pem))
        return self.finding


@pytest.fixture
def authority() -> MemoryAuthority:
    return MemoryAuthority()


@pytest.fixture
def joiner(authority: MemoryAuthority) -> Joiner:
    return Joiner(authority)


@pytest.mark.parametrize("role", list(Role))
async def test_a_token_leads_to_verified_credentials(joiner: Joiner, role: Role) -> None:
    tokens = joiner.authority.tokens
    token = tokens.manager if role is Role.MANAGER else tokens.worker
    credentials = await joiner.join(f" {token}\n")
    assert credentials.role is role
    assert credentials.cluster_id == "c1"
    assert credentials.root_pem == joiner.authority.founding.root_ca.ca_cert
    node = joiner.authority.store.get_node(credentials.node_id)
    assert node.certificate.certificate == credentials.cert_pem
    assert node.spec.availability is Availability.PAUSE


async def test_the_secret_is_shown_only_to_a_server_that_proves_to_be_the_ca(
    joiner: Joiner,
) -> None:
    await joiner.join(joiner.authority.tokens.worker)
    ((_, tls),) = joiner.authority.shown
    assert tls.server_name == CA_NAME
    assert tls.root_pem == joiner.authority.founding.root_ca.ca_cert
    assert tls.cert_pem == b""


@pytest.mark.parametrize(
    ("token", "sentence"),
    [
        pytest.param("", "empty", id="none"),
        pytest.param("SWMTKN-1-abc", "truncated", id="truncated"),
        pytest.param("SWMTKN-2-1-" + "a" * 50 + "-" + "b" * 25, "FIPS", id="fips"),
    ],
)
async def test_a_malformed_token_never_leaves_the_machine(
    joiner: Joiner, token: str, sentence: str
) -> None:
    refusal = await joiner.fails(token)
    assert refusal.code is Code.INVALID_ARGUMENT
    assert sentence in refusal.message
    assert joiner.authority.shown == []


async def test_a_token_of_another_cluster_is_never_shown(joiner: Joiner) -> None:
    refusal = await joiner.fails(MemoryAuthority().tokens.worker)
    assert refusal.code is Code.INVALID_ARGUMENT
    assert "another cluster" in refusal.message
    assert ADDRESS in refusal.message
    assert joiner.authority.shown == []


async def test_a_wrong_secret_is_refused_once_with_the_managers_reason(joiner: Joiner) -> None:
    token = make_token(joiner.authority.founding.root_ca.ca_cert, b"x" * 16)
    refusal = await joiner.fails(token)
    assert refusal.code is Code.INVALID_ARGUMENT
    assert "rotated" in refusal.message
    assert len(joiner.authority.shown) == 1
    assert len(joiner.authority.store.nodes()) == 1


async def test_an_address_is_required_and_must_be_one(joiner: Joiner) -> None:
    token = joiner.authority.tokens.worker
    assert "required" in (await joiner.fails(token, ())).message
    for address in ("manager", ":2377", "host:", "host:99999", "host:x"):
        refusal = await joiner.fails(token, (address,))
        assert refusal.code is Code.INVALID_ARGUMENT
        assert address in refusal.message


async def test_what_may_pass_is_tried_again(joiner: Joiner) -> None:
    joiner.authority.failures = [lost(), None, lost(), None, None, lost()]
    credentials = await joiner.join(joiner.authority.tokens.worker)
    assert joiner.authority.store.get_node(credentials.node_id).role is Role.WORKER
    assert len(joiner.authority.store.nodes()) == 2


async def test_a_lost_answer_leaves_no_second_node(joiner: Joiner) -> None:
    joiner.authority.failures = [None]
    joiner.authority.answers_lost = 3
    await joiner.join(joiner.authority.tokens.worker)
    assert len(joiner.authority.store.nodes()) == 2


async def test_after_five_attempts_the_reason_is_what_a_look_at_the_address_shows(
    joiner: Joiner,
) -> None:
    joiner.authority.failures = [lost()] * 100
    joiner.finding = Rejection(Code.UNAVAILABLE, "no manager can be reached")
    assert await joiner.fails(joiner.authority.tokens.worker) == joiner.finding
    assert joiner.looks == [(ADDRESS, None)] * ATTEMPTS


async def test_a_look_after_the_root_is_known_judges_the_managers_certificate(
    joiner: Joiner,
) -> None:
    joiner.authority.failures = [None, lost()] * 10
    assert (await joiner.fails(joiner.authority.tokens.worker)).message == "connection lost"
    root_pem = joiner.authority.founding.root_ca.ca_cert
    assert joiner.looks == [(ADDRESS, root_pem)] * ATTEMPTS


async def test_a_look_that_shows_something_final_ends_the_enrolment(joiner: Joiner) -> None:
    joiner.authority.failures = [lost()] * 100
    joiner.finding = Rejection(Code.INVALID_ARGUMENT, "there is no swarm manager")
    assert await joiner.fails(joiner.authority.tokens.worker) == joiner.finding
    assert len(joiner.looks) == 1


async def test_an_answer_is_passed_on_without_a_look(joiner: Joiner) -> None:
    answer = RpcError(Code.FAILED_PRECONDITION, "this node is not a swarm manager")
    joiner.authority.failures = [answer]
    refusal = await joiner.fails(joiner.authority.tokens.worker)
    assert (refusal.code, refusal.message) == (answer.code, answer.message)
    assert joiner.looks == []


async def test_one_good_address_among_bad_ones_is_enough(joiner: Joiner) -> None:
    joiner.authority.failures = [RpcError(Code.FAILED_PRECONDITION, "not a manager"), lost()]
    addresses = ("10.0.0.7:2377", "10.0.0.8:2377", "10.0.0.9:2377")
    await joiner.join(joiner.authority.tokens.worker, addresses)
    assert [address for address, _ in joiner.authority.shown] == ["10.0.0.9:2377"]


@pytest.mark.parametrize("hours", [2, 5, 30])
async def test_a_clock_hours_behind_is_named(joiner: Joiner, hours: int) -> None:
    """The cluster is old enough for its root to be valid; the new certificate is not yet."""
    joiner.authority.clock.advance(1000 * HOUR)
    joiner.clock.set(joiner.authority.clock.now() - hours * HOUR)
    refusal = await joiner.fails(joiner.authority.tokens.worker)
    assert refusal.code is Code.FAILED_PRECONDITION
    assert f"clock is at least {hours - 1}h1s behind" in refusal.message


async def test_a_clock_before_the_cluster_began_is_named_and_no_node_is_made(
    joiner: Joiner,
) -> None:
    joiner.clock.set(NOW - 3 * HOUR)
    refusal = await joiner.fails(joiner.authority.tokens.worker)
    assert refusal.code is Code.FAILED_PRECONDITION
    assert "clock is at least 2h1s behind" in refusal.message
    assert len(joiner.authority.store.nodes()) == 1


async def test_a_clock_years_ahead_is_named(joiner: Joiner) -> None:
    joiner.clock.advance(10_000 * HOUR)
    refusal = await joiner.fails(joiner.authority.tokens.worker)
    assert refusal.code is Code.FAILED_PRECONDITION
    assert "expired" in refusal.message
    assert "clock" in refusal.message


@pytest.mark.parametrize(
    ("skew_ns", "words"),
    [
        pytest.param(3 * HOUR, "3h ahead of the manager's", id="ahead"),
        pytest.param(-20 * MINUTE, "20m behind the manager's", id="behind"),
        pytest.param(20 * SECOND, "", id="close"),
    ],
)
async def test_a_skewed_clock_that_does_no_harm_is_warned_about(
    joiner: Joiner, caplog: pytest.LogCaptureFixture, skew_ns: int, words: str
) -> None:
    joiner.clock.advance(skew_ns)
    await joiner.join(joiner.authority.tokens.worker)
    warnings = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert bool(warnings) == bool(words)
    assert all(words in warning for warning in warnings)


async def test_a_failed_signing_is_reported(joiner: Joiner) -> None:
    def fail(node_id: NodeId) -> None:
        joiner.authority.change_node(node_id, status=IssuanceState.FAILED)

    joiner.authority.after_issue = fail
    refusal = await joiner.fails(joiner.authority.tokens.worker)
    assert refusal.code is Code.ABORTED
    assert "could not make a certificate" in refusal.message


async def test_a_signing_that_never_ends_is_given_up(joiner: Joiner) -> None:
    def hold(node_id: NodeId) -> None:
        joiner.authority.change_node(node_id, status=IssuanceState.PENDING)

    joiner.authority.after_issue = hold
    refusal = await joiner.fails(joiner.authority.tokens.worker)
    assert refusal.code is Code.DEADLINE_EXCEEDED


async def test_an_answer_to_another_request_is_waited_out(joiner: Joiner) -> None:
    joiner.authority.rewrite = lambda sent: replace(sent, csr=b"another")
    refusal = await joiner.fails(joiner.authority.tokens.worker)
    assert refusal.code is Code.DEADLINE_EXCEEDED


async def test_a_certificate_in_another_name_is_refused(joiner: Joiner) -> None:
    joiner.authority.rewrite = lambda sent: joiner.authority.sign_for("n1", sent)
    refusal = await joiner.fails(joiner.authority.tokens.worker)
    assert refusal.code is Code.INVALID_ARGUMENT
    assert "another node's certificate" in refusal.message


async def test_a_certificate_for_another_key_is_refused(joiner: Joiner) -> None:
    other = joiner.authority.founding.certificate.certificate
    joiner.authority.rewrite = lambda sent: replace(sent, certificate=other)
    assert "another private key" in (await joiner.fails(joiner.authority.tokens.worker)).message


async def test_enrolling_needs_no_luck() -> None:
    """Seeds differ, the outcome does not."""
    for seed in range(5):
        authority = MemoryAuthority(now=Instant(NOW + seed * SECOND))
        enrolment = Enrolment(
            authority,
            token=authority.tokens.worker,
            availability=Availability.ACTIVE,
            clock=authority.clock,
            rng=random.Random(seed),
        )
        assert (await enrolment.run([ADDRESS])).role is Role.WORKER
