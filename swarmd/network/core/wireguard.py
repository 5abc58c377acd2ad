"""What WireGuard needs on a node: an interface for each key of the ring, and the peers of each.

An interface of WireGuard has one identity, and can only be addressed by it. So there is one for
every key that is understood, at a port of its own, and which of them packets go out by is a matter
of routing: keys are replaced without anybody waiting for anybody, as with IPsec. Identities are
derived from the ring, hence nodes need not tell each other theirs; what passes is under keys that
both ends make up anew every two minutes, so knowing the ring is of no help to who has recorded it.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from ipaddress import ip_address

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from msgspec import Struct

from swarmd.model.ids import NodeId
from swarmd.model.network_keys import NetworkKey
from swarmd.network.core.encryption import RING, Peer, expand, sending

_SECRET_BYTES = 32
_IDENTITY, _SHARED = b"swarmd overlay wireguard identity 1", b"swarmd overlay wireguard pair 1"
_IDENTITIES_MAX = 16_384  # that are remembered: 5,000 nodes


class Remote(Struct, frozen=True, order=True):
    """A peer of one interface: who it is, and where it takes packets."""

    public_key: bytes
    address: str  # its underlay's, the only one it may send from and is sent to
    port: int
    shared: bytes  # the secret of the pair

    def __repr__(self) -> str:
        return f"Remote({self.public_key.hex()[:8]} at {self.address}:{self.port}, secret hidden)"


class Interface(Struct, frozen=True):
    """An interface as it should be. `slot` is its place among those of a node."""

    slot: int
    private_key: bytes
    public_key: bytes
    port: int
    remotes: frozenset[Remote]

    def __repr__(self) -> str:
        return f"Interface({self.slot}, port={self.port}, {len(self.remotes)} remotes, key hidden)"


class Wireguard(Struct, frozen=True):
    """All interfaces of a node, and the slot of the one that packets go out by."""

    interfaces: tuple[Interface, ...] = ()
    sending: int | None = None


def wireguard(me: Peer, peers: Iterable[Peer], keys: tuple[NetworkKey, ...]) -> Wireguard:
    """What WireGuard needs between this node and its peers, of keys as `newest_first` gives them.

    Peers that don't say where they take packets, or are of another family, are left out: the guard
    lets nothing pass to them.
    """
    now = sending(keys)
    port = _port(me)
    if now is None or not port:
        return Wireguard()
    version = ip_address(me.underlay).version
    reached = [
        peer for peer in peers if _port(peer) and ip_address(peer.underlay).version == version
    ]
    if not reached:
        return Wireguard()
    # Should two keys have one slot, the one that is sent with has it, else the newer one.
    by_slot = {slot_of(key): key for key in (*reversed(keys), now)}
    return Wireguard(
        tuple(_interface(slot, key, me, reached) for slot, key in sorted(by_slot.items())),
        slot_of(now),
    )


def slot_of(key: NetworkKey) -> int:
    """The place of a key's interface, the same on all nodes, and another for the next two keys.

    Times of one subsystem's keys are one or two apart, as there are two subsystems.
    """
    return key.lamport_time % RING


def _interface(slot: int, key: NetworkKey, me: Peer, peers: Iterable[Peer]) -> Interface:
    private, public = _identity(key, me.node_id)
    return Interface(
        slot=slot,
        private_key=private,
        public_key=public,
        port=_port(me) + slot,
        remotes=frozenset(
            Remote(
                public_key=_identity(key, peer.node_id)[1],
                address=peer.underlay,
                port=_port(peer) + slot,
                shared=_shared(key, me.node_id, peer.node_id),
            )
            for peer in peers
        ),
    )


@lru_cache(maxsize=_IDENTITIES_MAX)
def _identity(key: NetworkKey, node_id: NodeId) -> tuple[bytes, bytes]:
    """The private and the public key of a node."""
    private = _derived(key, _IDENTITY, node_id)
    public = X25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()
    return private, public


def _shared(key: NetworkKey, *ends: NodeId) -> bytes:
    return _derived(key, _SHARED, *sorted(ends))


def _derived(key: NetworkKey, purpose: bytes, *names: str) -> bytes:
    # Ids have no zero bytes, so no two lists of names read alike.
    info = b"\0".join((purpose, *(name.encode() for name in names)))
    return expand(key.key, info + key.lamport_time.to_bytes(8, "big"), _SECRET_BYTES)


def _port(peer: Peer) -> int:
    """The first of the UDP ports of a node: they begin at the number of its remote port."""
    _, _, port = peer.stream.rpartition(":")
    return int(port) if port.isdecimal() else 0
