"""`swarmd service update`, `scale`, `rollback` and `rm`, from words typed to lines printed."""

from __future__ import annotations

import pytest

from swarmd.model.states import TaskState
from tests.support.commands import create, failing, spec_of


def test_scale_changes_several_services_and_waits_for_all(daemon):
    create(daemon, "web")
    create(daemon, "api")
    lines = daemon.ok("service", "scale", "web=4", "api=0").splitlines()
    assert any(line.startswith("web: 4/4 running  ") for line in lines)
    assert any(line.startswith("api: 0/0 running  ") for line in lines)
    assert spec_of(daemon, "web").mode.replicated.replicas == 4


def test_scale_wants_a_number(daemon):
    assert "'web' is not SERVICE=REPLICAS" in failing(daemon, "service", "scale", "web", code=2)


def test_a_global_service_cannot_be_scaled(daemon):
    assert "g: 3/3 running" in create(daemon, "g", "--mode", "global")
    assert "the service is global" in failing(daemon, "service", "scale", "g=2")


def test_update_changes_what_it_is_told_and_waits_for_the_update(daemon):
    create(daemon, "web", "--replicas", "2", "-e", "A=1", "-p", "8080:80")
    out = daemon.ok(
        *("service", "update", "--env-add", "B=2", "--env-rm", "A", "--publish-rm", "80"),
        *("--publish-add", "8081:80", "--label-add", "x=y", "--update-monitor", "1s", "web"),
    )
    assert out.splitlines()[-1].startswith("web: 2/2 running  ")
    spec = spec_of(daemon)
    assert spec.task_template.container_spec.env == ("B=2",)
    assert [port.published_port for port in spec.endpoint_spec.ports] == [8081]
    service = daemon.swarm.store.find_service_by_name("web")
    assert all(task.spec == spec.task_template for task in daemon.swarm.running(service.id))


def test_words_behind_the_service_replace_its_command(daemon):
    create(daemon)
    daemon.ok("service", "update", "-d", "web", "--", "sleep", "1000")
    assert spec_of(daemon).task_template.container_spec.command == ("sleep", "1000")


def test_flags_behind_the_service_are_explained(daemon):
    create(daemon)
    message = failing(daemon, "service", "update", "web", "--force", code=2)
    assert "`swarmd service update --force web`" in message


def test_an_update_that_fails_says_that_it_was_rolled_back(daemon):
    create(daemon, "web", "--replicas", "2", "--update-failure-action", "rollback")
    daemon.swarm.fate = lambda task: (
        TaskState.FAILED if task.spec.container_spec.command == ("broken",) else None
    )
    message = failing(daemon, "service", "update", "web", "broken")
    assert "web: 2 of 2 tasks running: the update was rolled back" in message


def test_an_update_that_pauses_says_why(daemon):
    create(daemon, "web", "--replicas", "2")
    daemon.swarm.fate = lambda task: (
        TaskState.FAILED if task.spec.container_spec.command == ("broken",) else None
    )
    assert "update paused due to failure" in failing(daemon, "service", "update", "web", "broken")


@pytest.mark.parametrize("words", [("rollback", "web"), ("update", "--rollback", "web")])
def test_rollback_brings_the_previous_spec_back(daemon, words):
    create(daemon)
    daemon.ok("service", "update", "-d", "web", "other")
    daemon.ok("service", *words)
    assert spec_of(daemon).task_template.container_spec.command[0] == "python3"


def test_a_lost_race_is_run_again(daemon):
    create(daemon)
    act, races = daemon._act, iter(range(2))

    async def race() -> None:
        """The service changes between the command's read and its write."""
        await act()
        service = daemon.swarm.store.find_service_by_name("web")
        if next(races, None) == 1:
            daemon.swarm.update(service.id, service.spec)

    daemon.services["docker.swarmkit.v1.Control"]._env = daemon.services[
        "docker.swarmkit.v1.Control"
    ]._env._replace(read_barrier=race)
    daemon.ok("service", "update", "-d", "--label-add", "a=b", "web")
    assert spec_of(daemon).labels == {"a": "b"}


def test_removal_goes_on_after_a_failure(daemon):
    create(daemon, "web")
    create(daemon, "api")
    result = daemon.run("service", "rm", "web", "nobody", "api")
    assert result.exit_code == 1
    assert result.stdout == "web\napi\n"
    assert "no such service: nobody" in result.stderr
    assert daemon.swarm.store.services() == ()
