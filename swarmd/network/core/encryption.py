"""What a node has to do for encrypted networks: which packets go by which mechanism, to whom.

Every mechanism carries the VXLAN packets of its networks between the nodes' data addresses, so that
overlays are made as if nothing was encrypted. A guard in the node's own namespace recognises the
packets by their VXLAN id: it leads them to the mechanism, and drops those that would leave, or have
come, in any other way. It is in force before an overlay is made, so a mechanism that fails ends the
traffic instead of showing it.

`docs/design/encryption.md` tells how keys come and go.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Mapping
from ipaddress import ip_address

from msgspec import Struct

from swarmd.model.ids import NodeId
from swarmd.model.network import Mechanism
from swarmd.model.network_keys import NetworkKey
from swarmd.network.core.overlay_plan import VXLAN_PORT
from swarmd.network.core.tables import IPV4, NetworkTable

RING = 3  # generations that are understood
_SECRET_BYTES = 20  # 16 of AES, 4 of salt: RFC 4106
_SPI_FIRST = 256  # those below are reserved
_PURPOSE = b"swarmd overlay esp 1"
_HASH_BYTES = hashlib.sha256().digest_size
_UDP = 17
_V4_HEADER, _V6_HEADER, _UDP_HEADER, _VXLAN_HEADER = 20, 40, 8, 8
_V4_BYTES, _V4_WITHOUT_OPTIONS = 4, 0x45
_PORT = VXLAN_PORT.to_bytes(2, "big")
_FRAGMENT = 0x3FFF  # more fragments, and the offset


class Guarded(Struct, frozen=True):
    """The VXLAN ids of encrypted networks, by what encrypts them."""

    ids: Mapping[Mechanism, tuple[int, ...]] = {}

    def of(self, mechanism: Mechanism) -> tuple[int, ...]:
        return self.ids.get(mechanism, ())


class Peer(Struct, frozen=True, order=True):
    """A node at the other end of a mechanism; `stream` is where it takes tunnels."""

    underlay: str
    node_id: NodeId
    stream: str = ""


class Association(Struct, frozen=True, order=True):
    """One direction between two nodes under one key, as IPsec knows it."""

    source: str
    target: str
    spi: int
    secret: bytes

    def __repr__(self) -> str:
        return f"Association({self.source} to {self.target}, spi={self.spi:#x}, secret hidden)"


class Ipsec(Struct, frozen=True):
    """What the kernel should hold: associations of all keys, and per peer the one to send with."""

    associations: frozenset[Association] = frozenset()
    sending: Mapping[str, Association] = {}  # by the peer's address


def guarded(tables: Iterable[NetworkTable]) -> Guarded:
    """What the guard has to know of these networks.

    Those encrypted in a way that nobody here knows are led to where nobody carries them.
    """
    ids: dict[Mechanism, set[int]] = {}
    for table in tables:
        if table.encrypted:
            numbers = (subnet.vxlan_id for subnet in table.subnets if subnet.vxlan_id)
            ids.setdefault(table.mechanism or Mechanism.TUNNEL, set()).update(numbers)
    return Guarded({mechanism: tuple(sorted(numbers)) for mechanism, numbers in ids.items()})


def peers_of(
    tables: Iterable[NetworkTable], mechanism: Mechanism, node_id: NodeId
) -> tuple[Peer, ...]:
    """The other nodes with which this one shares networks of a mechanism, and that are up."""
    found = {
        Peer(row.underlay, row.node_id, row.stream)
        for table in tables
        if table.mechanism is mechanism
        for row in table.peers.values()
        if row.node_id != node_id and row.underlay
    }
    return tuple(sorted(found))


def own_row(tables: Iterable[NetworkTable], mechanism: Mechanism, node_id: NodeId) -> Peer | None:
    """This node as its peers know it; None when it has no networks of the mechanism."""
    for table in tables:
        row = table.peers.get(node_id)
        if table.mechanism is mechanism and row is not None:
            return Peer(row.underlay, row.node_id, row.stream)
    return None


def newest_first(keys: Iterable[NetworkKey], subsystem: str) -> tuple[NetworkKey, ...]:
    """The keys of a subsystem that are understood."""
    mine = (key for key in keys if key.subsystem == subsystem)
    return tuple(sorted(mine, key=lambda key: key.lamport_time, reverse=True))[:RING]


def sending(keys: tuple[NetworkKey, ...]) -> NetworkKey | None:
    """The key to send with, of keys as `newest_first` gives them.

    It is the second newest: when it comes into use, every node has long had it as its newest.
    """
    return keys[min(1, len(keys) - 1)] if keys else None


def ipsec(own: str, peers: Iterable[Peer], keys: tuple[NetworkKey, ...]) -> Ipsec:
    """What IPsec needs between this node and its peers, of keys as `newest_first` gives them."""
    now = sending(keys)
    associations: set[Association] = set()
    used: dict[str, Association] = {}
    for peer in peers:
        if now is None or ip_address(peer.underlay).version != ip_address(own).version:
            continue
        for key in keys:
            associations.add(association(peer.underlay, own, key))
        used[peer.underlay] = association(own, peer.underlay, now)
        associations.add(used[peer.underlay])
    return Ipsec(frozenset(associations), used)


def association(source: str, target: str, key: NetworkKey) -> Association:
    """One direction between two nodes, the same on both of them.

    Each direction has a secret of its own, since two senders must never use one counter under the
    same key.
    """
    ends = ip_address(source).packed + ip_address(target).packed
    info = _PURPOSE + ends + key.lamport_time.to_bytes(8, "big")
    material = expand(key.key, info, _SECRET_BYTES + 4)
    spi = int.from_bytes(material[_SECRET_BYTES:], "big")
    return Association(source, target, max(spi, _SPI_FIRST), material[:_SECRET_BYTES])


def expand(secret: bytes, info: bytes, length: int) -> bytes:
    """HKDF (RFC 5869) with SHA-256 and no salt; `length` is within one block."""
    prk = hmac.digest(bytes(_HASH_BYTES), secret, "sha256")
    return hmac.digest(prk, info + b"\1", "sha256")[:length]


def vxlan_between(packet: bytes | memoryview, source: bytes, target: bytes) -> bytes | None:
    """The VXLAN id, as three bytes, of a whole packet between two addresses; None if it isn't one.

    Packets that come out of a tunnel have to be what their sender may send: nothing but VXLAN, from
    its own address to ours.
    """
    if len(source) == _V4_BYTES:
        start = _V4_HEADER
        is_ours = (
            len(packet) > start
            and packet[0] == _V4_WITHOUT_OPTIONS
            and packet[9] == _UDP
            and not int.from_bytes(packet[6:8], "big") & _FRAGMENT
            and packet[12:16] == source
            and packet[16:20] == target
        )
    else:
        start = _V6_HEADER
        is_ours = (
            len(packet) > start
            and packet[0] >> 4 == 6
            and packet[6] == _UDP
            and packet[8:24] == source
            and packet[24:40] == target
        )
    if not is_ours or len(packet) < start + _UDP_HEADER + _VXLAN_HEADER:
        return None
    if packet[start + 2 : start + 4] != _PORT:
        return None
    at = start + _UDP_HEADER + 4
    return bytes(packet[at : at + 3])


def target_of(packet: bytes) -> bytes:
    """The destination of an IP packet, as the kernel hands it over."""
    return packet[16:20] if packet[0] >> 4 == IPV4 else packet[24:40]
