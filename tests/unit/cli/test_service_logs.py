"""`swarmd service logs`, from words typed to lines printed."""

from __future__ import annotations

import pytest

from swarmd.model.errors import Code, Rejection
from tests.support.commands import create, failing
from tests.support.daemon import a_line


def test_log_lines_name_their_task_and_keep_their_stream(daemon):
    create(daemon, "web", "--replicas", "2")
    one, two = sorted(daemon.swarm.store.tasks(), key=lambda task: task.slot)
    daemon.logs.messages = [a_line(one.id, "hello"), a_line(two.id, "trouble", stderr=True)]
    result = daemon.run("service", "logs", "web")
    assert result.stdout == f"web.1.{one.id[:12]}@{one.node_id} | hello\n"
    assert result.stderr == f"web.2.{two.id[:12]}@{two.node_id} | trouble\n"
    assert daemon.ok("service", "logs", "--raw", "-t", "web") == (
        "2023-11-14T22:13:20.000000000Z hello\n"
    )
    (service_id,) = daemon.logs.requests[0].selector.service_ids
    assert service_id == "id1"


def test_the_logs_of_one_task_are_asked_for_by_its_id(daemon):
    create(daemon)
    (task,) = daemon.swarm.store.tasks()
    daemon.ok("service", "logs", "--tail", "5", "-f", "--since", "10s", task.id[:10])
    request = daemon.logs.requests[0]
    assert list(request.selector.task_ids) == [task.id]
    assert (request.options.tail, request.options.follow) == (-6, True)
    assert request.options.since.seconds <= daemon.swarm.now // 10**9 - 10


@pytest.mark.parametrize("flags", [("--tail", "many"), ("--since", "yesterday")])
def test_malformed_log_options_are_usage_errors(daemon, flags):
    failing(daemon, "service", "logs", *flags, "web", code=2)


def test_logs_of_nothing_are_an_error(daemon):
    assert "no such service: nobody" in failing(daemon, "service", "logs", "nobody")


def in_bulk(*records):
    """Lines as nodes keep them: second, letter, text."""
    return b"".join(
        b"%019d %s %s\n" % (1_700_000_000 * 10**9 + second, letter, text)
        for second, letter, text in records
    )


def test_lines_in_bulk_are_shown_as_single_ones_are(daemon):
    create(daemon, "web", "--replicas", "2")
    one, two = sorted(daemon.swarm.store.tasks(), key=lambda task: task.slot)
    many = in_bulk(*[(0, b"o", b"x" * 50)] * 100)
    daemon.logs.bulk = [
        (one.id, many),
        (one.id, in_bulk((1, b"o", b"out"), (1, b"e", b"err"), (2, b"o", b"again"))),
        (two.id, in_bulk((3, b"O", b"half "), (3, b"o", b"a line"), (4, b"o", b""))),
    ]
    result = daemon.run("service", "logs", "web")
    name = f"web.1.{one.id[:12]}@{one.node_id} | "
    other = f"web.2.{two.id[:12]}@{two.node_id} | "
    assert result.stdout == (
        f"{name}{'x' * 50}\n" * 100 + f"{name}out\n{name}again\n{other}half a line\n{other}\n"
    )
    assert result.stderr == f"{name}err\n"
    raw = daemon.ok("task", "logs", "--raw", "--timestamps", "web.1").splitlines()
    assert raw[0] == f"2023-11-14T22:13:20.000000000Z {'x' * 50}"
    assert raw[100] == "2023-11-14T22:13:20.000000001Z out"
    details = daemon.ok("service", "logs", "--raw", "--details", "web").splitlines()
    assert details[0].startswith("com.docker.swarm.node.id=")
    assert f"com.docker.swarm.task.id={one.id} xxx" in details[0]


def test_what_is_missing_is_a_warning_among_the_lines(daemon):
    create(daemon, "web")
    daemon.logs.notices = ["node n9 is not available"]
    result = daemon.run("service", "logs", "--until", "2030-01-31", "web")
    assert result.stderr == "warning: node n9 is not available\n"
    assert daemon.logs.requests[0].options.until.seconds > 1_800_000_000


def test_a_follower_goes_on_after_a_break_and_tells_what_it_was_shown(daemon):
    create(daemon, "web")
    (task,) = daemon.swarm.store.tasks()
    daemon.logs.bulk = [(task.id, in_bulk((0, b"o", b"one"), (5, b"o", b"two"), (5, b"o", b"3")))]
    daemon.logs.breaks = [
        Rejection(Code.ABORTED, "the leader has changed"),
        Rejection(Code.UNAVAILABLE, "no leader"),
        Rejection(Code.NOT_FOUND, "service gone"),
    ]
    result = daemon.run("service", "logs", "--follow", "--raw", "--tail", "0", "web")
    assert result.stdout == "one\ntwo\n3\n" * 3
    assert result.stderr.splitlines()[:2] == [
        "warning: the leader has changed; trying again",
        "warning: no leader; trying again",
    ]
    assert "service gone" in result.stderr
    first, second, _ = (request.options for request in daemon.logs.requests)
    assert (first.tail, first.HasField("since")) == (-1, False)
    assert (second.tail, second.HasField("since")) == (0, True)  # from when it began
    (reached,) = second.reached
    assert (reached.node_id, reached.task_id, reached.lines) == ("n1", task.id, 2)
    assert reached.time == 1_700_000_000 * 10**9 + 5


def test_a_reading_that_breaks_off_fails(daemon):
    create(daemon, "web")
    daemon.logs.breaks = [Rejection(Code.ABORTED, "the leader has changed")]
    assert "the leader has changed" in failing(daemon, "service", "logs", "web")
