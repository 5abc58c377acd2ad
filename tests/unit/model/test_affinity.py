"""The grammar of affinities."""

from __future__ import annotations

import pytest

from swarmd.model.affinity import Affinity, Subject, parse_affinity


@pytest.mark.parametrize(
    ("text", "parts", "subject"),
    [
        ("image==nginx*", ("image", True, "nginx*"), Subject.IMAGE),
        ("service!=~/^batch-/", ("service", False, "/^batch-/", True), Subject.SERVICE),
        (" container == web.1 ", ("container", True, "web.1"), Subject.TASK),
        ("task!=web.*", ("task", False, "web.*"), Subject.TASK),
        ("com.example/type==~ a=b", ("com.example/type", True, "a=b", True), Subject.LABEL),
    ],
)
def test_affinities_are_taken_apart(text: str, parts: tuple[object, ...], subject: Subject) -> None:
    parsed = parse_affinity(text)
    assert parsed == Affinity(*parts)  # type: ignore[arg-type]
    assert parsed.subject is subject
    assert parse_affinity(parsed.text) == parsed


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("nginx", "compares nothing"),
        ("==nginx", "invalid key"),
        ("a b==c", "invalid key"),
        ("image==", "no value"),
        ("image==~", "no value"),
        ("image==a\x07", "no value"),
        ("image==/(/", "without"),
        ("image==" + "a" * 257, "the limit is 256"),
    ],
)
def test_what_is_no_affinity_is_refused(text: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        parse_affinity(text)
