"""Rejections: answers with a code and one sentence."""

from __future__ import annotations

from swarmd.model.errors import (
    Code,
    Rejection,
    failed_precondition,
    invalid,
    not_found,
    out_of_sequence,
)


def test_rejections_compare_by_code_and_message() -> None:
    assert invalid("no") == Rejection(Code.INVALID_ARGUMENT, "no")
    assert invalid("no") != failed_precondition("no")
    assert len({invalid("no"), invalid("no"), not_found("task", "t")}) == 2


def test_messages_say_what_was_asked_for() -> None:
    assert not_found("task", "abc").message == "task abc not found"
    assert (out_of_sequence().code, out_of_sequence().message) == (
        Code.UNKNOWN,
        "update out of sequence",
    )
    assert repr(invalid("no")) == "Rejection(INVALID_ARGUMENT, 'no')"
