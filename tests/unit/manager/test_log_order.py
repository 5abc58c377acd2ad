"""Lines of several nodes in the order of their times."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmd.manager.log_order import (
    PATIENCE_NS,
    WAITING_BYTES_MAX,
    WINDOW_NS,
    Batch,
    Bulk,
    Messages,
    Order,
)
from swarmd.model.ids import NodeId
from swarmd.rpc.pb import logbroker as pb
from swarmd.rpc.pb.swarmd.v1.logs_pb2 import LogBulk

A, B, C = NodeId("a"), NodeId("b"), NodeId("c")


def bulk(*times: int, text: bytes = b"x") -> Bulk:
    return bulk_of(b"".join(b"%019d o %s\n" % (time, text) for time in times))


def bulk_of(lines: bytes) -> Bulk:
    return Bulk(LogBulk(lines=lines), lines)


def messages(*times: int) -> Messages:
    said = []
    for time in times:
        message = pb.LogMessage(data=b"x")
        message.timestamp.seconds, message.timestamp.nanos = divmod(time, 10**9)
        said.append(message)
    return Messages(said)


def times_of(batch: Batch) -> list[int]:
    if isinstance(batch, Messages):
        return [one.timestamp.seconds * 10**9 + one.timestamp.nanos for one in batch.messages]
    assert isinstance(batch, Bulk)
    return [int(line[:19]) for line in batch.message.lines.splitlines()]


def taken(order: Order, now: int) -> list[int]:
    found = []
    while (batch := order.take(now)) is not None:
        found += times_of(batch)
    return found


PARTS = st.lists(st.lists(st.integers(1, 30), min_size=1, max_size=5), max_size=4)


@given(st.dictionaries(st.sampled_from((A, B, C)), PARTS), st.sampled_from((bulk, messages)))
def test_what_all_nodes_have_sent_comes_in_order(sent, make) -> None:
    order = Order(follow=False)
    everything = []
    for node_id, parts in sent.items():
        order.opened(node_id, 0)
        said = sorted(time for part in parts for time in part)
        everything += said
        for part in parts:
            order.add(node_id, make(*said[: len(part)]), 0)
            del said[: len(part)]
    for node_id in sent:
        order.closed(node_id)
    assert taken(order, 0) == sorted(everything)
    assert order.is_empty


def test_a_silent_node_holds_the_others_up_but_not_for_ever() -> None:
    order = Order(follow=False)
    order.opened(A, 0)
    order.opened(B, 5)
    order.add(A, bulk(7), 6)
    assert order.take(6) is None
    assert order.due() == 5 + PATIENCE_NS
    assert taken(order, 5 + PATIENCE_NS) == [7]


def test_a_node_that_sends_no_more_holds_nobody_up() -> None:
    order = Order(follow=True)
    order.opened(A, 0)
    order.opened(B, 0)
    order.add(A, bulk(7), 0)
    order.closed(B)
    assert taken(order, 0) == [7]


def test_who_follows_waits_a_window_for_lines_that_are_earlier() -> None:
    order = Order(follow=True)
    for node_id in (A, B):
        order.opened(node_id, 0)
    now = 10 * WINDOW_NS  # both have been silent for long
    order.add(A, bulk(7), now)
    assert order.take(now) is None
    order.add(B, bulk(6), now + 1)
    assert taken(order, now + 1) == [6]
    assert taken(order, now + 1 + WINDOW_NS) == [7]


def test_lines_that_would_pile_up_do_not_wait() -> None:
    order = Order(follow=True)
    for node_id in (A, B):
        order.opened(node_id, 0)
    now = 10 * WINDOW_NS
    order.add(A, bulk(7, text=b"x" * WAITING_BYTES_MAX), now)
    assert order.is_full(A)
    assert taken(order, now) == [7]
    assert not order.is_full(A)


@pytest.mark.parametrize("make", [bulk, messages])
def test_a_batch_is_split_where_another_node_was_earlier(make) -> None:
    order = Order(follow=False)
    order.add(A, make(1, 5, 9), 0)
    order.add(B, make(4, 5), 0)
    batch = order.take(0)
    assert batch is not None
    assert times_of(batch) == [1]
    assert taken(order, 0) == [4, 5, 5, 9]


def test_times_that_cannot_be_read_lose_no_line() -> None:
    order = Order(follow=False)
    order.add(A, bulk_of(b"damage\n"), 0)
    order.add(B, bulk(3), 0)
    first, second = order.take(0), order.take(0)
    assert isinstance(first, Bulk)
    assert first.message.lines == b"damage\n"
    assert second is not None
