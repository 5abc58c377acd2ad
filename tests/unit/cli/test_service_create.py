"""`swarmd service create`, from words typed to lines printed."""

from __future__ import annotations

import json

import pytest

from swarmd.model.states import TaskState
from tests.support.commands import SERVER, create, failing, spec_of


def test_create_waits_until_the_tasks_run(daemon):
    assert create(daemon, "web", "--replicas", "3").splitlines()[-1] == "web: 3/3 running  1.0 s"
    assert len(daemon.swarm.running(daemon.swarm.store.find_service_by_name("web").id)) == 3


def test_a_process_takes_the_whole_command_line_and_an_image_its_arguments(daemon):
    create(daemon)
    container = spec_of(daemon).task_template.container_spec
    assert (container.executor, container.command) == (
        "process",
        ("python3", "-m", "http.server"),
    )
    daemon.ok("service", "create", "--name", "img", "-d", "nginx:1.27", "nginx", "-g", "daemon off")
    container = spec_of(daemon, "img").task_template.container_spec
    assert (container.image, container.args) == ("nginx:1.27", ("nginx", "-g", "daemon off"))
    assert container.command == ()


def test_flags_of_the_command_need_no_quoting(daemon):
    daemon.ok("service", "create", "--name", "a", "-d", "--process", "sleep", "--help", "-p", "80")
    assert spec_of(daemon, "a").task_template.container_spec.command == (
        "sleep", "--help", "-p", "80",
    )  # fmt: skip


def test_detached_creation_prints_the_id_only(daemon):
    assert create(daemon, "web", "-d") == "id1\n"


def test_a_service_without_a_name_is_called_after_what_it_runs(daemon):
    daemon.ok("service", "create", "-d", "registry.example.com/team/my_app:2@sha256:" + "0" * 64)
    (service,) = daemon.swarm.store.services()
    assert service.spec.name.startswith("my-app-")


def test_every_flag_of_creation_reaches_the_spec(daemon, tmp_path):
    variables = tmp_path / "env"
    variables.write_text("FROM_FILE=1\n")
    create(
        daemon,
        "web",
        *("-d", "--replicas", "2", "-e", "A=1", "--env-file", str(variables), "-l", "tier=front"),
        *("--container-label", "c=d", "-p", "8080:80", "--constraint", "node.hostname==n1"),
        *("--placement-pref", "spread=node.labels.rack", "--limit-cpu", "1.5"),
        *("--limit-memory", "64m", "--limit-pids", "9", "--reserve-cpu", "0.5"),
        *("--reserve-memory", "32m", "--restart-condition", "on-failure"),
        *("--restart-delay", "1s", "--restart-max-attempts", "3", "--restart-window", "1m"),
        *("--update-parallelism", "2", "--update-delay", "1s", "--update-monitor", "2s"),
        *("--update-failure-action", "rollback", "--update-max-failure-ratio", "0.25"),
        *("--update-order", "start-first", "--rollback-parallelism", "0"),
        *("--stop-grace-period", "5s", "--stop-signal", "SIGINT", "-u", "nobody", "-w", "/srv"),
        *("--hostname", "h-{{.Task.Slot}}", "--group", "adm", "--replicas-max-per-node", "4"),
        *("--log-driver", "json-file", "--log-opt", "max-size=1m"),
    )
    assert json.loads(daemon.ok("service", "inspect", "web"))[0]["Spec"] == {
        "Name": "web",
        "Labels": {"tier": "front"},
        "TaskTemplate": {
            "ContainerSpec": {
                "Labels": {"c": "d"},
                "Command": ["python3", "-m", "http.server"],
                "Hostname": "h-{{.Task.Slot}}",
                "Env": ["FROM_FILE=1", "A=1"],
                "Dir": "/srv",
                "User": "nobody",
                "Groups": ["adm"],
                "StopSignal": "SIGINT",
                "StopGracePeriod": 5_000_000_000,
                "Executor": "process",
            },
            "Resources": {
                "Limits": {"NanoCPUs": 1_500_000_000, "MemoryBytes": 64 << 20, "Pids": 9},
                "Reservations": {"NanoCPUs": 500_000_000, "MemoryBytes": 32 << 20},
            },
            "RestartPolicy": {
                "Condition": "on-failure",
                "Delay": 1_000_000_000,
                "MaxAttempts": 3,
                "Window": 60_000_000_000,
            },
            "Placement": {
                "Constraints": ["node.hostname==n1"],
                "Preferences": [{"Spread": {"SpreadDescriptor": "node.labels.rack"}}],
                "MaxReplicas": 4,
            },
            "LogDriver": {"Name": "json-file", "Options": {"max-size": "1m"}},
        },
        "Mode": {"Replicated": {"Replicas": 2}},
        "UpdateConfig": {
            "Parallelism": 2,
            "Delay": 1_000_000_000,
            "FailureAction": "rollback",
            "Monitor": 2_000_000_000,
            "MaxFailureRatio": 0.25,
            "Order": "start-first",
        },
        "RollbackConfig": {"MaxFailureRatio": 0.0},
        "EndpointSpec": {"Ports": [{"TargetPort": 80, "PublishedPort": 8080}]},
    }


@pytest.mark.parametrize(
    ("flags", "complaint"),
    [
        (("-p", "x"), "is not a port"),
        (("--limit-cpu", "half"), "number of CPUs"),
        (("--limit-memory", "1x"), "is not a size"),
        (("--restart-delay", "5"), "is not a duration"),
        (("--replicas", "-1"), "not in the range"),
        (("--update-max-failure-ratio", "2"), "not in the range"),
        (("--mode", "global", "--replicas", "2"), "runs once on every node and has no replicas"),
        (("--entrypoint", "x"), "--entrypoint belongs to an image"),
        (("-e", "=x"), "has no name"),
        (("-l", "=x"), "has no key"),
    ],
)
def test_malformed_flags_are_usage_errors(daemon, flags, complaint):
    assert complaint in failing(daemon, "service", "create", *flags, *SERVER, code=2)
    assert daemon.swarm.store.services() == ()


def test_what_the_manager_refuses_is_an_error_in_its_words(daemon):
    message = failing(daemon, "service", "create", "--name", "a b", *SERVER)
    assert message.startswith("Error: service name 'a b' is not valid: use letters")


def test_a_service_nobody_can_place_says_why_and_what_to_do(daemon):
    result = daemon.run(
        *("service", "create", "--name", "web", "--constraint", "node.hostname==n9"),
        *("--timeout", "500ms", *SERVER),
    )
    assert result.exit_code == 124
    assert "no suitable node (scheduling constraints not satisfied on 3 nodes)" in result.stderr
    assert "see `swarmd service ps web`" in result.stderr


def test_tasks_that_fail_for_good_end_the_wait_with_their_reason(daemon):
    daemon.swarm.fate = lambda task: TaskState.FAILED
    message = failing(
        daemon, "service", "create", "--name", "web", "--restart-condition", "none", *SERVER
    )
    assert message.startswith("Error: web: 0 of 1 tasks running: boom")
