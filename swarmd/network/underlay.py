"""The interface of this machine that carries encapsulated packets, and what fits through it."""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path

from swarmd.network.core.overlay_plan import Underlay
from swarmd.network.core.whereabouts import seat_of
from swarmd.network.local import survey


def find_underlay(address: str, *, node: Path | None = None) -> Underlay | str:
    """The underlay at an address of this machine, or a phrase saying why there can be none."""
    try:
        wanted = ip_address(address)
    except ValueError:
        return f"its data address {address!r} is no IP address"
    if wanted.is_loopback:
        return f"its data address {address} is reached from this machine alone"
    try:
        seat = seat_of(str(wanted), survey(node))
    except OSError as error:
        return f"the kernel does not tell of its interfaces: {error}"
    if seat is None:
        return f"its data address {address} is not an address of this machine"
    return Underlay(address=seat.address, mtu=seat.mtu)
