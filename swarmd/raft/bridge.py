"""Between the consensus core and the links: the core's transport, and the gate before the wire.

A message leaves when the records it vouches for are durable. Replies that promise something
and votes wait for everything recorded so far; a leader's entries wait only for its term, since
followers may well be faster with the sync than the leader itself. Order per peer is kept,
except that `Alive` and `KeepAlive` overtake: they promise nothing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from pysyncobj.node import Node
from pysyncobj.transport import Transport

from swarmd.raft.journal import Journal
from swarmd.raft.messages import (
    Append,
    AppendReply,
    PeerMessage,
    TimeoutNow,
    Vote,
    VoteReply,
    encode_frame,
)

Send = Callable[[str, bytes], None]


class Bridge(Transport):  # type: ignore[misc]
    """The transport object the core is built with; also the outbox of everything else.

    `answering` is the leader's round that replies made just now belong to.
    """

    def __init__(self, own_id: str, journal: Journal, send: Send) -> None:
        super().__init__(None, Node(own_id), [])
        self._journal, self._send = journal, send
        self._waiting: dict[str, deque[tuple[int, PeerMessage]]] = {}
        self._last_append: tuple[Append, bytes] | None = None
        self.answering = 0
        self.term: Callable[[], int] = lambda: 0

    # What the core calls.

    @property
    def ready(self) -> bool:
        """Always: links come and go by themselves."""
        return True

    def tryGetReady(self) -> None:
        """Nothing to prepare."""

    def addNode(self, node: Any) -> None:
        """Links follow the configuration, not the core."""

    def dropNode(self, node: Any) -> None:
        """Links follow the configuration, not the core."""

    def destroy(self) -> None:
        """Send nothing any more."""
        self._waiting.clear()

    def send(self, node: Any, message: dict[str, Any]) -> bool:
        """Translate one of the core's messages and send it when it may leave."""
        kind = message["type"]
        match kind:
            case "request_vote":
                last_index, last_term = message["last_log_index"], message["last_log_term"]
                self.post(node.id, Vote(message["term"], last_index, last_term))
            case "response_vote":
                self.post(node.id, VoteReply(message["term"]))
            case "timeout_now":
                self.post(node.id, TimeoutNow(message["term"]))
            case "next_node_idx":
                self.post(
                    node.id,
                    AppendReply(
                        self.term(),
                        message["next_node_idx"],
                        message["reset"],
                        message["success"],
                        self.answering,
                    ),
                )
            case _:
                raise AssertionError(f"the core must not send {kind}")
        return True

    # What this package calls.

    def post(self, raft_id: str, message: PeerMessage) -> None:
        """Send `message` as soon as what it promises is durable."""
        gate = self._gate(message)
        queue = self._waiting.get(raft_id)
        if not queue and gate <= self._journal.durable_lsn:
            self._send(raft_id, self._encode(message))
        else:
            self._waiting.setdefault(raft_id, deque()).append((gate, message))

    def post_now(self, raft_id: str, message: PeerMessage) -> None:
        """Send a message that promises nothing, ahead of those that wait."""
        self._send(raft_id, encode_frame(message))

    def flush(self) -> None:
        """Send what has become durable."""
        durable = self._journal.durable_lsn
        for raft_id, queue in list(self._waiting.items()):
            while queue and queue[0][0] <= durable:
                self._send(raft_id, self._encode(queue.popleft()[1]))
            if not queue:
                del self._waiting[raft_id]

    def forget(self, raft_id: str) -> None:
        """Drop what waits for a peer whose link is gone."""
        self._waiting.pop(raft_id, None)

    def _gate(self, message: PeerMessage) -> int:
        match message:
            case Vote() | VoteReply():
                return self._journal.lsn
            case AppendReply(success=True):
                return self._journal.lsn
            case _:
                return self._journal.hard_lsn

    def _encode(self, message: PeerMessage) -> bytes:
        if not isinstance(message, Append):
            return encode_frame(message)
        last = self._last_append
        if last is not None and _same(last[0], message):
            return last[1]
        frame = encode_frame(message)
        self._last_append = (message, frame) if message.entries else None
        return frame


def _same(one: Append, other: Append) -> bool:
    """Whether two appends carry the same bytes, without comparing entries.

    Within one round of one term the leader's log does not change, so place and count decide.
    """
    return (
        one.round == other.round
        and one.prev_index == other.prev_index
        and one.term == other.term
        and one.commit == other.commit
        and len(one.entries) == len(other.entries)
    )
