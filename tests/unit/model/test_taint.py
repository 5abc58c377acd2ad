"""The grammar of taints and tolerations, and which covers which."""

from __future__ import annotations

import pytest

from swarmd.model.taint import Effect, Taint, Toleration, parse_taint, parse_toleration


@pytest.mark.parametrize(
    ("text", "taint"),
    [
        ("gpu:no-schedule", Taint("gpu", "", Effect.NO_SCHEDULE)),
        ("gpu=a100:prefer-no-schedule", Taint("gpu", "a100", Effect.PREFER_NO_SCHEDULE)),
        ("example.com/x=:no-execute", Taint("example.com/x", "", Effect.NO_EXECUTE)),
    ],
)
def test_taints_are_taken_apart(text: str, taint: Taint) -> None:
    assert parse_taint(text) == taint
    assert parse_taint(taint.text) == taint


@pytest.mark.parametrize(
    ("text", "toleration"),
    [
        ("*", Toleration("", None, None)),
        ("gpu", Toleration("gpu", None, None)),
        ("gpu=", Toleration("gpu", "", None)),
        ("gpu=a:no-execute", Toleration("gpu", "a", Effect.NO_EXECUTE)),
        ("gpu:no-schedule", Toleration("gpu", None, Effect.NO_SCHEDULE)),
    ],
)
def test_tolerations_are_taken_apart(text: str, toleration: Toleration) -> None:
    assert parse_toleration(text) == toleration


@pytest.mark.parametrize(
    ("toleration", "covers"),
    [
        ("*", True),
        ("gpu", True),
        ("gpu=a", True),
        ("gpu:no-schedule", True),
        ("gpu=b", False),
        ("gpu=", False),
        ("gpu:no-execute", False),
        ("disk", False),
    ],
)
def test_a_toleration_asks_only_about_what_it_names(toleration: str, covers: bool) -> None:
    assert parse_toleration(toleration).covers(parse_taint("gpu=a:no-schedule")) is covers


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("gpu", "has no effect"),
        ("gpu:", "has the effect ''"),
        ("gpu:never", "has the effect 'never'"),
        (":no-schedule", "no valid key"),
        ("-a:no-schedule", "no valid key"),
        ("a=b c:no-schedule", "invalid value"),
        ("a" * 300 + ":no-schedule", "the limit is 256"),
    ],
)
def test_what_is_no_taint_is_refused(text: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        parse_taint(text)
