"""Words, globs and expressions as values of constraints and affinities."""

from __future__ import annotations

from fnmatch import fnmatchcase

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swarmd.model.pattern import is_regex, pattern_of


@pytest.mark.parametrize(
    ("text", "value", "matches"),
    [
        ("nginx", "nginx", True),
        ("nginx", "nginx:1", False),
        ("nginx*", "nginx:1", True),
        ("*nginx", "my/nginx", True),
        ("a*b*c", "aXbYc", True),
        ("a*b*c", "acb", False),
        ("ab*ba", "aba", False),
        ("?b", "ab", True),
        ("?b", "b", False),
        ("a[b]", "ab", False),
        ("a[b]", "a[b]", True),
        ("/^ng/", "nginx", True),
        ("/^NG/", "nginx", False),
        ("//", "//", True),
        ("/", "/", True),
        ("/usr/bin", "/usr/bin", True),
    ],
)
def test_a_value_matches_or_not(text: str, value: str, matches: bool) -> None:
    assert pattern_of(text).matches(value) is matches


def test_case_is_ignored_where_asked() -> None:
    assert pattern_of("EU-?*", ignore_case=True).matches("eu-West")
    assert pattern_of("STRASSE", ignore_case=True).matches("straße")
    assert pattern_of("/^EU/", ignore_case=True).matches("eu-west")


def test_only_a_pair_of_slashes_makes_an_expression() -> None:
    assert is_regex("/a/")
    assert not is_regex("/a")
    with pytest.raises(ValueError, match="without"):
        pattern_of("/(/")


@settings(max_examples=300, deadline=None)
@given(st.text("ab*?", max_size=8), st.text("ab", max_size=8))
def test_globs_agree_with_the_shell(glob: str, value: str) -> None:
    assert pattern_of(glob).matches(value) == fnmatchcase(value, glob)
