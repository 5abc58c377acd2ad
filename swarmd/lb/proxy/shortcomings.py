"""What tasks go without on a node that balances by the proxy, in sentences that say what helps."""

from __future__ import annotations

from pathlib import Path

_LOWEST_PORT = Path("/proc/sys/net/ipv4/ip_unprivileged_port_start")
_STATUS = Path("/proc/self/status")
_EFFECTIVE = "CapEff:"
_NET_BIND_SERVICE = 1 << 10


def inside_shortcomings(lowest_port: int) -> tuple[str, ...]:
    """The same where it leads clients into a network that the kernel balances in."""
    return (
        "what tasks on networks send to the world goes by the daemon: TCP over IPv4, and questions "
        "for names",
        "tasks see an address of the node in place of a client's that comes by this node",
        *_ports(lowest_port),
    )


def shortcomings(lowest_port: int) -> tuple[str, ...]:
    """What there isn't.

    Args:
        lowest_port: the lowest that the daemon may listen on.
    """
    return (
        "tasks have no overlay networks, and with them no names and virtual addresses: services "
        "are reached by published ports alone",
        "tasks see an address of the node in place of the client's",
        *_ports(lowest_port),
    )


def _ports(lowest_port: int) -> tuple[str, ...]:
    always = ("SCTP can't be published",)
    if lowest_port <= 1:
        return always
    return (
        *always,
        f"ports below {lowest_port} can't be published: lower net.ipv4.ip_unprivileged_port_start "
        "(sysctl), or give the daemon CAP_NET_BIND_SERVICE",
    )


def lowest_port() -> int:
    """The lowest port that this process may listen on; 0 where it may on all."""
    try:
        if _effective_capabilities(_STATUS.read_text()) & _NET_BIND_SERVICE:
            return 0
        return int(_LOWEST_PORT.read_text())
    except OSError:
        return (
            0  # a kernel that doesn't say has other ways to refuse, which the port's problem tells
        )


def _effective_capabilities(status: str) -> int:
    for line in status.splitlines():
        if line.startswith(_EFFECTIVE):
            return int(line.removeprefix(_EFFECTIVE), 16)
    return 0
