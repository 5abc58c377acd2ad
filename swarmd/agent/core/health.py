"""Health of one task, from what its probes say: when to probe, when it serves, when it is given up.

    starting ──success──► well ──failures──► unready ──success──► well
        └── failures ──► given up ◄── failures ──┘

Until the first success probes come in quick succession, at growing distances up to the start
interval, so that a task serves as soon as it can. A failure then counts once per interval only, and
none counts during the start period: a task is given up as late as if it were probed at leisure.
"""

from __future__ import annotations

from enum import Enum

from msgspec.structs import replace

from swarmd.model.instant import MILLISECOND, SECOND, Instant
from swarmd.model.record import Record
from swarmd.model.spec import HealthConfig

INTERVAL_NS = 30 * SECOND
TIMEOUT_NS = 30 * SECOND
RETRIES = 3
START_INTERVAL_NS = 5 * SECOND
FIRST_PAUSE_NS = 100 * MILLISECOND
OUTPUT_CHARACTERS_MAX = 200


class Kind(Enum):
    """How a probe is made."""

    COMMAND = "command"
    HTTP = "http"
    TCP = "tcp"


class HealthPolicy(Record, frozen=True):
    """A health check with all its numbers. `port` 0 is the first port of the service."""

    kind: Kind
    argv: tuple[str, ...] = ()
    port: int = 0
    path: str = ""
    interval_ns: int = INTERVAL_NS
    timeout_ns: int = TIMEOUT_NS
    retries: int = RETRIES
    start_period_ns: int = 0
    start_interval_ns: int = START_INTERVAL_NS
    unready_after: int = 1


class Phase(Enum):
    STARTING = "starting"  # has not been well yet
    WELL = "well"
    UNREADY = "unready"  # may recover; gets no connections meanwhile
    GIVEN_UP = "given up"


class Health(Record, frozen=True):
    """What is known of a task's health. `probe_at` says when to look again."""

    phase: Phase
    probe_at: Instant
    failures: int = 0  # in a row, as far as they count
    attempts: int = 0  # before the first success
    counts_from: Instant = Instant(0)  # before the first success: failures until then do not count
    output: str = ""  # of the last probe that failed


class Result(Record, frozen=True):
    """How a probe went; of a failure the last line says what was wrong."""

    well: bool
    output: str = ""


def policy(spec: HealthConfig | None, image: HealthConfig | None = None) -> HealthPolicy | None:
    """The health check of a task; None when there is none.

    What the spec leaves out is taken from the image's check.
    """
    spec, image = spec or HealthConfig(), image or HealthConfig()
    test = spec.test or image.test
    if not test or test[0] == "NONE":
        return None
    kind, *words = test
    made = HealthPolicy(
        Kind.COMMAND,
        interval_ns=spec.interval_ns or image.interval_ns or INTERVAL_NS,
        timeout_ns=spec.timeout_ns or image.timeout_ns or TIMEOUT_NS,
        retries=spec.retries or image.retries or RETRIES,
        start_period_ns=spec.start_period_ns or image.start_period_ns,
        start_interval_ns=spec.start_interval_ns or image.start_interval_ns or START_INTERVAL_NS,
        unready_after=spec.unready_after or 1,
    )
    if kind == "HTTP":
        port, _, path = words[0].partition("/")
        return replace(made, kind=Kind.HTTP, port=int(port or 0), path=f"/{path}")
    if kind == "TCP":
        return replace(made, kind=Kind.TCP, port=int("".join(words) or 0))
    if not words or kind not in ("CMD", "CMD-SHELL"):
        return None  # an image may say anything
    return replace(made, argv=("/bin/sh", "-c", *words) if kind == "CMD-SHELL" else tuple(words))


def begun(policy: HealthPolicy, *, started_at: Instant, now: Instant, was_well: bool) -> Health:
    """The health of a task that was started, or is found running.

    Args:
        was_well: it has served before, and the daemon was restarted since.
    """
    if was_well:
        return Health(Phase.WELL, Instant(now + policy.interval_ns))
    grace_ns = policy.start_period_ns or policy.interval_ns
    return Health(Phase.STARTING, now, counts_from=Instant(started_at + grace_ns))


def after(policy: HealthPolicy, health: Health, result: Result, now: Instant) -> Health:
    """What follows from a probe that ended at `now`."""
    later = Instant(now + policy.interval_ns)
    if result.well:
        return Health(Phase.WELL, later)
    output = last_line(result.output)
    if health.phase is Phase.STARTING:
        return _not_yet(policy, replace(health, output=output), now)
    failures = health.failures + 1
    phase = Phase.UNREADY if failures >= policy.unready_after else health.phase
    if failures >= policy.retries:
        phase = Phase.GIVEN_UP
    return Health(phase, later, failures=failures, output=output)


def _not_yet(policy: HealthPolicy, health: Health, now: Instant) -> Health:
    pause_ns = min(FIRST_PAUSE_NS << min(health.attempts, 30), policy.start_interval_ns)
    waiting = replace(health, attempts=health.attempts + 1, probe_at=Instant(now + pause_ns))
    if now < health.counts_from:
        # The failure that counts is noticed when it is due, not a pause later.
        due = min(waiting.probe_at, max(health.counts_from, now))
        return replace(waiting, probe_at=Instant(due))
    failures = health.failures + 1
    return replace(
        waiting,
        phase=Phase.GIVEN_UP if failures >= policy.retries else Phase.STARTING,
        failures=failures,
        counts_from=Instant(now + policy.interval_ns),
    )


def last_line(output: str) -> str:
    """The last line that says something, shortened."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    return lines[-1][:OUTPUT_CHARACTERS_MAX] if lines else ""
