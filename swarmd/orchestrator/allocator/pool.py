"""The addresses of one block: which are held, and which is given next.

Addresses are given in order, each the next after the last one given, wrapping at the end of the
block. One that was released comes after all that were not, and after those that were released
before it. So it rests for as long as the block allows before somebody else answers under it, and
what still leads to its former holder does no harm.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address, ip_network
from typing import NamedTuple

# So many are remembered in the order of their release; a block that has more free has room enough.
RESTING_MAX = 4096


class Holder(NamedTuple):
    """Who holds an address. `group` is what people are told: tasks are counted by service."""

    kind: str  # "gateway", "reserved", "service", "node", "task"
    id: str
    group: str = ""


def number_of(address: str) -> int:
    """An address, with or without a prefix length, as a number.

    Raises:
        ValueError: it is no address.
    """
    bare = address.partition("/")[0]
    if ":" in bare:
        return int(IPv6Address(bare))
    parts = bare.split(".")
    if len(parts) != 4 or not bare.isascii():
        raise ValueError(f"{address!r} is no address")
    # A tenth of what the library takes, as a new leader reads every address there is.
    return int.from_bytes(bytes(map(int, parts)), "big")


class AddressPool:
    """One block of addresses, IPv4 or IPv6.

    Only addresses in the range are given to those who don't care; any other in the block may be
    asked for by name. The block's own address, and its broadcast address, belong to nobody.
    """

    def __init__(self, subnet: str, range_: str = "") -> None:
        network = ip_network(subnet)
        narrowed = ip_network(range_) if range_ else network
        self.subnet = str(network)
        self.version = network.version
        self._prefix_length = network.prefixlen
        self._lowest = int(network.network_address) + 1
        self._highest = int(network.broadcast_address) - (1 if self.version == 4 else 0)
        self._first = max(self._lowest, int(narrowed.network_address))
        self._last = min(self._highest, int(narrowed.broadcast_address))
        self._held: dict[int, Holder] = {}
        self._held_in_range = 0
        self._resting: dict[int, None] = {}  # free ones of the range, the longest released first
        self._next = self._first
        self._latest = 0  # version of the record that `_next` was learnt from

    @property
    def size(self) -> int:
        """How many addresses there are to give."""
        return max(self._last - self._first + 1, 0)

    @property
    def free(self) -> int:
        return self.size - self._held_in_range

    def __contains__(self, number: int) -> bool:
        """Whether somebody may hold this address."""
        return self._lowest <= number <= self._highest

    def written(self, number: int) -> str:
        """An address in CIDR notation, with the length of the block's prefix."""
        address = IPv4Address(number) if self.version == 4 else IPv6Address(number)
        return f"{address}/{self._prefix_length}"

    def take(self, holder: Holder) -> int | None:
        """The next free address, held from now on; None when all are held."""
        if self.free <= 0:
            return None
        if self.free <= len(self._resting):
            number = next(iter(self._resting))
        else:
            number = self._next if self._first <= self._next <= self._last else self._first
            while number in self._held or number in self._resting:
                number = number + 1 if number < self._last else self._first
        self.hold(number, holder)
        self._next = number + 1
        return number

    def gives(self, number: int) -> bool:
        """Whether an address, once free, is given to those who don't care which."""
        return self._first <= number <= self._last

    def holder_of(self, number: int) -> Holder | None:
        return self._held.get(number)

    def hold(self, number: int, holder: Holder) -> Holder:
        """Have `holder` hold an address of this block; the answer is who holds it now.

        That is somebody else if it was held already.
        """
        present = self._held.get(number)
        if present is not None:
            return present
        self._held[number] = holder
        self._resting.pop(number, None)
        if self._first <= number <= self._last:
            self._held_in_range += 1
        return holder

    def release(self, number: int, holder: Holder) -> None:
        """Free an address; nothing happens unless `holder` holds it."""
        present = self._held.get(number)
        if present is not None and present[:2] == holder[:2]:
            del self._held[number]
            if self._first <= number <= self._last:
                self._held_in_range -= 1
                self._rest(number)

    def _rest(self, number: int) -> None:
        self._resting[number] = None
        if len(self._resting) > RESTING_MAX:
            del self._resting[next(iter(self._resting))]

    def go_on_after(self, number: int, version: int) -> None:
        """Give the addresses behind this one next, unless a later record holds another one."""
        if version >= self._latest:
            self._next, self._latest = number + 1, version

    def holders(self) -> Iterator[Holder]:
        return iter(self._held.values())
