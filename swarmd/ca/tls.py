"""TLS contexts made from credentials: one kind for listening, one for dialling.

A context belongs to one set of credentials and is never changed: when a certificate is renewed or
the root bundle changes, new contexts are made and new connections use them, while open ones go on.

The standard library loads key pairs from files only. The file used here lives in memory (memfd)
and vanishes with the call, so a private key never touches a disk by way of TLS.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterator
from contextlib import contextmanager

from swarmd.ca.credentials import Credentials

GRPC_ALPN = "h2"
RAFT_ALPN = "swarmd-raft"

# TLS 1.2 suites; TLS 1.3 has none that would have to be excluded.
_CIPHERS = ":".join(
    (
        "ECDHE-ECDSA-AES128-GCM-SHA256",
        "ECDHE-RSA-AES128-GCM-SHA256",
        "ECDHE-ECDSA-AES256-GCM-SHA384",
        "ECDHE-RSA-AES256-GCM-SHA384",
        "ECDHE-ECDSA-CHACHA20-POLY1305",
        "ECDHE-RSA-CHACHA20-POLY1305",
    )
)


def server_context(
    credentials: Credentials, *, alpn: tuple[str, ...] = (GRPC_ALPN, RAFT_ALPN)
) -> ssl.SSLContext:
    """Asks every client for a certificate, verifies it if one comes, accepts none at all.

    Who may call what without a certificate is decided per method, not here.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    _harden(context)
    context.verify_mode = ssl.CERT_OPTIONAL
    context.num_tickets = 0  # nobody resumes, and tickets cost half a millisecond per handshake
    context.load_verify_locations(cadata=credentials.root_pem.decode())
    _load_pair(context, credentials)
    context.set_alpn_protocols(list(alpn))
    return context


def client_context(
    root_pem: bytes, credentials: Credentials | None = None, *, alpn: tuple[str, ...] = (GRPC_ALPN,)
) -> ssl.SSLContext:
    """Verifies the server and its name under `root_pem`; presents a certificate when given one."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    _harden(context)
    context.load_verify_locations(cadata=root_pem.decode())
    if credentials is not None:
        _load_pair(context, credentials)
    context.set_alpn_protocols(list(alpn))
    return context


def _harden(context: ssl.SSLContext) -> None:
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(_CIPHERS)
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION


def _load_pair(context: ssl.SSLContext, credentials: Credentials) -> None:
    with _in_memory_file(credentials.key_pem + b"\n" + credentials.cert_pem) as path:
        context.load_cert_chain(path)


@contextmanager
def _in_memory_file(content: bytes) -> Iterator[str]:
    descriptor = os.memfd_create("swarmd-key-pair", os.MFD_CLOEXEC)
    try:
        os.write(descriptor, content)
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)
