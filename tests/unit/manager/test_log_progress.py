"""Streams of lines that break off and continue."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from swarmd.manager.log_progress import OVERLAP_NS, Progress
from swarmd.model.instant import SECOND
from swarmd.rpc.pb import logbroker as pb
from swarmd.rpc.pb.swarmd.v1.logs_pb2 import LogBulk

Line = tuple[int, str, int]  # time, task, number
BASE = 10 * OVERLAP_NS


def bulk_of(lines: list[Line]) -> pb.PublishLogsMessage:
    request = pb.PublishLogsMessage()
    for time, task, number in lines:
        text = b"%019d o %d\n" % (time, number)
        if request.bulk and request.bulk[-1].task_id == task:
            request.bulk[-1].lines += text
        else:
            request.bulk.append(LogBulk(task_id=task, lines=text))
    return request


def messages_of(lines: list[Line]) -> pb.PublishLogsMessage:
    request = pb.PublishLogsMessage()
    for time, task, number in lines:
        message = request.messages.add(data=b"%d" % number)
        message.context.task_id = task
        message.timestamp.seconds, message.timestamp.nanos = divmod(time, SECOND)
    return request


def numbers_in(request: pb.PublishLogsMessage) -> list[int]:
    texts = [line for bulk in request.bulk for line in bulk.lines.splitlines()]
    return [int(text[22:]) for text in texts] + [int(one.data) for one in request.messages]


@given(
    st.lists(st.tuples(st.integers(0, 6), st.sampled_from("ab")), max_size=20),
    st.lists(st.integers(0, 20), max_size=4),
    st.integers(1, 5),
    st.sampled_from((bulk_of, messages_of)),
)
def test_nothing_is_lost_or_repeated_wherever_it_breaks_off(said, breaks, size, make) -> None:
    lines = [(BASE + time, task, number) for number, (time, task) in enumerate(sorted(said))]
    progress = Progress()
    seen: list[int] = []
    start = 0
    for stop in [*breaks, len(lines)]:
        for begin in range(start, max(stop, start), size):
            seen += numbers_in(progress.fresh(make(lines[begin : min(begin + size, stop)])))
        since = progress.resume()
        start = next((n for n, line in enumerate(lines) if line[0] >= (since or 0)), len(lines))
    assert seen == list(range(len(lines)))


def test_only_what_is_recent_is_asked_for_again() -> None:
    progress = Progress()
    assert progress.resume() is None
    progress.fresh(bulk_of([(BASE, "a", 1), (BASE + 5, "b", 2)]))
    assert progress.resume() == BASE + 5 - OVERLAP_NS
