"""Limits and times of the userspace proxy, and where on this machine it listens."""

from __future__ import annotations

import resource

from msgspec import Struct, field

from swarmd.model.instant import MILLISECOND, SECOND

ALL_ADDRESSES = ("0.0.0.0", "::")
DESCRIPTORS_KEPT_BACK = 1024  # for everything else the daemon does
SESSIONS_LEAST = 64


class Place(Struct, frozen=True):
    """This node as the proxy sees it.

    `listen` is where published ports are answered: all addresses, or one when several nodes share
    a machine. `own` are the addresses by which other nodes reach this one; a target there that is
    one of our own listeners would lead a connection in a circle, so it is never dialled.
    """

    node_name: str
    listen: tuple[str, ...] = ALL_ADDRESSES
    own: frozenset[str] = frozenset()


def sessions_that_fit() -> int:
    """How many connections the limit on open files allows, two descriptors each."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return 1 << 20
    return max((soft - DESCRIPTORS_KEPT_BACK) // 2, SESSIONS_LEAST)


class ProxySettings(Struct, frozen=True):
    """What may be tuned; the defaults are what the daemon uses."""

    # Longer than a SYN retransmission on a busy network, short enough for a client not to notice.
    connect_timeout_ns: int = 1_200 * MILLISECOND
    # As conntrack's for a stream of UDP datagrams, roughly: long enough for a quiet game or VPN.
    udp_idle_ns: int = 90 * SECOND
    # Answers on their way back from a UDP target that has just left are still passed on.
    udp_linger_ns: int = 2 * SECOND
    bind_retry_ns: int = 1 * SECOND
    backlog: int = 4096
    # A vanished machine sends no reset: its connections are given up after this silence.
    dead_peer_ns: int = 30 * SECOND
    # Connections and UDP sessions together; as many as the limit on open files allows.
    sessions_max: int = field(default_factory=sessions_that_fit)
