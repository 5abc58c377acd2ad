"""A certificate authority for tests: real roots, real node certificates, ready TLS contexts.

Only the time is made up; everything is signed and checked by the shipped code.
"""

from __future__ import annotations

import ssl
import tempfile
import time
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from swarmd.ca.core.subject import Subject
from swarmd.ca.x509 import RootPair, Signer, generate_key, make_request, make_root
from swarmd.model.ids import ClusterId, NodeId
from swarmd.model.instant import HOUR, Instant
from swarmd.model.states import Role

CLUSTER = ClusterId("testcluster0000000000000a")
OTHER_CLUSTER = ClusterId("othercluster000000000000b")
LIFE_NS = 2160 * HOUR


class NodePair(NamedTuple):
    """A node's certificate, its key, and the root behind it; all PEM."""

    cert_pem: bytes
    key_pem: bytes
    root_pem: bytes


def wall_now() -> Instant:
    return Instant(time.time_ns())


def make_ca(now: Instant | None = None) -> RootPair:
    """A fresh root that is valid now, or was made at `now`."""
    return make_root(wall_now() if now is None else now)


@lru_cache(maxsize=1)
def shared_ca() -> RootPair:
    """One root for all tests that don't care which."""
    return make_ca()


def issue(
    ca: RootPair,
    node_id: str,
    role: Role = Role.WORKER,
    cluster_id: str = CLUSTER,
    *,
    now: Instant | None = None,
    life_ns: int = LIFE_NS,
) -> NodePair:
    """A key and a certificate for a node, signed now or at the given time."""
    key_pem = generate_key()
    subject = Subject(node_id=NodeId(node_id), role=role, cluster_id=ClusterId(cluster_id))
    cert_pem = Signer(ca).sign(
        make_request(key_pem), subject, now=wall_now() if now is None else now, life_ns=life_ns
    )
    return NodePair(cert_pem, key_pem, ca.cert_pem)


def server_context(pair: NodePair, *, alpn: tuple[str, ...] = ("h2",)) -> ssl.SSLContext:
    """Asks every client for a certificate and serves those without one too."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_mode = ssl.CERT_OPTIONAL
    context.load_verify_locations(cadata=pair.root_pem.decode())
    _load_pair(context, pair)
    context.set_alpn_protocols(list(alpn))
    return context


def client_context(
    root_pem: bytes, pair: NodePair | None = None, *, alpn: tuple[str, ...] = ("h2",)
) -> ssl.SSLContext:
    """Verifies the server under `root_pem`; presents `pair` when there is one."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_verify_locations(cadata=root_pem.decode())
    if pair is not None:
        _load_pair(context, pair)
    context.set_alpn_protocols(list(alpn))
    return context


def _load_pair(context: ssl.SSLContext, pair: NodePair) -> None:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "pair.pem"
        path.write_bytes(pair.key_pem + pair.cert_pem)
        context.load_cert_chain(path)
