"""What the daemon and the process that carries its tunnels' packets say to each other.

Datagrams on a pair of unix sockets; `Device` and `Stream` come with a descriptor. When the daemon's
end is closed, its carrier ends.
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct, msgpack


class Order(Struct, frozen=True, tag=True):
    """From the daemon."""


class Carry(Order, frozen=True):
    """Whose packets to carry: VXLAN ids as three bytes, peers' addresses by node id, our own."""

    own: str
    ids: tuple[bytes, ...]
    peers: Mapping[str, str]


class Device(Order, frozen=True):
    """Packets come from, and go to, the interface of this descriptor from now on."""


class Stream(Order, frozen=True):
    """A connection to a node, on which nothing was said yet under these keys.

    Args:
        begins: whether this end has opened it.
    """

    number: int
    node_id: str
    send_key: bytes
    receive_key: bytes
    begins: bool

    def __repr__(self) -> str:
        return f"Stream({self.number} to {self.node_id}, keys hidden)"


class End(Order, frozen=True):
    """Close all streams to a node at once."""

    node_id: str


class Report(Struct, frozen=True, tag=True):
    """From the carrier."""


class Ready(Report, frozen=True):
    """Packets to the stream's node go by it from now on."""

    number: int


class Lost(Report, frozen=True):
    """A stream has ended; the reason is empty when both ends wanted it."""

    number: int
    reason: str


class Counted(Report, frozen=True):
    """How many packets were dropped, and refused, since it was said last."""

    dropped: int
    refused: int


MESSAGE_BYTES_MAX = 1 << 20
encode = msgpack.Encoder().encode
decode_order = msgpack.Decoder(Carry | Device | Stream | End).decode
decode_report = msgpack.Decoder(Ready | Lost | Counted).decode
