"""Regular expressions: what they match, that they never take long, what is refused."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swarmd.model.regex import PATTERN_LENGTH_MAX, Regex


@pytest.mark.parametrize(
    ("pattern", "text", "found"),
    [
        ("", "", True),
        ("b", "abc", True),
        ("^b", "abc", False),
        ("c$", "abc", True),
        ("^$", "x", False),
        ("a.c", "abc", True),
        ("a|b|", "zzz", True),
        ("^(?:ab|cd)+$", "abcdab", True),
        ("^(a|b)*c$", "abab", False),
        ("^a?b{2}c{1,}d{0,2}$", "bbccdd", True),
        ("^a?b{2}c{1,}d{0,2}$", "bbccddd", False),
        ("^[a-c_]+$", "ab_c", True),
        ("^[^a-c]+$", "xyb", False),
        ("^[]x-z]$", "]", True),
        ("^[a-]$", "-", True),
        (r"^\d+\.\d+$", "10.04", True),
        (r"^[\d\]]+$", "1]2", True),
        (r"^\w+\s\S\W\D$", "a_1 b-c", True),
        (r"^[\w\s-]+$", "a b-c", True),
        ("ABC", "xabcx", False),
        ("(?i)ABC", "xabcx", True),
        ("(?i)^[A-Z]+$", "abc", True),
        ("(a*)*b", "aaaa", False),
        ("ü+", "süß", True),
    ],
)
def test_an_expression_is_found_or_not(pattern: str, text: str, found: bool) -> None:
    assert Regex(pattern).found_in(text) is found
    assert (re.search(pattern, text) is not None) is found


def test_case_can_be_ignored_from_outside() -> None:
    assert Regex("^EU-[A-F]$", ignore_case=True).found_in("eu-b")


PIECES = st.recursive(
    st.sampled_from(["a", "b", ".", "[ab]", "[^a]", "^", "$", r"\d"]),
    lambda inner: st.one_of(
        st.tuples(inner, inner).map("".join),
        st.tuples(inner, inner).map(lambda pair: f"({pair[0]}|{pair[1]})"),
        st.tuples(inner, st.sampled_from(["*", "+", "?", "{2}", "{0,2}", "{1,}"])).map(
            lambda pair: f"(?:{pair[0]}){pair[1]}"
        ),
    ),
    max_leaves=6,
)


@settings(max_examples=300, deadline=None)
@given(PIECES, st.text("ab1", max_size=8))
def test_matching_agrees_with_the_standard_library(pattern: str, text: str) -> None:
    try:
        ours = Regex(pattern)
    except ValueError as error:
        if "more than" not in str(error):
            raise
        return
    assert ours.found_in(text) == (re.search(pattern, text) is not None)


def test_an_expression_that_would_backtrack_for_ages_takes_steps_in_proportion() -> None:
    evil = Regex("^(a+)+$")
    assert not evil.found_in("a" * 4096 + "b")  # 2 ** 4096 ways for one that backtracks


@pytest.mark.parametrize(
    ("pattern", "complaint"),
    [
        ("(", r"'\(' without '\)'"),
        ("a)", r"'\)' without '\('"),
        ("*a", "nothing for '\\*' to repeat"),
        ("a|*", "nothing for"),
        ("[a", "ends too early"),
        ("a\\", "ends too early"),
        ("[z-a]", "a range goes upwards"),
        (r"[a-\d]", "a range goes upwards"),
        (r"[\D]", "opposite"),
        (r"\b", "is not understood"),
        (r"(a)\1", "is not understood"),
        ("(?=a)", "are not understood"),
        ("(?P<x>a)", "are not understood"),
        ("a{", "a repetition is"),
        ("a{,3}", "a repetition is"),
        ("a{1000}", "a repetition is"),
        ("a{3,1}", "counts upwards"),
        ("a{257}", "more than 256 steps"),
        ("(a{16}){17}", "more than 256 steps"),
        ("(" * 17 + ")" * 17, "nested more than"),
        ("a" * (PATTERN_LENGTH_MAX + 1), "the limit is 128"),
    ],
)
def test_what_is_no_expression_or_too_large_is_refused(pattern: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        Regex(pattern)
