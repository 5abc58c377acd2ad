"""Who holds which address on which network, for one leader's term.

The book is rebuilt from the store after an election and follows every commit. What a pass hands
out is held at once, so that nobody else of the same pass gets it; when the commit shows that it
was not written after all, it is released again. Nothing is ever held twice, and nothing is held by
what the store doesn't hold (docs/design/allocator.md).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable
from typing import NamedTuple

from swarmd.model.ids import NetworkId
from swarmd.model.network import Network, has_addresses
from swarmd.orchestrator.allocator.pool import AddressPool, Holder, number_of
from swarmd.orchestrator.attaching import Exhausted

GROUPS_SHOWN_MAX = 4
LARGER = "make a network with a larger subnet"
LARGER_INGRESS = (
    "make the ingress network anew with a larger subnet while nothing is published (swarmd network "
    "rm ingress; swarmd network create --ingress --subnet 10.255.0.0/16 ingress)"
)


class Place(NamedTuple):
    """An address on a network, in CIDR notation."""

    network_id: NetworkId
    address: str


class _Space:
    """The blocks of one network."""

    def __init__(self, network: Network) -> None:
        self.name = network.spec.name
        self.ingress = network.spec.ingress
        self.ipam = network.ipam
        configs = network.ipam.configs if network.ipam else ()
        self.pools = tuple(AddressPool(config.subnet, config.range) for config in configs)
        for config, pool in zip(configs, self.pools, strict=True):
            if config.gateway:
                pool.hold(number_of(config.gateway), Holder("gateway", network.id))
            for name, address in sorted(config.reserved.items()):
                pool.hold(number_of(address), Holder("reserved", name))

    def pool_of(self, address: str) -> tuple[AddressPool, int] | None:
        """The block an address lies in, and the address as a number."""
        version = 6 if ":" in address else 4
        number = number_of(address)
        for pool in self.pools:
            if pool.version == version and number in pool:
                return pool, number
        return None


class AddressBook:
    """All networks with the addresses that are held on them.

    A holder may hold any number of addresses; `record` says what it holds from now on, and
    `allocate` adds to it.
    """

    def __init__(self) -> None:
        self._spaces: dict[NetworkId, _Space] = {}
        self._held: dict[tuple[str, str], list[tuple[NetworkId, AddressPool, int]]] = {}

    def put_network(self, network: Network) -> None:
        """Take over a network as it is; who held addresses in blocks it keeps goes on doing so."""
        present = self._spaces.get(network.id)
        if present is not None and present.ipam == network.ipam:
            present.name = network.spec.name
            return
        if has_addresses(network):
            self._spaces[network.id] = _Space(network)
        else:
            self._spaces.pop(network.id, None)

    def drop_network(self, network_id: NetworkId) -> None:
        self._spaces.pop(network_id, None)

    def has(self, network_id: str) -> bool:
        """Whether the network has addresses to give."""
        return network_id in self._spaces

    def allocate(
        self,
        network_id: NetworkId,
        holder: Holder,
        requested: Iterable[str] = (),
        *,
        leave: int = 0,
    ) -> tuple[str, ...]:
        """Addresses for `holder`, one per family of the network, held from now on.

        Args:
            requested: addresses to have instead, each for its family.
            leave: how many have to be free for others afterwards.

        Raises:
            Exhausted: none is free, or a requested one can't be had; nothing is held then.
        """
        space = self._spaces[network_id]
        if leave and self.free(network_id) <= leave:
            raise Exhausted(f"the last {leave} addresses of network {space.name} are kept")
        taken: list[tuple[NetworkId, AddressPool, int]] = []

        def keep(pool: AddressPool, number: int) -> None:
            taken.append((network_id, pool, number))

        try:
            for address in requested:
                keep(*_hold_requested(space, address, holder))
            missing = {pool.version for pool in space.pools}
            missing -= {pool.version for _, pool, _ in taken}
            for version in sorted(missing):
                keep(*_take(space, version, holder))
        except Exhausted:
            for _, pool, number in taken:
                pool.release(number, holder)
            raise
        self._held.setdefault(holder[:2], []).extend(taken)
        return tuple(pool.written(number) for _, pool, number in taken)

    def would_have(
        self, network_id: NetworkId, requested: Iterable[str], leaving: Collection[tuple[str, str]]
    ) -> bool:
        """Whether `allocate` would find addresses if some holders had released theirs.

        Args:
            leaving: kind and id of those holders.
        """
        space = self._spaces[network_id]
        missing = {pool.version for pool in space.pools}
        for address in requested:
            try:
                found = space.pool_of(address)
            except ValueError:
                return False
            holder = found[0].holder_of(found[1]) if found is not None else None
            if found is None or (holder is not None and holder[:2] not in leaving):
                return False
            missing.discard(found[0].version)
        missing -= {pool.version for pool in space.pools if pool.free > 0}
        missing -= {
            pool.version
            for holder_id in leaving
            for held_on, pool, number in self._held.get(holder_id, ())
            if held_on == network_id and pool.gives(number)
        }
        return not missing

    def record(self, holder: Holder, places: Iterable[Place]) -> None:
        """Have `holder` hold exactly these addresses, in place of what it held before.

        An address that somebody else holds stays theirs.
        """
        self.release(holder)
        held = []
        for place in places:
            space = self._spaces.get(place.network_id)
            found = space.pool_of(place.address) if space is not None else None
            if found is not None and found[0].hold(found[1], holder)[:2] == holder[:2]:
                held.append((place.network_id, *found))
        if held:
            self._held[holder[:2]] = held

    def restore(
        self, holder: Holder | None, network_id: NetworkId, address: str, version: int
    ) -> None:
        """Learn of an address from a record; what is behind the latest one comes next.

        Args:
            holder: None if the address is free again and only tells how far giving had come.
            version: of the record.
        """
        space = self._spaces.get(network_id)
        found = space.pool_of(address) if space is not None else None
        if found is None:
            return
        pool, number = found
        pool.go_on_after(number, version)
        if holder is not None and pool.hold(number, holder)[:2] == holder[:2]:
            self._held.setdefault(holder[:2], []).append((network_id, pool, number))

    def release(self, holder: Holder, *, network_id: NetworkId | None = None) -> None:
        """Free what `holder` holds, on one network or on all."""
        kept = []
        for place in self._held.pop(holder[:2], ()):
            if network_id is None or place[0] == network_id:
                place[1].release(place[2], holder)
            else:
                kept.append(place)
        if kept:
            self._held[holder[:2]] = kept

    def held_by(self, holder: Holder) -> tuple[Place, ...]:
        return tuple(
            Place(network_id, pool.written(number))
            for network_id, pool, number in self._held.get(holder[:2], ())
        )

    def holders(self) -> tuple[tuple[str, str], ...]:
        """Kind and id of everybody who holds something."""
        return tuple(self._held)

    def free(self, network_id: NetworkId) -> int:
        """How many addresses are left for those who take any; the scarcer family counts."""
        return self._scarcest(network_id, lambda pool: pool.free)

    def size(self, network_id: NetworkId) -> int:
        """How many addresses there are for those who take any; the scarcer family counts."""
        return self._scarcest(network_id, lambda pool: pool.size)

    def _scarcest(self, network_id: NetworkId, count: Callable[[AddressPool], int]) -> int:
        by_version: Counter[int] = Counter()
        for pool in self._spaces[network_id].pools:
            by_version[pool.version] += count(pool)
        return min(by_version.values(), default=0)


def _take(space: _Space, version: int, holder: Holder) -> tuple[AddressPool, int]:
    pools = [pool for pool in space.pools if pool.version == version]
    for pool in pools:
        number = pool.take(holder)
        if number is not None:
            return pool, number
    raise Exhausted(_all_taken(space, pools))


def _hold_requested(space: _Space, address: str, holder: Holder) -> tuple[AddressPool, int]:
    try:
        found = space.pool_of(address)
    except ValueError:
        raise Exhausted(f"{address!r}, asked for on network {space.name}, is no address") from None
    if found is None:
        blocks = ", ".join(pool.subnet for pool in space.pools)
        raise Exhausted(
            f"address {address} is not one of network {space.name} ({blocks}); ask for another"
        )
    pool, number = found
    present = pool.hold(number, holder)
    if present[:2] != holder[:2]:
        raise Exhausted(
            f"address {address} on network {space.name} is held by {_counted(present, 1)}; "
            "ask for another, or for none"
        )
    return pool, number


def _all_taken(space: _Space, pools: list[AddressPool]) -> str:
    """Who has them all, most greedy first."""
    groups: Counter[tuple[str, str]] = Counter()
    for pool in pools:
        groups.update((holder.kind, holder.group) for holder in pool.holders())
    ranked = sorted(groups.items(), key=lambda item: (-item[1], item[0]))
    words = [
        _counted(Holder(kind, "", group), count)
        for (kind, group), count in ranked[:GROUPS_SHOWN_MAX]
    ]
    rest = sum(count for _, count in ranked[GROUPS_SHOWN_MAX:])
    if rest:
        words.append(f"{rest} others")
    blocks = ", ".join(pool.subnet for pool in pools)
    size = sum(pool.size for pool in pools)
    return (
        f"network {space.name} has {size} addresses ({blocks}), all taken by {', '.join(words)}; "
        f"{LARGER_INGRESS if space.ingress else LARGER}, or scale something down"
    )


def _counted(holder: Holder, count: int) -> str:
    match holder.kind:
        case "gateway":
            return "its gateway"
        case "reserved":
            return f"{count} reserved"
        case "service":
            return f"{count} virtual address{'es' if count > 1 else ''} of services"
        case "node":
            return f"{count} node{'s' if count > 1 else ''}"
        case _:
            return f"{count} task{'s' if count > 1 else ''} of {holder.group or 'no service'}"
