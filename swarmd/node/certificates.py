"""Keeping the node's certificate fresh for as long as the node lives.

One loop waits for the instant the schedule names, renews, and schedules anew. What the managers
say in session messages can bring the next renewal forward: another role for this node, a wish that
its certificate be replaced, or a new root bundle. The times are decided in `ca.core.renewal`.

A renewed certificate is used even when its role isn't the expected one (it is what the cluster
says this node is), and the renewal is repeated.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence

from swarmd.ca.core.renewal import Renewal, failed, force, schedule
from swarmd.ca.credentials import NodeCredentials
from swarmd.ca.problems import CertificateProblem, KeystoreProblem
from swarmd.ca.verify import require_root
from swarmd.ca.x509 import generate_key, make_request
from swarmd.model.env import Rng
from swarmd.model.errors import Code, Rejection
from swarmd.model.instant import MINUTE, SECOND, Instant, format_duration
from swarmd.model.node import Node
from swarmd.model.states import Availability, IssuanceState
from swarmd.rpc.errors import RpcError
from swarmd.rpc.tls import ClientTls
from swarmd.runtime.clock import Clock
from swarmd.runtime.timeouts import timeout

from .authority import Authority, request_certificate
from .security import SecurityContext

log = logging.getLogger(__name__)

# The wall clock may be set while we sleep; looking at it now and then bounds what that costs.
LONGEST_SLEEP_NS = 10 * MINUTE


class CertificateKeeper:
    """Renews the credentials of a `SecurityContext` in time, and whenever the cluster asks.

    Args:
        managers: addresses of the managers this node knows, as of now.
    """

    def __init__(
        self,
        security: SecurityContext,
        authority: Authority,
        *,
        managers: Callable[[], Sequence[str]],
        clock: Clock,
        rng: Rng,
    ) -> None:
        self._security = security
        self._authority = authority
        self._managers = managers
        self._clock = clock
        self._rng = rng
        self._expected_role = security.role
        self._announced_root = b""  # a root bundle that the credentials don't lead to yet
        self._renewal = self._schedule()
        self._changed = asyncio.Event()
        self._problem = ""

    @property
    def renewal(self) -> Renewal:
        """The next attempt, for people and tests."""
        return self._renewal

    @property
    def problem(self) -> str:
        """Why the last attempt failed, one sentence; empty while all is well."""
        return self._problem

    def observe_node(self, node: Node) -> None:
        """Take note of this node's record, as a session message brought it.

        What counts is `role`, the role that the next certificate will have, so a demotion waits
        until the leader has taken this manager out of Raft.
        """
        self._expected_role = node.role
        if node.role is not self._security.role:
            self._force(f"this node becomes a {node.role.value}")
        elif node.certificate.status is IssuanceState.ROTATE:
            self._force("the cluster asks for a new certificate")

    def observe_root(self, root_pem: bytes) -> None:
        """Take note of the root bundle that the managers use; an empty or known one is no news."""
        current = self._security.credentials
        if not root_pem or root_pem in (current.root_pem, self._announced_root):
            return
        try:
            require_root(root_pem, now=self._now())
        except CertificateProblem as problem:
            log.error("certificate.root_refused reason=%s", problem.message)
            return
        if self._adopt_root(root_pem):
            self._announced_root = b""
        else:
            self._announced_root = root_pem
        self._force("the cluster has a new root")

    async def run(self) -> None:
        """Renew for ever; meant to be kept by a supervisor."""
        while True:
            await self._wait_until_due()
            await self.renew()

    async def renew(self) -> bool:
        """Make one attempt now and schedule the next; whether it brought what was wanted."""
        try:
            credentials = await self._obtain()
            self._security.replace(credentials)
        except (Rejection, RpcError, CertificateProblem, KeystoreProblem) as error:
            return self._note_failure(str(error))
        self._announced_root = b""
        if credentials.role is not self._expected_role:
            return self._note_failure(
                f"the new certificate is one of a {credentials.role.value}, "
                f"this node is to be a {self._expected_role.value}"
            )
        self._problem = ""
        self._renewal = self._schedule()
        log.info(
            "certificate.renewed node.id=%s role=%s next=%s",
            credentials.node_id,
            credentials.role.value,
            format_duration((self._renewal.due - self._now()) // SECOND * SECOND),
        )
        return True

    async def _obtain(self) -> NodeCredentials:
        """A certificate from the first manager that gives one, in random order."""
        addresses = list(self._managers())
        last: RpcError | Rejection | None = None
        while addresses:
            address = addresses.pop(self._rng.randrange(0, len(addresses)))
            try:
                return await self._obtain_at(address)
            except (RpcError, Rejection) as error:
                last = error
        if last is not None:
            raise last
        raise Rejection(Code.UNAVAILABLE, "this node knows no manager that could renew it")

    async def _obtain_at(self, address: str) -> NodeCredentials:
        current = self._security.credentials
        key_pem = generate_key()
        csr = make_request(key_pem)
        async with self._authority.connect(address, self._tls()) as authority:
            _, certificate = await request_certificate(
                authority, csr, token="", availability=Availability.ACTIVE, rng=self._rng
            )
        renewed = NodeCredentials.checked(
            root_pem=self._announced_root or current.root_pem,
            cert_pem=certificate.certificate,
            key_pem=key_pem,
            now=self._now(),
        )
        if (renewed.node_id, renewed.cluster_id) != (current.node_id, current.cluster_id):
            raise Rejection(
                Code.INTERNAL,
                f"the manager at {address} answered with a certificate of node {renewed.node_id}",
            )
        return renewed

    def _tls(self) -> ClientTls:
        """The managers may already show certificates of a root that we still have to reach."""
        tls = self._security.client_tls()
        if not self._announced_root:
            return tls
        roots = self._announced_root.rstrip() + b"\n" + tls.root_pem
        return ClientTls(roots, tls.cert_pem, tls.key_pem, tls.server_name)

    def _adopt_root(self, root_pem: bytes) -> bool:
        """Trust `root_pem` from now on, if our certificate leads to it."""
        current = self._security.credentials
        try:
            adopted = NodeCredentials.checked(
                root_pem=root_pem, cert_pem=current.cert_pem, key_pem=current.key_pem, now=None
            )
            self._security.replace(adopted)
        except (CertificateProblem, KeystoreProblem) as problem:
            log.info("certificate.root_waits reason=%s", problem)
            return False
        return True

    def _force(self, reason: str) -> None:
        forced = force(self._renewal, now=self._now(), reason=reason)
        if forced is not self._renewal:
            self._renewal = forced
            self._changed.set()

    def _note_failure(self, reason: str) -> bool:
        self._problem = self._with_expiry(reason)
        self._renewal = failed(self._renewal, now=self._now(), rng=self._rng)
        log.warning("certificate.renewal_failed reason=%s", self._problem)
        return False

    def _with_expiry(self, reason: str) -> str:
        try:
            self._security.credentials.facts.require_valid_at(self._now())
        except CertificateProblem as problem:
            return f"{problem.message}; renewing it failed: {reason}"
        return f"the certificate of this node could not be renewed: {reason}"

    def _schedule(self) -> Renewal:
        facts = self._security.credentials.facts
        return schedule(
            not_before=facts.not_before, not_after=facts.not_after, now=self._now(), rng=self._rng
        )

    async def _wait_until_due(self) -> None:
        while (left_ns := self._renewal.due - self._now()) > 0:
            self._changed.clear()
            try:
                async with timeout(min(left_ns, LONGEST_SLEEP_NS) / SECOND):
                    await self._changed.wait()
            except TimeoutError:
                continue

    def _now(self) -> Instant:
        return Instant(self._clock.now())
