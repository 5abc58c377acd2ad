"""The flags of health checks, and what they do to the one a service has.

One flag says how the task is looked at: a command, an HTTP path, a TCP port, or not at all. The
others give numbers, also to a check that the image brings along.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from swarmd.cli.params import DURATION

if TYPE_CHECKING:
    from swarmd.model.spec import HealthConfig

FEW = click.IntRange(0, 2**31 - 1)
OPTIONS: list[Any] = [
    click.option("--health-cmd", metavar="COMMAND", help="Run in the task, it says how it is."),
    click.option("--health-http", metavar="[PORT]/PATH", help="Answers with 2xx or 3xx if well."),
    click.option("--health-tcp", metavar="PORT", help="Takes connections if well."),
    click.option("--no-healthcheck", is_flag=True, help="Not even the image's."),
    click.option("--health-interval", type=DURATION, help="Between checks [30s]."),
    click.option("--health-timeout", type=DURATION, help="Of one check [30s]."),
    click.option("--health-retries", type=FEW, help="Failures until a task is replaced [3]."),
    click.option("--health-start-period", type=DURATION, help="Failures do not count yet [0s]."),
    click.option("--health-start-interval", type=DURATION, help="Until a task is well [5s]."),
    click.option(
        "--health-unready-after", type=FEW, help="Failures until it gets no connections [1]."
    ),
]
_NUMBERS = {
    "health_interval": "interval_ns",
    "health_timeout": "timeout_ns",
    "health_retries": "retries",
    "health_start_period": "start_period_ns",
    "health_start_interval": "start_interval_ns",
    "health_unready_after": "unready_after",
}
_WAYS = ("health_cmd", "health_http", "health_tcp", "no_healthcheck")


def health_fields(flags: Mapping[str, Any]) -> dict[str, Any]:
    """Fields of the health check that the flags ask for.

    Raises:
        ValueError: they contradict each other.
    """
    given = [name for name in _WAYS if flags.get(name)]
    if len(given) > 1:
        first, second = (f"--{name.replace('_', '-')}" for name in given[:2])
        raise ValueError(f"{first} and {second} exclude each other")
    fields = {field: flags[name] for name, field in _NUMBERS.items() if flags.get(name) is not None}
    if flags.get("no_healthcheck"):
        if fields:
            raise ValueError("--no-healthcheck leaves nothing to give numbers to")
        return {"test": ("NONE",)}
    if flags.get("health_cmd"):
        fields["test"] = ("CMD-SHELL", flags["health_cmd"])
    elif flags.get("health_http"):
        fields["test"] = ("HTTP", flags["health_http"])
    elif flags.get("health_tcp"):
        fields["test"] = ("TCP", flags["health_tcp"])
    return fields


def changed_health(present: HealthConfig | None, fields: Mapping[str, Any]) -> HealthConfig | None:
    """The health check with the fields changed."""
    from msgspec.structs import replace

    from swarmd.model.spec import HealthConfig

    if not fields:
        return present
    if fields.get("test") == ("NONE",) or present is None or present.test == ("NONE",):
        return HealthConfig(**fields)
    return replace(present, **fields)
