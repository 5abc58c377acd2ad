"""What a handler gets to know about a call, whatever transport it came by."""

from __future__ import annotations

from typing import Protocol

import msgspec

from swarmd.model.instant import Instant
from swarmd.rpc.identity import Identity
from swarmd.rpc.metadata import EMPTY, Metadata


class Peer(msgspec.Struct, frozen=True):
    """The originator of a call.

    `local` callers came by the daemon's own socket and are trusted. For a `forwarded` call this is
    the node the call came from, as the forwarding manager vouches; `via` is that manager's id, and
    `line` its name for the connection the call came by, if it watches that.
    """

    identity: Identity | None = None
    address: str = ""
    local: bool = False
    forwarded: bool = False
    via: str = ""
    line: str = ""


class Line(Protocol):
    """The way between this daemon and a caller, as far as it tells that the caller is there."""

    def heard_at(self) -> Instant | None:
        """When the peer's machine last gave a sign of life, on the monotonic clock.

        None when that can't be told. It goes on for as long as the machine and the network do,
        whatever has become of the peer's process.
        """
        ...


class Call:
    """One call under way. Handlers may be run without a server: make one and pass it.

    `deadline_ns` is an instant of the monotonic clock; None when the caller waits for ever. A
    handler is cancelled when it passes, or when the caller goes away; `cancelled` says so to
    clean-up code. `trailers` are sent with the status. `line` tells of the caller's machine; None
    for a local call, one forwarded by a manager that doesn't watch the caller for this one, and
    where the kernel doesn't watch connections.
    """

    __slots__ = ("cancelled", "deadline_ns", "line", "metadata", "method", "peer", "trailers")

    def __init__(
        self,
        peer: Peer,
        method: str,
        metadata: Metadata = EMPTY,
        deadline_ns: int | None = None,
        line: Line | None = None,
    ) -> None:
        self.peer = peer
        self.method = method
        self.metadata = metadata
        self.deadline_ns = deadline_ns
        self.line = line
        self.cancelled = False
        self.trailers: list[tuple[str, str]] = []

    def set_trailer(self, key: str, value: str) -> None:
        """Send `key: value` along with the status, whichever it turns out to be."""
        self.trailers.append((key, value))

    @property
    def node_id(self) -> str:
        """The id of the calling node; empty without a certificate and on the local socket."""
        identity = self.peer.identity
        return identity.node_id if identity is not None else ""
