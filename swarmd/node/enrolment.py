"""Becoming a node: from an address and a join token to a certificate that proves membership.

    fetch the root, unverified -> its digest must be the token's -> from here on only that root
    is trusted -> new key and signing request -> the token is shown -> certificate -> verified

The token's digest is checked before the secret is sent anywhere, so a machine in the middle learns
nothing. The key is made once: every attempt hands in the same request, which names the same node,
so that a lost answer leaves nothing behind. What a second try can't change ends the enrolment at
once; what may pass is tried five times, two seconds apart, over all addresses. Addresses that
swallow packets make every attempt slow, so after twenty seconds no other one begins.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence

from swarmd.ca.core.tokens import JoinToken, parse_token
from swarmd.ca.credentials import NodeCredentials
from swarmd.ca.problems import CertificateProblem, Defect
from swarmd.ca.verify import require_root
from swarmd.ca.x509 import BACKDATE_NS, generate_key, make_request
from swarmd.model.env import Rng
from swarmd.model.errors import Code, Rejection, invalid
from swarmd.model.instant import MINUTE, SECOND, Instant, format_duration
from swarmd.model.states import Availability
from swarmd.rpc.errors import RpcError
from swarmd.rpc.tls import CA_NAME, ClientTls
from swarmd.runtime.clock import Clock

from .authority import Authority, request_certificate
from .probe import diagnose, parse_address

log = logging.getLogger(__name__)

ATTEMPTS = 5
ATTEMPT_PAUSE_S = 2.0
PATIENCE_NS = 20 * SECOND
SKEW_WORTH_A_WARNING_NS = 5 * MINUTE

Diagnose = Callable[[str, bytes | None], Awaitable[Rejection | None]]

# Answers that the same question will get again.
_FINAL = frozenset(
    {
        Code.INVALID_ARGUMENT,
        Code.PERMISSION_DENIED,
        Code.ALREADY_EXISTS,
        Code.NOT_FOUND,
        Code.FAILED_PRECONDITION,
        Code.UNIMPLEMENTED,
    }
)


class Enrolment:
    """One machine's way into one cluster; `run` it once.

    Args:
        probe: says why an address could not be used; None looks at the real network.
        pause_s: how long to wait between attempts.
    """

    def __init__(
        self,
        authority: Authority,
        *,
        token: str,
        availability: Availability,
        clock: Clock,
        rng: Rng,
        probe: Diagnose | None = None,
        pause_s: float = ATTEMPT_PAUSE_S,
    ) -> None:
        self._authority = authority
        self._token = token.strip()
        self._parsed = _usable(parse_token(token))
        self._availability = availability
        self._clock = clock
        self._rng = rng
        self._probe = probe or self._look
        self._pause_s = pause_s
        self.notes: list[str] = []  # what a person should know although it worked
        self._key_pem = generate_key()
        self._csr = make_request(self._key_pem)

    async def run(self, addresses: Sequence[str]) -> NodeCredentials:
        """Verified credentials of the new node, from whichever manager answers first.

        Raises:
            Rejection: one sentence that says what is wrong and what to do.
        """
        if not addresses:
            raise invalid("the address of a manager is required to join")
        for address in addresses:
            parse_address(address)
        last: Rejection | None = None
        give_up_ns = self._clock.monotonic() + PATIENCE_NS
        for attempt in range(ATTEMPTS):
            if attempt:
                if self._clock.monotonic() > give_up_ns:
                    break
                await asyncio.sleep(self._pause_s)
            refused = 0
            for address in addresses:
                try:
                    return await self._enrol_at(address)
                except Rejection as rejection:
                    log.info("enrolment.failed address=%s reason=%s", address, rejection.message)
                    last = rejection
                    refused += rejection.code in _FINAL
            if refused == len(addresses):
                break
        assert last is not None
        raise last

    async def _enrol_at(self, address: str) -> NodeCredentials:
        root_pem = await self._pinned_root(address)
        tls = ClientTls(root_pem, server_name=CA_NAME)
        try:
            async with self._authority.connect(address, tls) as authority:
                node_id, certificate = await request_certificate(
                    authority,
                    self._csr,
                    token=self._token,
                    availability=self._availability,
                    rng=self._rng,
                )
        except RpcError as error:
            raise await self._explained(error, address, root_pem) from error
        credentials = self._accept(root_pem, certificate.certificate)
        if credentials.node_id != node_id:
            raise invalid(f"the manager at {address} answered with another node's certificate")
        return credentials

    async def _pinned_root(self, address: str) -> bytes:
        try:
            root_pem = await self._authority.fetch_root(address)
        except RpcError as error:
            raise await self._explained(error, address, None) from error
        if not self._parsed.pins(root_pem):
            raise invalid(
                f"the join token is not one of the cluster at {address}: it was made by another "
                "cluster, was mistyped, or the root certificate was replaced since"
            )
        try:
            require_root(root_pem, now=self._now())
        except CertificateProblem as problem:
            raise _as_rejection(problem) from problem
        return root_pem

    def _accept(self, root_pem: bytes, cert_pem: bytes) -> NodeCredentials:
        now = self._now()
        try:
            credentials = NodeCredentials.checked(
                root_pem=root_pem, cert_pem=cert_pem, key_pem=self._key_pem, now=now
            )
        except CertificateProblem as problem:
            raise _as_rejection(problem) from problem
        # The manager dated the certificate by its own clock a moment ago.
        skew_ns = now - (credentials.facts.not_before + BACKDATE_NS)
        if abs(skew_ns) > SKEW_WORTH_A_WARNING_NS:
            distance = format_duration(abs(skew_ns) // SECOND * SECOND)
            side = "ahead of" if skew_ns > 0 else "behind"
            note = f"this machine's clock is {distance} {side} the manager's; set it"
            log.warning("clock.skew %s", note)
            self.notes.append(note)
        return credentials

    async def _explained(self, error: RpcError, address: str, root_pem: bytes | None) -> Rejection:
        """The answer itself when somebody answered, else what a look at the address shows."""
        if error.code not in (Code.UNAVAILABLE, Code.DEADLINE_EXCEEDED, Code.UNKNOWN):
            return error.as_rejection()
        return await self._probe(address, root_pem) or error.as_rejection()

    async def _look(self, address: str, root_pem: bytes | None) -> Rejection | None:
        return await diagnose(address, root_pem, now=self._now())

    def _now(self) -> Instant:
        return Instant(self._clock.now())


def _usable(token: JoinToken) -> JoinToken:
    if token.needs_fips:
        raise invalid("this cluster demands FIPS mode, which swarmd does not offer")
    return token


def _as_rejection(problem: CertificateProblem) -> Rejection:
    is_clock = problem.defect in (Defect.NOT_YET_VALID, Defect.EXPIRED)
    code = Code.FAILED_PRECONDITION if is_clock else Code.INVALID_ARGUMENT
    return Rejection(code, problem.message)
