"""Where a node is on the underlay, and where it has moved to when its address changes. Pure.

A node is found by its data address. An interface may be given another one while the node runs, by
DHCP as a rule; so the interface is remembered with the address, and followed from one to the next.
"""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_address

from msgspec import Struct


class Held(Struct, frozen=True):
    """An interface: the largest packet it takes, and its addresses."""

    mtu: int
    addresses: tuple[str, ...] = ()


class Seat(Struct, frozen=True):
    """The address of a node, and the interface that has it."""

    address: str
    interface: str
    mtu: int


def seat_of(address: str, interfaces: Mapping[str, Held]) -> Seat | None:
    """Where `address` is; None if no interface has it."""
    for name, held in interfaces.items():
        if address in held.addresses:
            return Seat(address, name, held.mtu)
    return None


def follow(seat: Seat, interfaces: Mapping[str, Held]) -> Seat | None:
    """Where a node is that was at `seat`; None while it is nowhere.

    It stays at its address for as long as any interface has it. Otherwise it moves to another one
    of the same interface, of the same family.
    """
    same = seat_of(seat.address, interfaces)
    held = interfaces.get(seat.interface)
    if same is not None or held is None:
        return same
    version = ip_address(seat.address).version
    for address in held.addresses:
        known = ip_address(address)
        if known.version == version and not known.is_loopback:
            return Seat(address, seat.interface, held.mtu)
    return None
