"""A client and a server machine talking to each other: what one sends, the other gets."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from swarmd.rpc.h2 import frames
from swarmd.rpc.h2.errors import ErrorCode
from swarmd.rpc.h2.events import (
    HeadersReceived,
    MessageReceived,
    PeerFinished,
    PeerLeaving,
    SendReady,
    StreamLost,
)
from swarmd.rpc.h2.limits import Limits
from tests.support.h2_pair import REQUEST, RESPONSE, TRAILERS, Pair, parse

SMALL = Limits(stream_window_bytes=300, connection_window_bytes=65_535, queued_bytes=200)
SIZES = st.lists(st.integers(0, 2_000), min_size=1, max_size=6)


def test_a_unary_call_takes_one_write_each_way() -> None:
    pair = Pair()
    stream = pair.client.request(REQUEST, b"ping")
    pair.exchange()
    assert [type(event) for event in pair.server_events] == [
        HeadersReceived,
        MessageReceived,
        PeerFinished,
    ]
    pair.server.respond(stream, RESPONSE, b"pong", TRAILERS)
    kinds = [kind for kind, _, _, _ in parse(pair.server.sender.out[0])]
    pair.exchange()
    assert kinds == [frames.HEADERS]
    assert [type(event) for event in pair.client_events] == [
        HeadersReceived,
        MessageReceived,
        HeadersReceived,
    ]
    assert not pair.client.streams
    assert not pair.server.streams


@settings(max_examples=60)
@given(requests=SIZES, responses=SIZES, step=st.integers(1, 400), calls=st.integers(1, 4))
def test_messages_of_any_size_pass_any_window_in_any_pieces(
    requests: list[int], responses: list[int], step: int, calls: int
) -> None:
    pair = Pair(client_limits=SMALL, server_limits=SMALL)

    def cut(data: bytes) -> list[bytes]:
        return [data[at : at + step] for at in range(0, len(data), step)]

    streams = [pair.client.open(REQUEST) for _ in range(calls)]
    for stream in streams:
        for number, size in enumerate(requests):
            pair.client.send_message(stream, bytes([number]) * size)
        pair.client.finish_request(stream)
    got: dict[int, list[bytes]] = {stream: [] for stream in streams}
    answered: dict[int, list[bytes]] = {stream: [] for stream in streams}
    finished: set[int] = set()
    for _ in range(2_000):
        pair.exchange(cut)
        busy = bool(pair.server_events or pair.client_events)
        for event in pair.server_events:
            if isinstance(event, MessageReceived):
                got[event.stream_id].append(event.message)
                pair.server.consumed(event.stream_id, event.message)
            elif isinstance(event, PeerFinished):
                pair.server.send_headers(event.stream_id, RESPONSE)
                for number, size in enumerate(responses):
                    pair.server.send_message(event.stream_id, bytes([number]) * size)
                pair.server.finish_response(event.stream_id, TRAILERS)
        for event in pair.client_events:
            if isinstance(event, MessageReceived):
                answered[event.stream_id].append(event.message)
                pair.client.consumed(event.stream_id, event.message)
            elif isinstance(event, HeadersReceived) and event.end_stream:
                finished.add(event.stream_id)
        pair.server_events, pair.client_events = [], []
        if not busy:
            break
    assert got == {s: [bytes([n]) * size for n, size in enumerate(requests)] for s in streams}
    assert answered == {s: [bytes([n]) * size for n, size in enumerate(responses)] for s in streams}
    assert finished == set(streams)
    assert not pair.server.streams
    assert not pair.client.streams


def test_no_more_is_sent_than_the_windows_allow() -> None:
    pair = Pair(client_limits=Limits(stream_window_bytes=100))
    stream = pair.client.open(REQUEST)
    pair.exchange()
    pair.server.send_headers(stream, RESPONSE)
    assert not pair.server.send_message(stream, bytes(1_000))
    sent = sum(len(p) for kind, _, _, p in parse(pair.server.take()) if kind == frames.DATA)
    assert sent == 100


def test_a_message_larger_than_a_frame_goes_out_at_once_when_the_window_is_open() -> None:
    pair = Pair()
    stream = pair.client.open(REQUEST)
    pair.exchange()
    assert pair.client.send_message(stream, bytes(60_000))
    data = [p for kind, _, _, p in parse(pair.client.take()) if kind == frames.DATA]
    assert [len(p) for p in data] == [16_384, 16_384, 16_384, 60_005 - 3 * 16_384]


def test_a_slow_handler_withholds_credit_and_a_quick_one_gives_it_back() -> None:
    limits = Limits(stream_window_bytes=1_000, queued_bytes=500)
    pair = Pair(server_limits=limits)
    stream = pair.client.open(REQUEST)
    pair.exchange()
    for _ in range(50):
        pair.client.send_message(stream, bytes(95))
    pair.exchange()
    taken = [e.message for e in pair.server_events if isinstance(e, MessageReceived)]
    # The window, and what was given back before the queue was full.
    assert len(taken) < 25
    pair.server_events.clear()
    while taken:
        for message in taken:
            pair.server.consumed(stream, message)
        pair.exchange()
        taken = [e.message for e in pair.server_events if isinstance(e, MessageReceived)]
        pair.server_events.clear()
    assert any(isinstance(event, SendReady) for event in pair.client_events)


def test_data_waits_while_the_socket_is_full() -> None:
    pair = Pair()
    stream = pair.client.open(REQUEST)
    pair.exchange()
    pair.client.hold()
    assert not pair.client.send_message(stream, b"later")
    pair.client.finish_request(stream)
    pair.exchange()
    assert not any(isinstance(event, MessageReceived) for event in pair.server_events)
    assert pair.client.release() == []
    pair.exchange()
    assert [type(event) for event in pair.server_events][-2:] == [MessageReceived, PeerFinished]


def test_streams_that_wait_take_turns() -> None:
    pair = Pair(client_limits=Limits(stream_window_bytes=1 << 20, connection_window_bytes=65_535))
    first, second = pair.client.open(REQUEST), pair.client.open(REQUEST)
    pair.exchange()
    for stream in (first, second):
        pair.server.send_headers(stream, RESPONSE)
    pair.server.hold()
    for stream in (first, second):
        pair.server.send_message(stream, bytes(200_000))
    pair.server.release()
    order = [s for kind, _, s, _ in parse(pair.server.take()) if kind == frames.DATA]
    assert order[:4] == [first, second, first, second]


def test_a_shrunken_initial_window_may_turn_negative_and_recovers() -> None:
    pair = Pair()
    stream = pair.client.open(REQUEST)
    pair.exchange()
    pair.client.send_message(stream, bytes(50_000))
    pair.exchange()
    pair.client.receive(frames.settings({frames.SETTING_INITIAL_WINDOW_SIZE: 10}), 0)
    assert pair.client.streams[stream].send_window < 0
    pair.client.take()
    assert not pair.client.send_message(stream, b"more")
    assert pair.client.take() == b""
    events = pair.client.receive(frames.window_update(stream, 100_000), 0)
    assert [type(event) for event in events] == [SendReady]
    assert [kind for kind, _, _, _ in parse(pair.client.take())] == [frames.DATA]


def test_an_answer_before_the_end_of_the_request_stops_the_client() -> None:
    pair = Pair()
    stream = pair.client.open(REQUEST)
    pair.exchange()
    pair.server.finish_response(stream, TRAILERS)
    pair.exchange()
    assert not pair.server.streams
    assert isinstance(pair.client_events[-2], HeadersReceived)
    assert pair.client_events[-1] == StreamLost(stream, 0, "reset by the peer", by_peer=True)


def test_a_reset_ends_the_stream_on_both_sides() -> None:
    pair = Pair()
    stream = pair.client.request(REQUEST, b"x")
    pair.exchange()
    pair.client.reset(stream, ErrorCode.CANCEL)
    pair.exchange()
    assert pair.server_events[-1] == StreamLost(
        stream, ErrorCode.CANCEL, "reset by the peer", by_peer=True
    )
    # The handler does not know yet, and goes on.
    pair.server.respond(stream, RESPONSE, b"late", TRAILERS)
    assert pair.server.take() == b""


def test_a_leaving_server_finishes_calls_and_refuses_new_ones() -> None:
    pair = Pair()
    stream = pair.client.request(REQUEST, b"x")
    pair.exchange()
    pair.server.leave(ErrorCode.NO_ERROR, "stopping")
    late = pair.client.request(REQUEST, b"y")
    pair.exchange()
    assert not pair.client.can_open()
    assert PeerLeaving(stream, 0, "stopping") in pair.client_events
    assert pair.client_events[-1] == StreamLost(
        late, ErrorCode.REFUSED_STREAM, "reset by the peer", by_peer=True
    )
    pair.server.respond(stream, RESPONSE, b"done", TRAILERS)
    pair.exchange()
    assert any(isinstance(event, MessageReceived) for event in pair.client_events)


def test_a_client_respects_the_streams_its_server_allows() -> None:
    pair = Pair(server_limits=Limits(streams=2))
    pair.exchange()
    assert pair.client.can_open()
    pair.client.open(REQUEST)
    pair.client.open(REQUEST)
    assert not pair.client.can_open()


def test_a_header_list_larger_than_a_frame_arrives() -> None:
    from swarmd.rpc.h2.hpack_encoder import encode

    pair = Pair(
        client_limits=Limits(header_list_bytes=64_000),
        server_limits=Limits(header_list_bytes=64_000),
    )
    pair.client.open(encode([(b"x-large", b"v" * 40_000)]))
    pair.exchange()
    assert pair.server_events == [HeadersReceived(1, ((b"x-large", b"v" * 40_000),), False)]


def test_a_ping_is_answered_with_its_own_bytes() -> None:
    pair = Pair()
    pair.exchange()
    pair.client.send_ping(b"12345678")
    pair.server.receive(pair.client.take(), 0)
    assert pair.server.take() == frames.ping(b"12345678", ack=True)
