"""Health of a task: when it is probed, when it serves, when it is given up."""

from __future__ import annotations

import pytest

from swarmd.agent.core import health
from swarmd.agent.core.health import Health, HealthPolicy, Kind, Phase, Result
from swarmd.model.instant import MILLISECOND, SECOND, Instant
from swarmd.model.spec import HealthConfig

WELL = Result(True)
BAD = Result(False, "first\nno answer\n\n")
POLICY = HealthPolicy(Kind.COMMAND, argv=("check",), interval_ns=10 * SECOND, retries=3)


def run(policy: HealthPolicy, results: dict[float, bool], *, until_s: float) -> list[Health]:
    """The health after each probe, of a task that is well from the last given second on or not.

    Args:
        results: from which second on probes succeed or fail.
    """
    now = Instant(0)
    known = health.begun(policy, started_at=now, now=now, was_well=False)
    seen: list[Health] = []
    while known.phase is not Phase.GIVEN_UP and known.probe_at <= until_s * SECOND:
        now = known.probe_at
        well = [value for second, value in results.items() if second * SECOND <= now][-1]
        known = health.after(policy, known, WELL if well else BAD, now)
        seen.append(known)
    return seen


def test_a_task_is_probed_at_once_and_then_at_growing_distances() -> None:
    seen = run(POLICY, {0: False}, until_s=5)
    assert [known.probe_at // MILLISECOND for known in seen[:5]] == [100, 300, 700, 1500, 3100]
    assert {known.phase for known in seen} == {Phase.STARTING}


def test_a_task_serves_as_soon_as_it_is_well() -> None:
    seen = run(POLICY, {0: False, 0.2: True}, until_s=5)
    assert [known.phase for known in seen] == [Phase.STARTING, Phase.STARTING, Phase.WELL]
    assert seen[-1].probe_at == 300 * MILLISECOND + 10 * SECOND


def test_a_task_that_is_never_well_is_given_up_after_as_many_intervals_as_retries() -> None:
    seen = run(POLICY, {0: False}, until_s=100)
    given_up = seen[-1]
    assert given_up.phase is Phase.GIVEN_UP
    assert given_up.output == "no answer"
    at = seen[-2].probe_at
    assert 30 * SECOND <= at <= 40 * SECOND


def test_failures_in_the_start_period_do_not_count() -> None:
    policy = health.policy(
        HealthConfig(("CMD", "x"), interval_ns=SECOND, start_period_ns=60 * SECOND)
    )
    assert policy is not None
    seen = run(policy, {0: False}, until_s=59)
    assert all(known.failures == 0 for known in seen)
    later = run(policy, {0: False}, until_s=100)
    assert later[-1].phase is Phase.GIVEN_UP
    assert 62 * SECOND <= later[-2].probe_at <= 75 * SECOND


def test_the_start_period_ends_with_the_first_success() -> None:
    policy = health.policy(
        HealthConfig(("CMD", "x"), interval_ns=SECOND, start_period_ns=600 * SECOND)
    )
    assert policy is not None
    seen = run(policy, {0: True, 1: False}, until_s=100)
    phases = [known.phase for known in seen]
    assert phases == [Phase.WELL, Phase.UNREADY, Phase.UNREADY, Phase.GIVEN_UP]


def test_a_task_that_fails_is_unready_before_it_is_given_up_and_may_recover() -> None:
    seen = run(POLICY, {0: True, 10: False, 30: True}, until_s=45)
    assert [known.phase for known in seen] == [
        Phase.WELL, Phase.UNREADY, Phase.UNREADY, Phase.WELL, Phase.WELL,
    ]  # fmt: skip
    assert [known.failures for known in seen] == [0, 1, 2, 0, 0]


def test_unready_can_take_more_than_one_failure() -> None:
    policy = health.policy(HealthConfig(("TCP",), interval_ns=SECOND, retries=3, unready_after=2))
    assert policy is not None
    seen = run(policy, {0: True, 1: False}, until_s=100)
    assert [known.phase for known in seen] == [
        Phase.WELL, Phase.WELL, Phase.UNREADY, Phase.GIVEN_UP,
    ]  # fmt: skip


def test_a_task_found_running_counts_as_well_and_is_probed_an_interval_later() -> None:
    found = health.begun(POLICY, started_at=Instant(0), now=Instant(7 * SECOND), was_well=True)
    assert (found.phase, found.probe_at) == (Phase.WELL, 17 * SECOND)


def test_a_start_is_timed_from_when_it_began_not_from_a_restart_of_the_daemon() -> None:
    found = health.begun(POLICY, started_at=Instant(0), now=Instant(25 * SECOND), was_well=False)
    assert health.after(POLICY, found, BAD, Instant(25 * SECOND)).failures == 1


@pytest.mark.parametrize(
    ("test", "expected"),
    [
        (("CMD", "a", "b"), HealthPolicy(Kind.COMMAND, argv=("a", "b"))),
        (("CMD-SHELL", "a | b"), HealthPolicy(Kind.COMMAND, argv=("/bin/sh", "-c", "a | b"))),
        (("HTTP", "/"), HealthPolicy(Kind.HTTP, path="/")),
        (("HTTP", "8080/a/b?c"), HealthPolicy(Kind.HTTP, port=8080, path="/a/b?c")),
        (("TCP", "5432"), HealthPolicy(Kind.TCP, port=5432)),
        (("TCP",), HealthPolicy(Kind.TCP)),
        (("NONE",), None),
        ((), None),
    ],
)
def test_kinds_of_tests(test: tuple[str, ...], expected: HealthPolicy | None) -> None:
    assert health.policy(HealthConfig(test)) == expected


def test_the_image_gives_what_the_spec_leaves_out() -> None:
    image = HealthConfig(("CMD", "image"), interval_ns=SECOND, retries=9)
    assert health.policy(None) is None
    assert health.policy(None, image) == HealthPolicy(
        Kind.COMMAND, argv=("image",), interval_ns=SECOND, retries=9
    )
    assert health.policy(HealthConfig(retries=2), image) == HealthPolicy(
        Kind.COMMAND, argv=("image",), interval_ns=SECOND, retries=2
    )
    assert health.policy(HealthConfig(("NONE",)), image) is None


@pytest.mark.parametrize("test", [("CMD",), ("DANCE", "x")])
def test_what_an_image_says_amiss_is_no_check(test: tuple[str, ...]) -> None:
    assert health.policy(None, HealthConfig(test)) is None


def test_long_lines_are_shortened() -> None:
    assert health.last_line("x" * 500 + "\n") == "x" * health.OUTPUT_CHARACTERS_MAX
    assert health.last_line(" \n\n") == ""
