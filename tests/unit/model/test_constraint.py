"""The grammar of placement constraints."""

import pytest

from swarmd.model.constraint import Constraint, parse_constraint


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("node.role==manager", ("node.role", True, "manager")),
        (" node.role != manager ", ("node.role", False, "manager")),
        ("node.labels.a-b_c.d == x y", ("node.labels.a-b_c.d", True, "x y")),
        ("node.ip == 10.0.0.0/8", ("node.ip", True, "10.0.0.0/8")),
        ("NODE.ID==ABC", ("NODE.ID", True, "ABC")),
        ("ab==1", ("ab", True, "1")),
        ("node.labels.zone==~eu-*", ("node.labels.zone", True, "eu-*", True)),
        (
            "node.labels.zone!=~ /^eu-{1}[a,b]$/",
            ("node.labels.zone", False, "/^eu-{1}[a,b]$/", True),
        ),
        ("engine.labels.os==a.*(b)?[c]+$|^\\d", ("engine.labels.os", True, "a.*(b)?[c]+$|^\\d")),
    ],
)
def test_constraints_are_taken_apart(text, parts):
    assert parse_constraint(text) == Constraint(*parts)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "compares nothing"),
        ("node.role", "compares nothing"),
        ("node.role=manager", "compares nothing"),
        ("node.role<5", "compares nothing"),
        ("==manager", "invalid key"),
        ("a==manager", "invalid key"),
        ("9a==manager", "invalid key"),
        ("no de==manager", "invalid key"),
        ("node.role==", "invalid value"),
        ("node.role!=  ", "invalid value"),
        ("node.role==a,b", "invalid value"),
        ("node.role===b", "invalid value"),
        ("node.role==ä", "invalid value"),
        ("node.role==~", "invalid value"),
        ("node.role==/(/", "without"),
        ("node.role==/" + "a" * 129 + "/", "the limit is 128"),
    ],
)
def test_what_is_no_constraint_is_refused(text, complaint):
    with pytest.raises(ValueError, match=complaint):
        parse_constraint(text)
