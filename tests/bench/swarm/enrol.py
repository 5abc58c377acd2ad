"""How a simulated node gets its certificate: the calls of a stock node, in its order.

Three connections as a stock node makes them: the root from a server nobody has verified, the
certificate under the name `swarm-ca`, and later the session under `swarm-manager`.
"""

from __future__ import annotations

import asyncio
import random
import ssl
from typing import NamedTuple

from swarmd.rpc.errors import RpcError
from swarmd.rpc.pb import ca, types
from swarmd.rpc.tls import CA_NAME, ClientTls, client_context, unverified_context
from tests.bench.swarm.keys import KeyPair
from tests.bench.swarm.tls_channel import TlsChannel

ATTEMPTS = 5
ATTEMPT_PAUSE_S = 2.0
CALL_TIMEOUT_S = 5.0
_ISSUED = (types.IssuanceStatus.ISSUED, types.IssuanceStatus.ROTATE)


class Identity(NamedTuple):
    """A node of the cluster."""

    node_id: str
    tls: ClientTls


class Enrolment:
    """The way in through `addresses`; one for all nodes, so that TLS contexts are made once."""

    def __init__(self, addresses: list[str], token: str) -> None:
        self._addresses = addresses
        self._token = token
        self._unverified = unverified_context()
        self._by_root: dict[bytes, ssl.SSLContext] = {}

    async def enrol(self, pair: KeyPair, rng: random.Random) -> Identity:
        """Join with the token; up to five attempts, each at a manager chosen by chance."""
        for attempt in range(ATTEMPTS):
            try:
                return await self._enrol_at(rng.choice(self._addresses), pair, rng)
            except RpcError:
                if attempt == ATTEMPTS - 1:
                    raise
                await asyncio.sleep(ATTEMPT_PAUSE_S)
        raise AssertionError("the last attempt returns or raises")

    async def _enrol_at(self, address: str, pair: KeyPair, rng: random.Random) -> Identity:
        root_pem = await self._fetch_root(address)
        context = self._by_root.get(root_pem)
        if context is None:
            context = client_context(ClientTls(root_pem, server_name=CA_NAME))
            self._by_root[root_pem] = context
        channel = TlsChannel(address, context, server_name=CA_NAME)
        try:
            stub = channel.stub("docker.swarmkit.v1.NodeCA")
            issue = ca.IssueNodeCertificateRequest(csr=pair.csr, token=self._token)
            issued = await stub.IssueNodeCertificate(issue, timeout_s=CALL_TIMEOUT_S)
            question = ca.NodeCertificateStatusRequest(node_id=issued.node_id)
            poll = 0
            while True:
                answer = await stub.NodeCertificateStatus(question, timeout_s=CALL_TIMEOUT_S)
                if answer.status.state in _ISSUED and answer.certificate.csr == pair.csr:
                    break
                await asyncio.sleep(rng.uniform(0, min(30.0, 1.0 + 2.0**poll)))
                poll += 1
        finally:
            await channel.close()
        tls = ClientTls(root_pem, answer.certificate.certificate, pair.key_pem)
        return Identity(issued.node_id, tls)

    async def _fetch_root(self, address: str) -> bytes:
        channel = TlsChannel(address, self._unverified, server_name="")
        try:
            stub = channel.stub("docker.swarmkit.v1.CA")
            request = ca.GetRootCACertificateRequest()
            answer = await stub.GetRootCACertificate(request, timeout_s=CALL_TIMEOUT_S)
        finally:
            await channel.close()
        return bytes(answer.certificate)
