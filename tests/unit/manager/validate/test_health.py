"""Health checks that could never be made are refused."""

from __future__ import annotations

import pytest

from swarmd.manager.validate.health import check_health
from swarmd.model.errors import Rejection
from swarmd.model.instant import MILLISECOND
from swarmd.model.spec import HealthConfig


@pytest.mark.parametrize(
    "config",
    [
        None,
        HealthConfig(),
        HealthConfig(("NONE",)),
        HealthConfig(("CMD", "a", "b")),
        HealthConfig(("CMD-SHELL", "a && b")),
        HealthConfig(("HTTP", "/")),
        HealthConfig(("HTTP", "65535/x?y=%20")),
        HealthConfig(("TCP",)),
        HealthConfig(("TCP", "1")),
        HealthConfig(("TCP",), MILLISECOND, MILLISECOND, 0, MILLISECOND, MILLISECOND),
    ],
)
def test_checks_that_can_be_made_are_taken(config: HealthConfig | None) -> None:
    check_health(config)


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        (HealthConfig(("PING",)), "begins with 'PING'"),
        (HealthConfig(("CMD",)), "CMD needs a command"),
        (HealthConfig(("CMD", "")), "CMD needs a command"),
        (HealthConfig(("CMD", "a\0")), "NUL"),
        (HealthConfig(("CMD-SHELL", "a", "b")), "CMD-SHELL needs one line"),
        (HealthConfig(("HTTP",)), "HTTP needs a path"),
        (HealthConfig(("HTTP", "0/")), "HTTP needs a path"),
        (HealthConfig(("HTTP", "/a b")), "HTTP needs a path"),
        (HealthConfig(("HTTP", "/a\r\nHost: b")), "HTTP needs a path"),
        (HealthConfig(("TCP", "0")), "TCP takes one port"),
        (HealthConfig(("TCP", "1", "2")), "TCP takes one port"),
        (HealthConfig(interval_ns=1), "interval is "),
        (HealthConfig(timeout_ns=-1), "timeout is"),
        (HealthConfig(start_period_ns=MILLISECOND - 1), "start_period is"),
        (HealthConfig(start_interval_ns=1), "start_interval is"),
        (HealthConfig(retries=-1), "retries is -1"),
        (HealthConfig(unready_after=-1), "unready_after is -1"),
    ],
)
def test_others_are_refused_by_name(config: HealthConfig, reason: str) -> None:
    with pytest.raises(Rejection, match=reason):
        check_health(config)
