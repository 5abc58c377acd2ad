"""Looking at an address that could not be used, to say in one sentence why.

A failed call over TLS tells little: the connection broke. Here the steps are taken one by one,
without verifying, so that the first one that fails names itself: no route, nobody listening,
somebody who speaks no TLS or no HTTP/2, or a certificate that this machine can't accept, most
often because of its clock.
"""

from __future__ import annotations

import asyncio
import os
import socket
import ssl

from msgspec import Struct

from swarmd.ca.problems import CertificateProblem, Defect
from swarmd.ca.verify import verify_chain
from swarmd.model.errors import Code, Rejection
from swarmd.model.instant import Instant
from swarmd.rpc.tls import GRPC_ALPN, unverified_context
from swarmd.runtime.timeouts import timeout

PROBE_TIMEOUT_S = 5.0


class Address(Struct, frozen=True):
    """A host and a port to dial."""

    host: str
    port: int


def parse_address(address: str) -> Address:
    """Take `host:port` or `[v6]:port` apart.

    Raises:
        Rejection: INVALID_ARGUMENT, the text is not such an address.
    """
    host, colon, port = address.rpartition(":")
    if not colon or not host or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise Rejection(
            Code.INVALID_ARGUMENT, f"{address!r} is not an address; write it as host:port"
        )
    return Address(host.removeprefix("[").removesuffix("]"), int(port))


async def diagnose(address: str, root_pem: bytes | None, *, now: Instant) -> Rejection | None:
    """Why a manager at `address` can't be used, or None when it looks as it should.

    Args:
        root_pem: the root that the manager's certificate must lead to; None when unknown.
    """
    target = parse_address(address)
    try:
        async with timeout(PROBE_TIMEOUT_S):
            certificate = await _handshake(target)
    except TimeoutError:
        return _unreachable(address, "it does not answer")
    except socket.gaierror:
        return _unreachable(address, f"the name {target.host} can't be resolved")
    except (ssl.SSLError, ConnectionResetError, ConnectionAbortedError, EOFError):
        return _not_a_manager(address, "whatever listens there does not speak TLS")
    except OSError as error:
        # asyncio puts a text of its own in place of the system's.
        detail = os.strerror(error.errno) if error.errno else str(error)
        return _unreachable(address, detail.lower())
    if certificate is None:
        return _not_a_manager(address, "whatever listens there speaks TLS, but not gRPC")
    return _judge(address, certificate, root_pem, now)


async def _handshake(target: Address) -> bytes | None:
    """The certificate (DER) the server shows; None when it doesn't offer HTTP/2."""
    # Connecting first tells a closed port from one that does not speak TLS.
    _, plain = await asyncio.open_connection(target.host, target.port)
    plain.close()
    _, writer = await asyncio.open_connection(target.host, target.port, ssl=unverified_context())
    try:
        tls: ssl.SSLObject = writer.get_extra_info("ssl_object")
        if tls.selected_alpn_protocol() != GRPC_ALPN:
            return None
        return tls.getpeercert(binary_form=True)
    finally:
        writer.transport.abort()


def _judge(
    address: str, certificate: bytes, root_pem: bytes | None, now: Instant
) -> Rejection | None:
    if root_pem is None:
        return None
    chain_pem = ssl.DER_cert_to_PEM_cert(certificate).encode()
    try:
        verify_chain(chain_pem, root_pem, now=now)
    except CertificateProblem as problem:
        match problem.defect:
            case Defect.NOT_YET_VALID | Defect.EXPIRED:
                code = Code.FAILED_PRECONDITION
            case Defect.UNTRUSTED:
                return Rejection(
                    Code.INVALID_ARGUMENT,
                    f"the manager at {address} belongs to another cluster, or something between "
                    "here and there answers in its place",
                )
            case _:
                code = Code.INVALID_ARGUMENT
        return Rejection(code, f"the manager at {address} can't be trusted: {problem.message}")
    return None


def _unreachable(address: str, detail: str) -> Rejection:
    return Rejection(
        Code.UNAVAILABLE,
        f"no manager can be reached at {address}: {detail}; check the address, that the manager "
        "runs, and that no firewall is in between",
    )


def _not_a_manager(address: str, detail: str) -> Rejection:
    return Rejection(
        Code.INVALID_ARGUMENT,
        f"there is no swarm manager at {address}: {detail}; managers listen on port 2377 unless "
        "told otherwise",
    )
