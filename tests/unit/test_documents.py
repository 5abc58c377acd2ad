"""What the documents name exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FEATURES = ROOT / "docs" / "features.md"
ROWS = [
    [cell.strip() for cell in line.strip().strip("|").split("|")]
    for line in FEATURES.read_text().splitlines()
    if line.startswith("| ") and not line.startswith(("| Area", "|--"))
]


def test_there_are_features_and_each_has_a_test() -> None:
    assert len(ROWS) > 100
    for row in ROWS:
        assert len(row) == 4, row
        assert all(row), row
        assert re.findall(r"`[^`]+`", row[3]), row


@pytest.mark.parametrize(
    "path", sorted({path for row in ROWS for path in re.findall(r"`([^`]+)`", row[3])})
)
def test_the_tests_that_show_features_exist(path: str) -> None:
    assert (ROOT / "tests" / path).exists()
