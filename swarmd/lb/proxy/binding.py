"""Opening the sockets of a published port, and saying what stands in the way when that fails."""

from __future__ import annotations

import errno
import socket

from swarmd.lb.core.plan import PortKey
from swarmd.model.states import Protocol

UDP_BUFFER_BYTES = 1 << 20
# Control messages that tell, and set, the local address of a datagram.
_PKTINFO = {
    socket.AF_INET: (socket.IPPROTO_IP, getattr(socket, "IP_PKTINFO", 8)),
    socket.AF_INET6: (socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO),
}
# What a machine without IPv6 (or with it switched off) answers to a request for all addresses.
_NO_SUCH_FAMILY = frozenset({errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL})


def family_of(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def open_port(key: PortKey, address: str) -> socket.socket | None:
    """A non-blocking socket bound to a published port, not listening yet.

    None when `address` stands for all addresses of a family this machine does not have.

    Raises:
        OSError: somebody else has the port, or it may not be bound by us.
    """
    family = family_of(address)
    stream = key.protocol is Protocol.TCP
    kind = socket.SOCK_STREAM if stream else socket.SOCK_DGRAM
    try:
        sock = socket.socket(family, kind | socket.SOCK_NONBLOCK)
    except OSError as error:
        if error.errno in _NO_SUCH_FAMILY:
            return None
        raise
    try:
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if stream:
            # Accepted sockets inherit these.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        else:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, UDP_BUFFER_BYTES)
            if is_wildcard(address):
                sock.setsockopt(*_PKTINFO[family], 1)
        sock.bind((address, key.port))
    except OSError as error:
        sock.close()
        if is_wildcard(address) and error.errno in _NO_SUCH_FAMILY:
            return None
        raise
    return sock


def is_wildcard(address: str) -> bool:
    return address in ("0.0.0.0", "::")


def explain(error: OSError, key: PortKey, *, address: str, node: str, holder: str) -> str:
    """One sentence about a port that can't be answered: who, what, and what to do next.

    `holder` names the program that has the port, or is empty when that is unknown.
    """
    where = f"port {key} on node {node}"
    match error.errno:
        case errno.EADDRINUSE:
            who = f"another program ({holder})" if holder else "another program"
            return f"{where} is taken by {who}; publish another port or stop it"
        case errno.EACCES | errno.EPERM:
            return (
                f"{where} needs privileges the daemon does not have; run it as root, publish a "
                "port from 1024 up, or lower net.ipv4.ip_unprivileged_port_start"
            )
        case errno.EADDRNOTAVAIL:
            return (
                f"{where} can't be answered at {address}, which is not an address of this "
                "machine; correct the node's advertised address"
            )
        case _:
            return f"{where} can't be answered at {address}: {error.strerror}"
