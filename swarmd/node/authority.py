"""The cluster's certificate authority as a node calls it, and asking it for one certificate.

`Authority` is what enrolment and renewal need of the network. Requesting a certificate is the same
for both: hand in a signing request, then fetch the answer until it is the answer to exactly that
request. One connection serves both calls.
`remote_authority` is the real thing.
"""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from swarmd.model.env import Rng
from swarmd.model.errors import Code, Rejection
from swarmd.model.ids import NodeId
from swarmd.model.instant import SECOND
from swarmd.model.node import NodeCertificate
from swarmd.model.states import Availability, IssuanceState
from swarmd.rpc.tls import ClientTls

POLLS_MAX = 6
POLL_BASE_NS = 1 * SECOND
POLL_LONGEST_NS = 30 * SECOND


class NodeAuthority(Protocol):
    """The two calls that make a certificate; both raise `RpcError`."""

    async def issue(self, csr: bytes, *, token: str, availability: Availability) -> NodeId:
        """Hand in a signing request; the node it is for."""
        ...

    async def status(self, node_id: NodeId) -> NodeCertificate:
        """What became of the node's latest request."""
        ...


class Authority(Protocol):
    """The CA of whichever manager listens at an address."""

    async def fetch_root(self, address: str) -> bytes:
        """The root bundle, from a server that nobody has verified; raises `RpcError`."""
        ...

    def connect(self, address: str, tls: ClientTls) -> AbstractAsyncContextManager[NodeAuthority]:
        """A connection, closed when the block is left; it fails with its first call."""
        ...


async def request_certificate(
    authority: NodeAuthority, csr: bytes, *, token: str, availability: Availability, rng: Rng
) -> tuple[NodeId, NodeCertificate]:
    """The node that `csr` is for, and the certificate that answers it. Nothing is verified.

    Raises:
        RpcError: the request was refused or the manager can't be talked to.
        Rejection: the authority answered, but with no certificate for this request.
    """
    node_id = await authority.issue(csr, token=token, availability=availability)
    for poll in range(POLLS_MAX):
        certificate = await authority.status(node_id)
        if certificate.status is IssuanceState.FAILED:
            raise Rejection(
                Code.ABORTED,
                f"the manager could not make a certificate for node {node_id}: "
                f"{certificate.error or 'it gave no reason'}",
            )
        issued = certificate.status in (IssuanceState.ISSUED, IssuanceState.ROTATE)
        if issued and certificate.csr == csr:
            return node_id, certificate
        await asyncio.sleep(_poll_delay_ns(poll, rng) / SECOND)
    raise Rejection(
        Code.DEADLINE_EXCEEDED,
        f"the manager took too long to make a certificate for node {node_id}; try again",
    )


def _poll_delay_ns(poll: int, rng: Rng) -> int:
    return rng.randrange(0, min(POLL_LONGEST_NS, POLL_BASE_NS + POLL_BASE_NS * 2**poll))
