"""What a server does about peers that break the rules, by accident or on purpose."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swarmd.rpc.h2 import frames
from swarmd.rpc.h2.errors import ErrorCode
from swarmd.rpc.h2.events import (
    ConnectionFailed,
    HeadersReceived,
    MessageReceived,
    MessageRefused,
    PeerFinished,
    StreamLost,
)
from swarmd.rpc.h2.limits import Limits
from swarmd.rpc.h2.messages import enclose
from tests.support.h2_pair import REQUEST, ByHand, endpoint, parse

P, F, S, C = (
    ErrorCode.PROTOCOL_ERROR,
    ErrorCode.FLOW_CONTROL_ERROR,
    ErrorCode.FRAME_SIZE_ERROR,
    ErrorCode.COMPRESSION_ERROR,
)
CALM = ErrorCode.ENHANCE_YOUR_CALM
SECOND_NS = 1_000_000_000


def data(stream_id: int, payload: bytes, flags: int = 0) -> bytes:
    return frames.frame(frames.DATA, flags, stream_id, payload)


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        pytest.param(data(1, b"x"), P, id="DATA before HEADERS"),
        pytest.param(data(0, b"x"), P, id="DATA on stream 0"),
        pytest.param(frames.headers(0, REQUEST, end_stream=True), P, id="HEADERS on stream 0"),
        pytest.param(frames.headers(2, REQUEST, end_stream=True), P, id="an even stream"),
        pytest.param(frames.rst_stream(1, 8), P, id="RST of an idle stream"),
        pytest.param(frames.frame(frames.RST_STREAM, 0, 1, b"abc"), S, id="RST of wrong size"),
        pytest.param(frames.window_update(1, 5), P, id="WINDOW_UPDATE of an idle stream"),
        pytest.param(frames.window_update(0, 0), P, id="WINDOW_UPDATE of zero"),
        pytest.param(frames.window_update(0, 2**31 - 1), F, id="window overflow"),
        pytest.param(frames.frame(frames.WINDOW_UPDATE, 0, 0, b""), S, id="WINDOW_UPDATE size"),
        pytest.param(frames.frame(frames.PING, 0, 1, bytes(8)), P, id="PING on a stream"),
        pytest.param(frames.frame(frames.PING, 0, 0, bytes(7)), S, id="PING of wrong size"),
        pytest.param(frames.frame(frames.SETTINGS, 0, 1, b""), P, id="SETTINGS on a stream"),
        pytest.param(frames.frame(frames.SETTINGS, 0, 0, b"abc"), S, id="SETTINGS size"),
        pytest.param(frames.frame(frames.SETTINGS, 1, 0, bytes(6)), S, id="SETTINGS ACK body"),
        pytest.param(frames.settings({2: 2}), P, id="ENABLE_PUSH of 2"),
        pytest.param(frames.settings({4: 2**31}), F, id="initial window overflow"),
        pytest.param(frames.settings({5: 100}), P, id="frame size below the least"),
        pytest.param(frames.frame(frames.PUSH_PROMISE, 4, 1, bytes(4)), P, id="PUSH_PROMISE"),
        pytest.param(frames.frame(frames.GOAWAY, 0, 0, bytes(7)), S, id="GOAWAY cut short"),
        pytest.param(frames.frame(frames.GOAWAY, 0, 1, bytes(8)), P, id="GOAWAY on a stream"),
        pytest.param(frames.frame(frames.CONTINUATION, 4, 1, b""), P, id="stray CONTINUATION"),
        pytest.param(frames.frame(frames.HEADERS, 4, 1, b"\xff"), C, id="bad header block"),
        pytest.param(
            frames.frame(frames.HEADERS, 0, 1, b"") + frames.ping(bytes(8), ack=False),
            P,
            id="an interrupted header block",
        ),
        pytest.param(
            frames.frame(frames.HEADERS, 0, 1, b"") + frames.frame(frames.CONTINUATION, 4, 3, b""),
            P,
            id="CONTINUATION of another stream",
        ),
        pytest.param(
            frames.frame(frames.HEADERS, 0, 1, b"")
            + frames.frame(frames.CONTINUATION, 0, 1, b"") * 9,
            CALM,
            id="CONTINUATION without end",
        ),
        pytest.param(frames.frame(frames.HEADERS, 0x0C, 1, b"\x05ab"), P, id="padding too long"),
        pytest.param(frames.frame(frames.HEADERS, 0x24, 1, b"abc"), S, id="priority cut short"),
        pytest.param(struct.pack(">HBBBL", 0x40, 1, 0, 0, 1), S, id="a frame too large"),
        pytest.param(b"\x00\x00\x00" + b"\x01\x24" + bytes(4), P, id="empty HEADERS on stream 0"),
    ],
)
def test_a_violation_ends_the_connection_with_its_code(sent: bytes, code: ErrorCode) -> None:
    peer = ByHand()
    events = peer.send(sent)
    assert isinstance(events[-1], ConnectionFailed)
    assert events[-1].code == code
    kind, _, _, payload = parse(peer.sent)[-1]
    assert kind == frames.GOAWAY
    assert frames.word(payload, 4) == code
    assert peer.send(frames.ping(bytes(8), ack=False)) == []
    assert peer.sent == b""


@pytest.mark.parametrize(
    "start",
    [b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01", b"PRI * HTTP/2.0\r\n\r\nXX", b"\x00"],
)
def test_something_that_is_not_http2_is_refused_as_soon_as_it_shows(start: bytes) -> None:
    events = endpoint(client=False).receive(start, 0)
    assert isinstance(events[-1], ConnectionFailed)


def test_the_first_frame_must_be_settings() -> None:
    events = endpoint(client=False).receive(frames.PREFACE + frames.ping(bytes(8), ack=False), 0)
    assert isinstance(events[-1], ConnectionFailed)


def test_the_preface_may_come_byte_by_byte() -> None:
    server = endpoint(client=False)
    for byte in frames.PREFACE + frames.settings({}) + frames.headers(1, REQUEST, end_stream=True):
        events = server.receive(bytes([byte]), 0)
    assert [type(event) for event in events] == [HeadersReceived]


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        pytest.param(data(1, b"x"), ErrorCode.STREAM_CLOSED, id="DATA after the end"),
        pytest.param(
            frames.headers(1, REQUEST, end_stream=True),
            ErrorCode.STREAM_CLOSED,
            id="HEADERS after the end",
        ),
        pytest.param(frames.window_update(1, 0), P, id="WINDOW_UPDATE of zero"),
        pytest.param(frames.window_update(1, 2**31 - 1), F, id="window overflow"),
    ],
)
def test_a_violation_of_one_stream_leaves_the_others(sent: bytes, code: ErrorCode) -> None:
    peer = ByHand()
    peer.open(1, end_stream=True)
    peer.open(3)
    events = peer.send(sent)
    assert [type(event) for event in events] == [StreamLost]
    assert parse(peer.sent) == [(frames.RST_STREAM, 0, 1, struct.pack(">L", code))]
    events = peer.send(data(3, enclose(b"fine"), frames.FLAG_END_STREAM))
    assert events == [MessageReceived(3, b"fine"), PeerFinished(3)]


def test_a_request_cut_within_a_message_is_reset() -> None:
    peer = ByHand()
    peer.open()
    events = peer.send(data(1, enclose(b"abc")[:-1], frames.FLAG_END_STREAM))
    assert [type(event) for event in events] == [StreamLost]


def test_a_message_too_large_is_refused_and_what_follows_is_dropped() -> None:
    peer = ByHand(Limits(message_bytes=10))
    peer.open()
    events = peer.send(data(1, enclose(bytes(11))) + data(1, enclose(b"more")))
    assert [type(event) for event in events] == [MessageRefused]
    assert 1 in peer.server.streams


def test_padding_is_taken_off_and_counts_for_flow_control() -> None:
    peer = ByHand(Limits(stream_window_bytes=100))
    peer.open()
    message = enclose(b"abc")
    events = peer.send(data(1, b"\x20" + message + bytes(0x20), frames.FLAG_PADDED))
    assert events == [MessageReceived(1, b"abc")]
    assert peer.server.streams[1].recv_window == 100 - len(message) - 0x21


def test_more_data_than_the_window_allows_resets_the_stream() -> None:
    peer = ByHand(Limits(stream_window_bytes=10))
    peer.open()
    events = peer.send(data(1, bytes(11)))
    assert [type(event) for event in events] == [StreamLost]


def test_more_data_than_the_connection_allows_ends_it() -> None:
    limits = Limits(stream_window_bytes=1 << 20, connection_window_bytes=1 << 20)
    peer = ByHand(limits)
    peer.open()
    # The window is raised by a frame we send; a server that never sent it would not give credit.
    peer.server._inflow._window = 100  # type: ignore[attr-defined]
    events = peer.send(data(1, bytes(101)))
    assert isinstance(events[-1], ConnectionFailed)


def test_data_for_a_stream_that_is_gone_is_dropped_but_counted() -> None:
    peer = ByHand(Limits(connection_window_bytes=70_000))
    peer.open()
    peer.send(frames.rst_stream(1, 8))
    returned = 0
    for _ in range(10):
        assert peer.send(data(1, bytes(16_000))) == []
        for kind, _, stream_id, payload in parse(peer.sent):
            assert (kind, stream_id) == (frames.WINDOW_UPDATE, 0)
            returned += frames.word(payload)
    assert returned >= 100_000


def test_streams_above_the_limit_are_refused_unprocessed() -> None:
    peer = ByHand(Limits(streams=1))
    peer.open(1)
    assert peer.open(3) == []
    refused = struct.pack(">L", ErrorCode.REFUSED_STREAM)
    assert parse(peer.sent) == [(frames.RST_STREAM, 0, 3, refused)]


def test_resets_in_quick_succession_end_the_connection_and_slow_ones_do_not() -> None:
    limits = Limits(resets_burst=10, resets_per_second=1)
    slow, quick = ByHand(limits), ByHand(limits)
    for number in range(30):
        stream_id = 2 * number + 1
        slow.now_ns += SECOND_NS
        slow.open(stream_id)
        events = slow.send(frames.rst_stream(stream_id, 8))
        assert [type(event) for event in events] == [StreamLost]
    for number in range(10):
        quick.open(2 * number + 1)
        quick.send(frames.rst_stream(2 * number + 1, 8))
    quick.open(21)
    events = quick.send(frames.rst_stream(21, 8))
    assert isinstance(events[-1], ConnectionFailed)
    assert events[-1].code == CALM


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(frames.ping(bytes(8), ack=False), id="PING"),
        pytest.param(frames.settings({}), id="SETTINGS"),
        pytest.param(frames.frame(frames.PRIORITY, 0, 1, bytes(5)), id="PRIORITY"),
        pytest.param(data(1, b""), id="empty DATA"),
        pytest.param(frames.frame(frames.GOAWAY, 0, 0, bytes(8)), id="GOAWAY"),
    ],
)
def test_a_flood_of_frames_that_cost_nothing_ends_the_connection(sent: bytes) -> None:
    peer = ByHand(Limits(control_burst=20, control_per_second=1))
    peer.open()
    events = peer.send(sent * 30)
    assert isinstance(events[-1], ConnectionFailed)
    assert events[-1].code == CALM


def test_unknown_frames_and_settings_are_ignored() -> None:
    peer = ByHand()
    assert peer.send(frames.frame(0x42, 0xFF, 7, b"whatever")) == []
    assert peer.send(frames.settings({0x99: 5})) == []
    assert peer.open(end_stream=True)


FRAMES = st.builds(
    frames.frame,
    kind=st.integers(0, 11),
    flags=st.sampled_from([0, 1, 4, 5, 8, 0x0D, 0x20, 0x2D]),
    stream_id=st.integers(0, 7),
    payload=st.one_of(
        st.binary(max_size=40),
        st.just(REQUEST),
        st.binary(max_size=20).map(enclose),
        st.integers(0, 2**32 - 1).map(lambda n: struct.pack(">L", n)),
    ),
)


@settings(max_examples=300)
@given(sent=st.lists(FRAMES, max_size=20), client=st.booleans(), step=st.integers(1, 64))
def test_any_frames_in_any_pieces_lead_to_events_or_a_clean_end(
    sent: list[bytes], client: bool, step: int
) -> None:
    machine = endpoint(client=client, limits=Limits(message_bytes=50))
    if client:
        for _ in range(3):
            machine.open(REQUEST)
    start = b"" if client else frames.PREFACE
    stream = start + frames.settings({}) + b"".join(sent)
    whole = endpoint(client=client, limits=Limits(message_bytes=50))
    if client:
        for _ in range(3):
            whole.open(REQUEST)
    in_pieces = []
    for at in range(0, len(stream), step):
        in_pieces += machine.receive(stream[at : at + step], 0)
    # How the bytes are cut makes no difference.
    assert in_pieces == whole.receive(stream, 0)
    assert machine.take() == whole.take()
    failures = [event for event in in_pieces if isinstance(event, ConnectionFailed)]
    assert bool(failures) == machine.failed
    assert len(failures) <= 1


@given(sent=st.binary(max_size=400))
def test_any_bytes_after_the_greeting_are_survived(sent: bytes) -> None:
    peer = ByHand()
    peer.open()
    peer.send(sent)
