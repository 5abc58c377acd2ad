"""How a simulated node gets its certificate: the calls of a stock node, in its order.

Three connections as a stock node makes them: the root from a server nobody has verified, the
certificate under the name `swarm-ca`, and later the session under `swarm-manager`.
"""

from __future__ import annotations

import asyncio
import random
from typing import NamedTuple

from swarmd.rpc.channel import Channel, fetch_root_ca
from swarmd.rpc.errors import RpcError
from swarmd.rpc.pb import ca, types
from swarmd.rpc.tls import CA_NAME, ClientTls
from tests.bench.swarm.keys import KeyPair

ATTEMPTS = 5
ATTEMPT_PAUSE_S = 2.0
CALL_TIMEOUT_S = 5.0
_ISSUED = (types.IssuanceStatus.ISSUED, types.IssuanceStatus.ROTATE)


class Identity(NamedTuple):
    """A node of the cluster."""

    node_id: str
    tls: ClientTls


async def enrol(addresses: list[str], token: str, pair: KeyPair, rng: random.Random) -> Identity:
    """Join with a token; up to five attempts, each at a manager chosen by chance."""
    for attempt in range(ATTEMPTS):
        try:
            return await _enrol_at(rng.choice(addresses), token, pair, rng)
        except RpcError:
            if attempt == ATTEMPTS - 1:
                raise
            await asyncio.sleep(ATTEMPT_PAUSE_S)
    raise AssertionError("the last attempt returns or raises")


async def _enrol_at(address: str, token: str, pair: KeyPair, rng: random.Random) -> Identity:
    root_pem = await fetch_root_ca(address)
    channel = Channel(address, ClientTls(root_pem, server_name=CA_NAME))
    try:
        stub = channel.stub("docker.swarmkit.v1.NodeCA")
        issue = ca.IssueNodeCertificateRequest(csr=pair.csr, token=token)
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
