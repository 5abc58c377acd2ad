"""TLS contexts for both ends of the remote port.

A server asks every client for a certificate, verifies it if one comes, and accepts the connection
if none does: a machine that joins has none. What may be called without is decided per method.

Certificates and roots change while connections are open. The listener's own context only picks
the current one for each handshake, so a renewal or a new root is a plain replacement: contexts in
use are never changed, and open connections go on with what they began with.
"""

from __future__ import annotations

import asyncio.sslproto
import os
import ssl

import msgspec

GRPC_ALPN = "h2"
RAFT_ALPN = "swarmd-raft"
TUNNEL_ALPN = "swarmd-tunnel"

# Name that managers are verified by; other names of a manager's certificate are for joining.
MANAGER_NAME = "swarm-manager"
CA_NAME = "swarm-ca"

_CIPHERS_TLS12 = "ECDHE+AESGCM:ECDHE+CHACHA20"
_READ_BUFFER_BYTES = 32 * 1024


class Credentials(msgspec.Struct, frozen=True):
    """What a node shows and trusts, all in PEM. The certificate may carry its chain."""

    root_pem: bytes
    cert_pem: bytes
    key_pem: bytes

    def __repr__(self) -> str:
        return f"Credentials(cert_pem={len(self.cert_pem)} bytes, key_pem=hidden)"


class ClientTls(msgspec.Struct, frozen=True):
    """How a client verifies the server, and what it shows.

    Without a certificate the call is anonymous. The server must prove to be `server_name`, which
    is also the name it is asked for.
    """

    root_pem: bytes
    cert_pem: bytes = b""
    key_pem: bytes = b""
    server_name: str = MANAGER_NAME

    def __repr__(self) -> str:
        return f"ClientTls(server_name={self.server_name!r}, anonymous={not self.cert_pem})"


class ServerTls:
    """The listener's `context`, handed to asyncio once; `replace` swaps what it serves."""

    def __init__(self, credentials: Credentials, *, alpn: tuple[str, ...] = (GRPC_ALPN,)) -> None:
        self._alpn = alpn
        self.context = _server_context(credentials, alpn)
        self._current = self.context
        self.context.sni_callback = self._choose

    def replace(self, credentials: Credentials) -> None:
        """Use `credentials` from the next handshake on."""
        self._current = _server_context(credentials, self._alpn)

    def _choose(
        self, connection: ssl.SSLObject, server_name: str | None, context: ssl.SSLContext
    ) -> None:
        # Called for clients that name no server as well.
        connection.context = self._current


def _server_context(credentials: Credentials, alpn: tuple[str, ...]) -> ssl.SSLContext:
    context = _context(ssl.PROTOCOL_TLS_SERVER, alpn)
    context.verify_mode = ssl.CERT_OPTIONAL
    context.load_verify_locations(cadata=credentials.root_pem.decode())
    # Tickets cost half a millisecond per handshake, and nobody resumes.
    context.num_tickets = 0
    _load_pair(context, credentials.cert_pem, credentials.key_pem)
    return context


def client_context(tls: ClientTls, *, alpn: str = GRPC_ALPN) -> ssl.SSLContext:
    """A context that verifies the server against the roots and by name."""
    context = _context(ssl.PROTOCOL_TLS_CLIENT, (alpn,))
    context.load_verify_locations(cadata=tls.root_pem.decode())
    if tls.cert_pem:
        _load_pair(context, tls.cert_pem, tls.key_pem)
    return context


def unverified_context() -> ssl.SSLContext:
    """A context that takes any server: for answers that prove themselves, and the local socket."""
    context = _context(ssl.PROTOCOL_TLS_CLIENT, (GRPC_ALPN,))
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _context(protocol: int, alpn: tuple[str, ...]) -> ssl.SSLContext:
    context = ssl.SSLContext(protocol)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(_CIPHERS_TLS12)
    context.set_alpn_protocols(list(alpn))
    return context


def _load_pair(context: ssl.SSLContext, cert_pem: bytes, key_pem: bytes) -> None:
    """Load a key pair without it touching a disk: the ssl module reads files only."""
    descriptor = os.memfd_create("swarmd-key", os.MFD_CLOEXEC)
    try:
        with os.fdopen(descriptor, "wb", closefd=False) as file:
            file.write(cert_pem.rstrip() + b"\n" + key_pem)
        context.load_cert_chain(f"/proc/self/fd/{descriptor}")
    finally:
        os.close(descriptor)


def shrink_read_buffers() -> None:
    """Have asyncio use 32 KiB per TLS connection for reading instead of 256 KiB.

    It is a class attribute of the standard library, hence for the whole process. With 500 agents
    attached the default is 150 MB.
    """
    asyncio.sslproto.SSLProtocol.max_size = _READ_BUFFER_BYTES
