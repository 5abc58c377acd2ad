"""`swarmd events`: lines that say what, why and when; filters; beginnings and ends."""

from __future__ import annotations

import json

import pytest

from swarmd.cli import events as events_command
from swarmd.manager.watch_service import WatchService
from swarmd.model.errors import Code, Rejection
from swarmd.model.instant import SECOND
from tests.support.cluster import a_service_spec
from tests.support.commands import create, failing


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """The past comes at once here."""
    monkeypatch.setattr(events_command, "PAST_S", 0.05)


def lines(daemon, *words):
    return daemon.ok("events", "--since", "0", "--until", "0s", *words).splitlines()


def test_events_tell_what_happened_to_what_and_why(daemon):
    create(daemon, "web", "-d")
    daemon.ok("service", "scale", "web=2")
    found = lines(daemon, "--filter", "service=web,type=service")
    assert " service web (id1) created: created by a user" in found[0]
    assert any(" service web (id1) updated: updated by a user" in line for line in found)
    tasks = lines(daemon, "--filter", "service=web", "-f", "type=task")
    assert any("task web.1" in line and "created, assigned on node" in line for line in tasks)
    started = [line.split(": ")[0] for line in tasks if "task web.1" in line]
    assert any(line.endswith("is running") for line in started)


def test_events_go_on_behind_a_version(daemon):
    create(daemon, "web", "-d")
    daemon.ok("service", "scale", "web=2")
    everything = [json.loads(line) for line in lines(daemon, "--format", "json")]
    version = everything[0]["Version"]
    output = daemon.ok("events", "--since", str(version), "--until", "0s", "--format", "json")
    rest = [json.loads(line) for line in output.splitlines()]
    assert rest == [event for event in everything if event["Version"] > version]


def test_events_begin_at_a_time(daemon):
    create(daemon, "old", "-d")
    daemon.swarm.advance(3600 * 10**9)
    create(daemon, "new", "-d")
    output = daemon.ok("events", "--since", "10m", "--until", "0s", "-f", "type=service")
    assert "new" in output
    assert "old" not in output


@pytest.mark.parametrize(
    ("chosen", "seen", "hidden"),
    [
        ("type=node", " node n1 ", " service "),
        ("event=create,type=service", "created", "updated"),
        ("name=other", "service other", "service web"),
        ("label=tier=front", "service web", "service other"),
        ("node=n1", " on node n1", " on node n2"),
        ("type=service,type=node", " node n1 ", " task "),
    ],
)
def test_filters_choose(daemon, chosen, seen, hidden):
    create(daemon, "web", "-d", "-l", "tier=front", "--mode", "global")
    create(daemon, "other", "-d")
    daemon.ok("node", "update", "--availability", "pause", "n1")
    output = "\n".join(lines(daemon, "--filter", chosen))
    assert seen in output
    assert hidden not in output


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("--filter", "colour=red"), "is no filter of events"),
        (("--filter", "type=fish"), "no events of type 'fish'"),
        (("--since", "yesterday"), "is no time"),
    ],
)
def test_words_that_make_no_sense_are_usage_errors(daemon, words, complaint):
    assert complaint in failing(daemon, "events", *words, code=2)


class Breaking:
    """Watches that break after their second message, as often as there are reasons to."""

    def __init__(self, daemon, *reasons):
        present = daemon.services["docker.swarmkit.v1.Watch"]
        self._inner = present if isinstance(present, WatchService) else present._inner
        self._daemon = daemon
        self._reasons = list(reasons)
        self.requests = []

    async def Watch(self, call, request):
        self.requests.append(type(request).FromString(request.SerializeToString()))
        reason = self._reasons.pop(0) if self._reasons else None
        count = 0
        async for message in self._inner.Watch(call, request):
            yield message
            count += 1
            if reason is not None and count == 2:
                raise reason
            if reason is None and count == 1:  # something later than the end, to come to it
                self._daemon.swarm.now += SECOND
                self._daemon.swarm.create(a_service_spec(f"later{self._daemon.swarm.now}"))


@pytest.mark.parametrize("code", [Code.UNAVAILABLE, Code.RESOURCE_EXHAUSTED])
def test_events_go_on_where_they_were_when_the_manager_is_back(daemon, monkeypatch, code):
    monkeypatch.setattr(events_command, "PAST_S", 60.0)
    monkeypatch.setattr(events_command, "RETRY_S", 0.0)
    create(daemon, "web", "-d")
    everything = lines_until_now(daemon)
    watches = Breaking(daemon, *[Rejection(code, "the manager is gone")] * 2)
    daemon.services["docker.swarmkit.v1.Watch"] = watches
    result = daemon.run("events", "--since", "0", "--until", "0s")
    *before, ended_the_first = result.stdout.splitlines()
    assert before == everything
    assert " service later" in ended_the_first
    assert result.stderr.count("the manager is gone; trying again") == 2
    assert "connected again, from " in result.stderr
    positions = [request.resume_from.index for request in watches.requests]
    assert positions == sorted(set(positions))


def lines_until_now(daemon):
    """The events so far, told in one go."""
    daemon.services["docker.swarmkit.v1.Watch"] = Breaking(daemon)
    return daemon.ok("events", "--since", "0", "--until", "0s").splitlines()


def test_a_watch_that_is_refused_for_good_is_an_error(daemon):
    create(daemon, "web", "-d")
    gone = Rejection(Code.FAILED_PRECONDITION, "this node is not a swarm manager")
    daemon.services["docker.swarmkit.v1.Watch"] = Breaking(daemon, gone)
    assert "not a swarm manager" in failing(daemon, "events", "--since", "0")
