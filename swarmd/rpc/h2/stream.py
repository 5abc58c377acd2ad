"""State of one stream."""

from __future__ import annotations

from collections import deque

from swarmd.rpc.h2.messages import Assembler


class Stream:
    """One call, as the connection sees it.

    Either side is open until it is closed; a stream with both sides closed is forgotten. `pending`
    holds what flow control has not let out yet, and `ending`, when set, the trailing HEADERS frame
    (or an empty DATA frame with END_STREAM) that must come after it.
    """

    __slots__ = (
        "assembler",
        "ending",
        "id",
        "local_closed",
        "pending",
        "pending_bytes",
        "queued_bytes",
        "recv_window",
        "refusing",
        "remote_closed",
        "send_window",
        "withheld",
    )

    def __init__(
        self, stream_id: int, *, send_window: int, recv_window: int, message_bytes_max: int
    ) -> None:
        self.id = stream_id
        self.send_window = send_window
        self.recv_window = recv_window
        self.assembler = Assembler(message_bytes_max)
        self.pending: deque[bytes | memoryview] | None = None
        self.pending_bytes = 0
        self.ending: bytes | None = None
        # Complete messages the shell has not consumed, and credit withheld because of them.
        self.queued_bytes = 0
        self.withheld = 0
        self.local_closed = False
        self.remote_closed = False
        # A message was refused: what still arrives is dropped.
        self.refusing = False
