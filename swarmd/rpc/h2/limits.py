"""How much one peer may ask of a connection."""

from __future__ import annotations

import msgspec

KIB = 1024
MIB = 1024 * 1024


class Limits(msgspec.Struct, frozen=True):
    """Bounds of one connection; whoever exceeds one loses the call or the connection, never us.

    `message_bytes` bounds what is received, not what is sent. `stream_window_bytes` and
    `connection_window_bytes` are what we advertise. Rates are token buckets: a burst, refilled
    per second.
    """

    streams: int = 1_000
    message_bytes: int = 4 * MIB
    header_list_bytes: int = 16 * KIB
    frame_bytes: int = 16 * KIB
    continuations: int = 8
    stream_window_bytes: int = 256 * KIB
    connection_window_bytes: int = 4 * MIB
    # Complete messages of one stream that may wait for the handler before credit is withheld.
    queued_bytes: int = 256 * KIB
    resets_burst: int = 500
    resets_per_second: int = 100
    control_burst: int = 2_000
    control_per_second: int = 500


# A machine without a certificate makes three small calls in its life.
ANONYMOUS = Limits(
    streams=16,
    message_bytes=64 * KIB,
    stream_window_bytes=64 * KIB,
    connection_window_bytes=256 * KIB,
    resets_burst=32,
    resets_per_second=4,
    control_burst=200,
    control_per_second=50,
)
WORKER = Limits()
# One follower carries the calls of all its agents over one connection to the leader.
MANAGER = Limits(
    streams=100_000,
    connection_window_bytes=16 * MIB,
    resets_burst=50_000,
    resets_per_second=10_000,
    control_burst=20_000,
    control_per_second=5_000,
)
# The unix socket, and what a client accepts from the server it chose: list answers are large.
TRUSTED = Limits(
    streams=100_000,
    message_bytes=256 * MIB,
    stream_window_bytes=1 * MIB,
    connection_window_bytes=16 * MIB,
    resets_burst=50_000,
    resets_per_second=10_000,
    control_burst=20_000,
    control_per_second=5_000,
)


class Bucket:
    """A token bucket over injected time; `take` says whether one more event is within the rate."""

    __slots__ = ("_burst", "_latest_ns", "_per_second", "_tokens_nano")

    def __init__(self, *, burst: int, per_second: int) -> None:
        self._burst = burst
        self._per_second = per_second
        self._tokens_nano = burst * 1_000_000_000
        self._latest_ns = 0

    def take(self, now_ns: int) -> bool:
        elapsed = max(0, now_ns - self._latest_ns)
        self._latest_ns = now_ns
        full = self._burst * 1_000_000_000
        self._tokens_nano = min(full, self._tokens_nano + elapsed * self._per_second)
        if self._tokens_nano < 1_000_000_000:
            return False
        self._tokens_nano -= 1_000_000_000
        return True
