"""Keys that let go of a task."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmd.cli.detaching import DetachKeys, parse_keys
from tests.support.commands import failing


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("ctrl-p,ctrl-q", b"\x10\x11"),
        ("Ctrl-A", b"\x01"),
        ("ctrl-@,ctrl-[,ctrl-_", b"\x00\x1b\x1f"),
        ("a,B,~", b"aB~"),
        ("none", b""),
    ],
)
def test_keys_are_written_as_people_call_them(text: str, keys: bytes) -> None:
    assert parse_keys(text) == keys


@pytest.mark.parametrize("text", ["", "ctrl-", "ctrl-pq", "ctrl-1", "ab", "a,,b", "ü"])
def test_what_is_no_key_is_a_usage_error(daemon, text: str) -> None:
    assert "is no key" in failing(daemon, "attach", "--detach-keys", text, "web", code=2)


def test_the_beginning_of_the_sequence_waits_for_the_rest() -> None:
    keys = DetachKeys(b"\x10\x11")
    assert keys.typed(b"ls\x10") == (b"ls", False)
    assert keys.typed(b"\x10") == (b"\x10", False)
    assert keys.typed(b"x") == (b"\x10x", False)
    assert keys.typed(b"\x10\x11more") == (b"", True)


@given(
    st.lists(st.sampled_from(b"ab"), max_size=30).map(bytes),
    st.lists(st.sampled_from(b"ab"), max_size=4).map(bytes),
    st.integers(1, 7),
)
def test_what_is_typed_arrives_up_to_the_sequence_however_it_is_cut(
    typed: bytes, sequence: bytes, size: int
) -> None:
    keys = DetachKeys(sequence)
    arrived, detached = b"", False
    for start in range(0, len(typed), size):
        passed, detached = keys.typed(typed[start : start + size])
        arrived += passed
        if detached:
            break
    assert detached == bool(sequence and sequence in typed)
    if detached:
        assert arrived == typed[: typed.index(sequence)]
    else:
        assert arrived + keys.rest() == typed
