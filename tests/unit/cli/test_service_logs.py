"""`swarmd service logs`, from words typed to lines printed."""

from __future__ import annotations

import pytest

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
