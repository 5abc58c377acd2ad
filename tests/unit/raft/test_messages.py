import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmd.raft import messages as m
from swarmd.raft.members import Member

ALL = [
    m.Append(3, 2, 1, 1, 7, ((2, b"x"), (3, b""))),
    m.AppendReply(3, 9, False, True, 7),
    m.Vote(4, 2, 1),
    m.VoteReply(4),
    m.PreVote(5, 2, 1),
    m.PreVoteReply(5),
    m.HigherTerm(6),
    m.TimeoutNow(6),
    m.SnapshotOffer(6, 100, 5, 8),
    m.Alive(6, 8),
    m.KeepAlive(6, 8),
]
CONTROL = [
    m.Hello(1, Member("a.0", "a", "a:1"), "b.0", m.PEER),
    m.Welcome(),
    m.Goodbye(m.REMOVED, "bye"),
    m.FetchSnapshot(5),
    m.SnapshotHead(b"head"),
    m.SnapshotChunk(b"chunk"),
]


@pytest.mark.parametrize("message", ALL, ids=lambda x: type(x).__name__)
def test_consensus_messages_survive_the_wire(message: m.PeerMessage) -> None:
    (body,) = m.FrameReader(1 << 20).feed(m.encode_frame(message))
    assert m.decode_peer(body) == message
    with pytest.raises(m.BadFrame):
        m.decode_control(body)


@pytest.mark.parametrize("message", CONTROL, ids=lambda x: type(x).__name__)
def test_control_messages_survive_the_wire(message: m.ControlMessage) -> None:
    (body,) = m.FrameReader(1 << 20).feed(m.encode_frame(message))
    assert m.decode_control(body) == message


@given(st.binary(max_size=200))
def test_garbage_is_refused_and_nothing_else(body: bytes) -> None:
    for decode in (m.decode_peer, m.decode_control):
        try:
            decode(body)
        except m.BadFrame:
            continue


@given(st.lists(st.integers(1, 40), max_size=30))
def test_frames_may_be_cut_anywhere(cuts: list[int]) -> None:
    stream = b"".join(m.encode_frame(message) for message in ALL)
    reader, got, position = m.FrameReader(1 << 20), [], 0
    for length in [*cuts, len(stream)]:
        got += reader.feed(stream[position : position + length])
        position += length
    assert [m.decode_peer(body) for body in got] == ALL


def test_an_oversized_frame_is_refused_before_its_body_arrives() -> None:
    with pytest.raises(m.BadFrame, match="exceeds the limit of 100"):
        m.FrameReader(100).feed((101).to_bytes(4, "big"))
