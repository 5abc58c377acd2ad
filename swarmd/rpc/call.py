"""What a handler gets to know about a call, whatever transport it came by."""

from __future__ import annotations

import msgspec

from swarmd.rpc.identity import Identity
from swarmd.rpc.metadata import EMPTY, Metadata


class Peer(msgspec.Struct, frozen=True):
    """The originator of a call.

    `local` callers came by the daemon's own socket and are trusted. For a `forwarded` call this is
    the node the call came from, as the forwarding manager vouches; `via` is that manager's id.
    """

    identity: Identity | None = None
    address: str = ""
    local: bool = False
    forwarded: bool = False
    via: str = ""


class Call:
    """One call under way. Handlers may be run without a server: make one and pass it.

    `deadline_ns` is an instant of the monotonic clock; None when the caller waits for ever. A
    handler is cancelled when it passes, or when the caller goes away; `cancelled` says so to
    clean-up code. `trailers` are sent with the status.
    """

    __slots__ = ("cancelled", "deadline_ns", "metadata", "method", "peer", "trailers")

    def __init__(
        self,
        peer: Peer,
        method: str,
        metadata: Metadata = EMPTY,
        deadline_ns: int | None = None,
    ) -> None:
        self.peer = peer
        self.method = method
        self.metadata = metadata
        self.deadline_ns = deadline_ns
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
