"""What members say to each other, and how it looks in bytes (pure).

A frame is a four-byte big-endian length and one msgpack array whose first element is the
message tag. msgspec checks every field while decoding, so nothing past this module meets a
message of the wrong shape. Log indexes inside `Append` are implied by `prev_index`.
"""

from __future__ import annotations

import struct
from typing import Any

import msgspec

from swarmd.raft.members import Member

LENGTH = struct.Struct(">I")
PROTOCOL_VERSION = 1


class Message(msgspec.Struct, frozen=True, array_like=True):
    """Base of everything sent between members."""


class Append(Message, frozen=True, tag=1):
    """Leader to follower: entries after `prev_index`, or a heartbeat when there are none."""

    term: int
    commit: int
    prev_index: int
    prev_term: int
    round: int
    entries: tuple[tuple[int, bytes], ...]


class AppendReply(Message, frozen=True, tag=2):
    """Follower to leader. `success` promises that everything before `next_index` is durable."""

    term: int
    next_index: int
    reset: bool
    success: bool
    round: int


class Vote(Message, frozen=True, tag=3):
    """Candidate to all: elect me in `term`."""

    term: int
    last_index: int
    last_term: int


class VoteReply(Message, frozen=True, tag=4):
    """The sender's one vote of `term`."""

    term: int


class PreVote(Message, frozen=True, tag=5):
    """Would you elect me in `term`? Asking costs no term."""

    term: int
    last_index: int
    last_term: int


class PreVoteReply(Message, frozen=True, tag=6):
    """Yes, to the question of the same `term`."""

    term: int


class HigherTerm(Message, frozen=True, tag=7):
    """The receiver is behind: the sender knows a later term."""

    term: int


class TimeoutNow(Message, frozen=True, tag=8):
    """Leader to its successor: campaign at once."""

    term: int


class SnapshotOffer(Message, frozen=True, tag=9):
    """Leader to a follower too far behind: fetch the snapshot of `index` from me."""

    term: int
    index: int
    index_term: int
    round: int


class Alive(Message, frozen=True, tag=10):
    """Follower to leader: heard you, nothing durable to report yet."""

    term: int
    round: int


class KeepAlive(Message, frozen=True, tag=11):
    """Leader to a follower that is fetching a snapshot: still leading."""

    term: int
    round: int


PeerMessage = (
    Append
    | AppendReply
    | Vote
    | VoteReply
    | PreVote
    | PreVoteReply
    | HigherTerm
    | TimeoutNow
    | SnapshotOffer
    | Alive
    | KeepAlive
)


class Hello(Message, frozen=True, tag=20):
    """First frame of a connection: who speaks, to whom, and where it can be dialled."""

    version: int
    sender: Member
    receiver: str
    purpose: str


class Welcome(Message, frozen=True, tag=21):
    """The hello was accepted."""


class Goodbye(Message, frozen=True, tag=22):
    """The hello was refused, or the connection ends; `code` is one of the constants below."""

    code: str
    text: str


class FetchSnapshot(Message, frozen=True, tag=23):
    """On a connection for snapshots: send the snapshot of `index` or a newer one."""

    index: int


class SnapshotHead(Message, frozen=True, tag=24):
    """Start of a snapshot stream: the encoded header."""

    header: bytes


class SnapshotChunk(Message, frozen=True, tag=25):
    """One piece of state; an empty piece ends the stream."""

    data: bytes


ControlMessage = Hello | Welcome | Goodbye | FetchSnapshot | SnapshotHead | SnapshotChunk

REMOVED = "removed"
REFUSED = "refused"
PEER = "peer"
SNAPSHOT = "snapshot"

_encoder = msgspec.msgpack.Encoder()
_peer_decoder: msgspec.msgpack.Decoder[Any] = msgspec.msgpack.Decoder(PeerMessage)
_control_decoder: msgspec.msgpack.Decoder[Any] = msgspec.msgpack.Decoder(ControlMessage)


class BadFrame(ValueError):
    """Bytes that are no message. The connection they came from is not worth keeping."""


def encode_frame(message: Message) -> bytes:
    """One message with its length in front."""
    body = _encoder.encode(message)
    return LENGTH.pack(len(body)) + body


def decode_peer(body: bytes | memoryview) -> PeerMessage:
    """The consensus message in a frame's body.

    Raises:
        BadFrame: the body is no such message.
    """
    try:
        message: PeerMessage = _peer_decoder.decode(body)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise BadFrame(f"not a raft message: {error}") from None
    return message


def decode_control(body: bytes | memoryview) -> ControlMessage:
    """The handshake or snapshot message in a frame's body.

    Raises:
        BadFrame: the body is no such message.
    """
    try:
        message: ControlMessage = _control_decoder.decode(body)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise BadFrame(f"not a raft control message: {error}") from None
    return message


class FrameReader:
    """Cuts a byte stream into frame bodies.

    Raises `BadFrame` as soon as a length exceeds `max_bytes`, before the body is collected.
    """

    def __init__(self, max_bytes: int) -> None:
        self._buffer = bytearray()
        self.max_bytes = max_bytes

    def feed(self, data: bytes) -> list[bytes]:
        """All frames completed by `data`, in order."""
        buffer = self._buffer
        buffer += data
        bodies: list[bytes] = []
        position, available = 0, len(buffer)
        while available - position >= 4:
            (length,) = LENGTH.unpack_from(buffer, position)
            if length > self.max_bytes:
                raise BadFrame(f"a frame of {length} bytes exceeds the limit of {self.max_bytes}")
            end = position + 4 + length
            if end > available:
                break
            bodies.append(bytes(buffer[position + 4 : end]))
            position = end
        if position:
            del buffer[:position]
        return bodies
