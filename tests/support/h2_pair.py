"""Two protocol machines connected by memory, and a peer that writes frames by hand."""

from __future__ import annotations

from collections.abc import Callable

from swarmd.rpc.h2 import frames
from swarmd.rpc.h2.endpoint import Endpoint
from swarmd.rpc.h2.events import Event
from swarmd.rpc.h2.hpack_decoder import BlockCache
from swarmd.rpc.h2.hpack_encoder import encode
from swarmd.rpc.h2.limits import Limits

REQUEST = encode(
    [
        (b":method", b"POST"),
        (b":scheme", b"https"),
        (b":path", b"/test.Service/Method"),
        (b":authority", b"swarm-manager"),
        (b"te", b"trailers"),
        (b"content-type", b"application/grpc"),
    ]
)
RESPONSE = encode([(b":status", b"200"), (b"content-type", b"application/grpc")])
TRAILERS = encode([(b"grpc-status", b"0")])


def endpoint(*, client: bool, limits: Limits | None = None) -> Endpoint:
    return Endpoint(client=client, limits=limits or Limits(), cache=BlockCache())


class Pair:
    """A client and a server; `exchange` carries bytes until both have nothing more to say."""

    def __init__(self, client_limits: Limits | None = None, server_limits: Limits | None = None):
        self.client = endpoint(client=True, limits=client_limits)
        self.server = endpoint(client=False, limits=server_limits)
        self.client_events: list[Event] = []
        self.server_events: list[Event] = []

    def exchange(self, cut: Callable[[bytes], list[bytes]] = lambda data: [data]) -> None:
        while True:
            up, down = self.client.take(), self.server.take()
            if not up and not down:
                return
            for piece in cut(up) if up else []:
                self.server_events += self.server.receive(piece, 0)
            for piece in cut(down) if down else []:
                self.client_events += self.client.receive(piece, 0)


class ByHand:
    """A server that has been greeted, to be sent frames that no proper client would send."""

    def __init__(self, limits: Limits | None = None) -> None:
        self.server = endpoint(client=False, limits=limits)
        self.now_ns = 0
        self.sent = b""
        self.send(frames.PREFACE + frames.settings({}) + frames.SETTINGS_ACK)

    def send(self, data: bytes) -> list[Event]:
        events = self.server.receive(data, self.now_ns)
        self.sent = self.server.take()
        return events

    def open(self, stream_id: int = 1, *, end_stream: bool = False) -> list[Event]:
        return self.send(frames.headers(stream_id, REQUEST, end_stream=end_stream))


def parse(data: bytes) -> list[tuple[int, int, int, bytes]]:
    """Kind, flags, stream and payload of each frame."""
    found = []
    at = 0
    while at < len(data):
        high, low, kind, flags, stream_id = frames.HEAD.unpack_from(data, at)
        length = high << 8 | low
        found.append((kind, flags, stream_id, data[at + 9 : at + 9 + length]))
        at += 9 + length
    return found
