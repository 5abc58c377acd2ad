"""`swarmd service history`, `diff`, `rollback --to`, `pause` and `resume`."""

from __future__ import annotations

import json

import pytest

from swarmd.cli.spec_diff import differences, lines, summary
from swarmd.model.instant import SECOND
from swarmd.model.spec import Placement
from swarmd.model.states import UpdateState
from tests.support.commands import create, failing, spec_of
from tests.support.specs import a_container, a_spec, a_task_spec, published


def running(**container):
    return a_spec(task_template=a_task_spec(container_spec=a_container(**container)))


def updated_twice(daemon) -> list[int]:
    """A service with three versions; their numbers, latest first."""
    create(daemon, "web", "--replicas", "2", "--update-monitor", "1s")
    daemon.ok("service", "scale", "web=3")
    daemon.ok("service", "update", "--env-add", "A=1", "web")
    rows = daemon.ok("service", "history", "--format", "json", "web").splitlines()
    return [json.loads(row)["Version"] for row in rows]


def test_the_history_says_what_each_version_changed_and_when_it_was_replaced(daemon):
    numbers = updated_twice(daemon)
    rows = daemon.ok("service", "history", "web").splitlines()
    assert rows[0].split() == ["VERSION", "REPLACED", "CHANGED"]
    assert rows[1].split(maxsplit=2)[:2] == [str(numbers[0]), "present"]
    assert rows[1].endswith("Env none -> A=1")
    assert rows[2].endswith("Replicas 2 -> 3")
    assert "ago" in rows[3]


def test_a_diff_compares_any_two_versions(daemon):
    numbers = updated_twice(daemon)
    assert daemon.ok("service", "diff", "web") == "+ TaskTemplate.ContainerSpec.Env: A=1\n"
    oldest = str(numbers[-1])
    expected = [
        "+ TaskTemplate.ContainerSpec.Env: A=1",
        "- Mode.Replicated.Replicas: 2",
        "+ Mode.Replicated.Replicas: 3",
    ]
    assert daemon.ok("service", "diff", "web", oldest).splitlines() == expected
    back = daemon.ok("service", "diff", "web", "current", oldest).splitlines()
    assert back[0] == "- TaskTemplate.ContainerSpec.Env: A=1"
    message = failing(daemon, "service", "diff", "web", "999")
    assert f"web has no version 999; it has {numbers[0]}, {numbers[1]}" in message


def test_a_rollback_goes_to_any_version_and_shows_what_changes(daemon):
    numbers = updated_twice(daemon)
    out = daemon.ok("service", "rollback", "--to", str(numbers[-1]), "web").splitlines()
    assert out[0] == "- TaskTemplate.ContainerSpec.Env: A=1"
    assert out[-1].startswith("web: 2/2 running")
    assert spec_of(daemon).mode.replicated.replicas == 2
    assert daemon.ok("service", "diff", "web").splitlines()[0].startswith("- TaskTemplate")


def test_a_service_that_was_never_updated_has_nothing_to_go_back_to(daemon):
    create(daemon)
    assert "no previous spec" in failing(daemon, "service", "rollback", "web")
    assert "had no other spec" in failing(daemon, "service", "diff", "web")


def test_an_update_is_paused_and_goes_on_when_told_to(daemon):
    create(daemon, "web", "--replicas", "3", "--update-delay", "30s", "--update-monitor", "1s")
    daemon.ok("service", "update", "--detach", "--env-add", "A=1", "web")
    assert daemon.ok("service", "pause", "web") == "The update of web is paused.\n"
    service = daemon.swarm.store.find_service_by_name("web")
    daemon.swarm.advance(600 * SECOND)
    assert daemon.swarm.status(service.id) is UpdateState.PAUSED
    fresh = [t for t in daemon.swarm.running(service.id) if t.spec == service.spec.task_template]
    assert len(fresh) == 1
    out = daemon.ok("service", "resume", "web").splitlines()
    assert out[-1].startswith("web: 3/3 running")
    assert "no paused update" in failing(daemon, "service", "resume", "web")
    assert "no update under way" in failing(daemon, "service", "pause", "web")


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        pytest.param(a_spec(), [], id="nothing"),
        pytest.param(a_spec(labels={"a": "b"}), ["+ Labels.a: b"], id="a label"),
        pytest.param(
            running(env=("A=1", "B=2")),
            ["+ TaskTemplate.ContainerSpec.Env: A=1", "+ TaskTemplate.ContainerSpec.Env: B=2"],
            id="items of a list",
        ),
        pytest.param(
            a_spec(
                task_template=a_task_spec(container_spec=a_container(command=("1000", "sleep")))
            ),
            [
                '- TaskTemplate.ContainerSpec.Command: ["sleep", "1000"]',
                '+ TaskTemplate.ContainerSpec.Command: ["1000", "sleep"]',
            ],
            id="an order",
        ),
        pytest.param(
            a_spec(task_template=a_task_spec(placement=Placement(max_replicas=2))),
            ["+ TaskTemplate.Placement.MaxReplicas: 2"],
            id="a part that was absent",
        ),
        pytest.param(
            a_spec(endpoint_spec=published(80)),
            ['+ EndpointSpec.Ports: {"TargetPort": 80, "PublishedPort": 80}'],
            id="a port",
        ),
    ],
)
def test_differences_are_named_as_inspect_names_them(after, expected):
    found = differences(a_spec(), after)
    assert lines(found) == expected
    assert (summary(found) == "nothing") == (not expected)


def test_a_summary_names_the_first_differences_and_counts_the_others():
    found = differences(a_spec(), a_spec(labels=dict.fromkeys("abcde", "1")))
    assert summary(found) == "a none -> 1, b none -> 1, c none -> 1, 2 more"
