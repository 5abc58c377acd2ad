"""`swarmd service update`, `scale`, `rollback` and `rm`, from words typed to lines printed."""

from __future__ import annotations

import json
from typing import Any

import pytest
from click import Option

from swarmd.cli import container_options
from swarmd.cli.service_write import update
from swarmd.model.instant import SECOND
from swarmd.model.spec import ServiceSpec
from swarmd.model.states import (
    Balance,
    FailureAction,
    ResolutionMode,
    Strategy,
    TaskState,
    UpdateOrder,
)
from tests.support.commands import SERVER, create, failing, names_of, spec_of


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


# What every flag of `service update` is given, and what the spec holds after it.
EVERY_FLAG = {
    "--priority": ("-3", lambda s: s.task_template.priority, -3),
    "--min-available": ("2", lambda s: s.min_available, 2),
    "--replicas": ("3", lambda s: s.mode.replicated.replicas, 3),
    "--executor": ("process", lambda s: container(s).executor, "process"),
    "--entrypoint": ("serve -v", lambda s: container(s).command, ("serve", "-v")),
    "--workdir": ("/srv", lambda s: container(s).dir, "/srv"),
    "--user": ("nobody", lambda s: container(s).user, "nobody"),
    "--hostname": ("h", lambda s: container(s).hostname, "h"),
    "--stop-signal": ("SIGINT", lambda s: container(s).stop_signal, "SIGINT"),
    "--stop-grace-period": ("3s", lambda s: container(s).stop_grace_period_ns, 3 * SECOND),
    "--limit-cpu": ("1.5", lambda s: limits(s).nano_cpus, 1_500_000_000),
    "--limit-memory": ("64m", lambda s: limits(s).memory_bytes, 64 << 20),
    "--limit-pids": ("9", lambda s: limits(s).pids, 9),
    "--reserve-cpu": ("0.5", lambda s: reserved(s).nano_cpus, 500_000_000),
    "--reserve-memory": ("32m", lambda s: reserved(s).memory_bytes, 32 << 20),
    "--restart-condition": ("none", lambda s: restart(s).condition.value, "none"),
    "--restart-max-delay": ("90s", lambda s: restart(s).max_delay_ns, 90 * SECOND),
    "--restart-delay": ("2s", lambda s: restart(s).delay_ns, 2 * SECOND),
    "--restart-max-attempts": ("4", lambda s: restart(s).max_attempts, 4),
    "--restart-window": ("1m", lambda s: restart(s).window_ns, 60 * SECOND),
    "--replicas-max-per-node": ("2", lambda s: s.task_template.placement.max_replicas, 2),
    "--log-driver": ("local", lambda s: s.task_template.log_driver.name, "local"),
    "--log-opt": ("max-size=1m", lambda s: s.task_template.log_driver.options["max-size"], "1m"),
    "--image": ("web:2", lambda s: container(s).image, "web:2"),
    "--args": ("-q 'a b'", lambda s: container(s).args, ("-q", "a b")),
    "--env-add": ("B=2", lambda s: container(s).env, ("A=1", "B=2")),
    "--env-rm": ("A", lambda s: container(s).env, ()),
    "--label-add": ("x=y", lambda s: s.labels, {"l": "1", "x": "y"}),
    "--label-rm": ("l", lambda s: s.labels, {}),
    "--container-label-add": ("x=y", lambda s: container(s).labels, {"c": "1", "x": "y"}),
    "--container-label-rm": ("c", lambda s: container(s).labels, {}),
    "--constraint-add": ("node.role==worker", lambda s: len(constraints(s)), 2),
    "--constraint-rm": ("node.id!=none", lambda s: constraints(s), ()),
    "--platform-add": ("/arm64", lambda s: platforms(s), [("linux", "amd64"), ("", "arm64")]),
    "--platform-rm": ("linux/AMD64", lambda s: platforms(s), []),
    "--placement-pref-add": ("spread=node.labels.b", lambda s: spreads(s)[1:], ["node.labels.b"]),
    "--placement-pref-rm": ("spread=node.labels.a", lambda s: spreads(s), []),
    "--strategy": ("binpack", lambda s: s.task_template.placement.strategy, Strategy.BINPACK),
    "--affinity-add": ("image!=b*", lambda s: affinities(s), ("service!=x", "image!=b*")),
    "--affinity-rm": ("service!=x", lambda s: affinities(s), ()),
    "--toleration-add": ("b:no-execute", lambda s: tolerations(s), ("a", "b:no-execute")),
    "--toleration-rm": ("a", lambda s: tolerations(s), ()),
    "--generic-resource-add": ("gpu=2", lambda s: generic(s), {"ssd": 1, "gpu": 2}),
    "--generic-resource-rm": ("ssd", lambda s: generic(s), {}),
    "--group-add": ("video", lambda s: container(s).groups, ("adm", "video")),
    "--group-rm": ("adm", lambda s: container(s).groups, ()),
    "--publish-add": ("81:81", lambda s: len(s.endpoint_spec.ports), 2),
    "--drain-timeout": ("3s", lambda s: s.endpoint_spec.drain_timeout_ns, 3 * SECOND),
    "--balance": ("source-hash", lambda s: s.endpoint_spec.balance, Balance.SOURCE_HASH),
    "--balance-weight": ("node.labels.cpu", lambda s: s.endpoint_spec.weight_label, "cpu"),
    "--publish-rm": ("80", lambda s: s.endpoint_spec.ports, ()),
    "--force": ("", lambda s: s.task_template.force_update, 1),
    **{
        f"--{kind}-{flag}": (given, lambda s, k=kind, f=field: getattr(policy(s, k), f), expected)
        for kind in ("update", "rollback")
        for flag, given, field, expected in (
            ("parallelism", "2", "parallelism", 2),
            ("delay", "1s", "delay_ns", SECOND),
            ("monitor", "2s", "monitor_ns", 2 * SECOND),
            ("failure-action", "continue", "failure_action", FailureAction.CONTINUE),
            ("max-failure-ratio", "0.25", "max_failure_ratio", 0.25),
            ("order", "start-first", "order", UpdateOrder.START_FIRST),
            ("task-timeout", "9s", "task_timeout_ns", 9 * SECOND),
        )
    },
}
MODE_FLAGS = {
    "--max-concurrent", "--schedule", "--time-zone", "--concurrency", "--missed-runs", "--suspend",
    "--starting-deadline", "--successful-runs", "--failed-runs", "--start-order", "--lease",
}  # fmt: skip
HEALTH_FLAGS = {
    "--health-cmd", "--health-http", "--health-tcp", "--no-healthcheck", "--health-interval",
    "--health-timeout", "--health-retries", "--health-start-period", "--health-start-interval",
    "--health-unready-after",
}  # fmt: skip
# Tried in test_container_options.py.
CONTAINER_FLAGS = names_of([*container_options.SHARED, *container_options.UPDATE])
OTHER_FLAGS = {
    # Tried in test_images_of_services.py.
    "--with-registry-auth",
    "--no-resolve-image",
    "--dry-run",  # test_simulate.py
    *("--network-add", "--network-rm"),  # test_objects.py: they need something to refer to
    *("--secret-add", "--secret-rm", "--config-add", "--config-rm"),
    *("--mount-add", "--mount-rm"),  # test_mounts.py
    "--endpoint-mode",  # below: it goes with no port that all nodes answer
    "--detach",
    "--timeout",
    "--quiet",
    "--format",
    "--rollback",
    "--help",
}


def container(spec: ServiceSpec) -> Any:
    return spec.task_template.container_spec


def limits(spec: ServiceSpec) -> Any:
    return spec.task_template.resources.limits  # type: ignore[union-attr]


def reserved(spec: ServiceSpec) -> Any:
    return spec.task_template.resources.reservations  # type: ignore[union-attr]


def restart(spec: ServiceSpec) -> Any:
    return spec.task_template.restart_policy


def constraints(spec: ServiceSpec) -> Any:
    return spec.task_template.placement.constraints  # type: ignore[union-attr]


def affinities(spec: ServiceSpec) -> tuple[str, ...]:
    return spec.task_template.placement.affinities  # type: ignore[union-attr]


def platforms(spec: ServiceSpec) -> list[tuple[str, str]]:
    placement = spec.task_template.placement
    return [(kind.os, kind.architecture) for kind in placement.platforms]  # type: ignore[union-attr]


def tolerations(spec: ServiceSpec) -> tuple[str, ...]:
    return spec.task_template.placement.tolerations  # type: ignore[union-attr]


def generic(spec: ServiceSpec) -> dict[str, int]:
    counted = (item.discrete_resource_spec for item in reserved(spec).generic_resources)
    return {item.kind: item.value for item in counted if item is not None}


def spreads(spec: ServiceSpec) -> list[str]:
    preferences = spec.task_template.placement.preferences  # type: ignore[union-attr]
    return [item.spread.spread_descriptor for item in preferences if item.spread]


def policy(spec: ServiceSpec, kind: str) -> Any:
    return spec.update_config if kind == "update" else spec.rollback_config


def test_every_flag_of_update_is_tried_below():
    options = {max(param.opts, key=len) for param in update.params if isinstance(param, Option)}
    # Those of the modes and of health are tried in test_service_modes.py, test_health_options.py.
    others = OTHER_FLAGS | MODE_FLAGS | HEALTH_FLAGS | CONTAINER_FLAGS
    assert options - others == set(EVERY_FLAG)


@pytest.mark.parametrize("flag", EVERY_FLAG)
def test_a_flag_of_update_changes_what_it_names(daemon, flag):
    create(
        daemon,
        "web",
        *("-d", "-e", "A=1", "-l", "l=1", "--container-label", "c=1", "--group", "adm"),
        *("--constraint", "node.id!=none", "--placement-pref", "spread=node.labels.a"),
        *("--affinity", "service!=x", "--toleration", "a", "--generic-resource", "ssd=1"),
        *("--platform", "linux/amd64"),
        *(() if flag == "--publish-add" else ("-p", "80:80")),
        *(("-p", "8080:8080") if flag == "--publish-add" else ()),
    )
    given, seen, expected = EVERY_FLAG[flag]
    same_before = ("--executor",)  # there is only one so far
    assert flag in same_before or seen_or_none(spec_of(daemon), seen) != expected
    daemon.ok("service", "update", "-d", flag, *([given] if given else []), "web")
    assert seen(spec_of(daemon)) == expected


def test_a_service_that_publishes_nothing_may_go_by_the_addresses_of_its_tasks(daemon):
    create(daemon)
    daemon.ok("service", "update", "-d", "--endpoint-mode", "dnsrr", "web")
    endpoint = spec_of(daemon).endpoint_spec
    assert endpoint is not None
    assert endpoint.mode is ResolutionMode.DNSRR
    message = failing(daemon, "service", "update", "--publish-add", "80", "web")
    assert "publish with mode=host" in message


def seen_or_none(spec: ServiceSpec, seen: Any) -> Any:
    """What a spec holds, where it holds anything there."""
    try:
        return seen(spec)
    except (AttributeError, KeyError):
        return None


def test_programs_are_told_how_a_change_ended(daemon):
    out = create(daemon, "web", "--format", "json")
    assert json.loads(out) == {
        "Name": "web",
        "Phase": "done",
        "Running": 1,
        "Wanted": 1,
        "Note": "",
        "Problems": [],
        "Seconds": 1.0,
    }
    scaled = json.loads(daemon.ok("service", "scale", "--format", "json", "web=2"))
    assert (scaled["Name"], scaled["Running"], scaled["Wanted"]) == ("web", 2, 2)
    detached = daemon.ok("service", "update", "-d", "--force", "--format", "json", "web")
    assert json.loads(detached) == {"ID": "id1", "Name": "web"}


def test_programs_are_told_why_a_change_failed(daemon):
    daemon.swarm.fate = lambda task: TaskState.FAILED
    result = daemon.run(
        *("service", "create", "--name", "web", "--restart-condition", "none"),
        *("--format", "json", *SERVER),
    )
    assert result.exit_code == 1
    answer = json.loads(result.stdout)
    assert (answer["Phase"], answer["Problems"]) == ("failed", ["boom"])


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
