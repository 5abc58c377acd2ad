"""Health checks from the command line."""

from __future__ import annotations

import pytest

from swarmd.model.instant import SECOND
from swarmd.model.spec import HealthConfig
from tests.support.commands import create, spec_of
from tests.support.daemon import Daemon


def health_of(daemon: Daemon, name: str) -> HealthConfig | None:
    container = spec_of(daemon, name).task_template.container_spec
    assert container is not None
    return container.healthcheck


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ((), None),
        (("--health-cmd", "test -e /ok"), HealthConfig(("CMD-SHELL", "test -e /ok"))),
        (("--health-http", "8080/healthz"), HealthConfig(("HTTP", "8080/healthz"))),
        (("--health-tcp", "5432"), HealthConfig(("TCP", "5432"))),
        (("--no-healthcheck",), HealthConfig(("NONE",))),
        (
            ("--health-http", "/", "--health-interval", "2s", "--health-timeout", "1s",
             "--health-retries", "4", "--health-start-period", "9s",
             "--health-start-interval", "3s", "--health-unready-after", "2"),
            HealthConfig(("HTTP", "/"), 2 * SECOND, SECOND, 4, 9 * SECOND, 3 * SECOND, 2),
        ),
    ],
)  # fmt: skip
def test_flags_become_the_health_check(
    daemon: Daemon, flags: tuple[str, ...], expected: HealthConfig | None
) -> None:
    create(daemon, "web", *flags)
    assert health_of(daemon, "web") == expected


def test_an_update_changes_what_it_names_and_keeps_the_rest(daemon: Daemon) -> None:
    create(daemon, "web", "--health-http", "/", "--health-retries", "4")
    daemon.ok("service", "update", "--detach", "--health-interval", "5s", "web")
    assert health_of(daemon, "web") == HealthConfig(("HTTP", "/"), 5 * SECOND, retries=4)
    daemon.ok("service", "update", "--detach", "--no-healthcheck", "web")
    assert health_of(daemon, "web") == HealthConfig(("NONE",))
    daemon.ok("service", "update", "--detach", "--health-tcp", "80", "web")
    assert health_of(daemon, "web") == HealthConfig(("TCP", "80"))


@pytest.mark.parametrize(
    ("flags", "reason"),
    [
        (("--health-cmd", "x", "--health-tcp", "80"), "--health-cmd and --health-tcp exclude"),
        (("--no-healthcheck", "--health-retries", "2"), "leaves nothing to give numbers to"),
        (("--health-http", "80"), "HTTP needs a path"),
        (("--health-http", "99999/"), "HTTP needs a path"),
        (("--health-tcp", "db"), "TCP takes one port"),
        (("--health-tcp", "80", "--health-interval", "1us"), "must be 0 (none) or at least 1ms"),
    ],
)
def test_what_makes_no_sense_is_refused(
    daemon: Daemon, flags: tuple[str, ...], reason: str
) -> None:
    result = daemon.run("service", "create", "--detach", "--name", "web", *flags, "nginx")
    assert result.exit_code != 0
    assert reason in " ".join(result.output.split())
