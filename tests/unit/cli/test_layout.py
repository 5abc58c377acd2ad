"""Tables in narrow and wide terminals."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from swarmd.cli.layout import LEAST, lay_out, shrunk

COLUMNS = ("ID", "NAME", "ERROR")
REASON = "no suitable node (insufficient resources on 3 nodes); add a node"


def test_a_table_that_fits_is_as_wide_as_its_cells():
    assert lay_out(COLUMNS, [("a", "web", "x")], width=40, wrap="ERROR") == [
        "ID   NAME   ERROR",
        "a    web    x",
    ]


def test_without_a_width_every_row_is_one_line():
    lines = lay_out(COLUMNS, [("a", "web", REASON)], width=None, wrap="ERROR")
    assert lines[1] == f"a    web    {REASON}"


def test_the_chosen_column_wraps_first():
    assert lay_out(COLUMNS, [("a", "web", REASON), ("b", "api", "")], width=40, wrap="ERROR") == [
        "ID  NAME  ERROR",
        "a   web   no suitable node (insufficient",
        "          resources on 3 nodes); add a",
        "          node",
        "b   api",
    ]


def test_others_wrap_when_that_is_not_enough():
    rows = [("abcdefghijkl", "a-very-long-name-of-a-service", REASON)]
    lines = lay_out(COLUMNS, rows, width=50, wrap="ERROR")
    assert max(map(len, lines)) <= 50
    assert all(word in " ".join(lines) for word in REASON.split())


@given(
    st.lists(st.integers(1, 80), min_size=1, max_size=8),
    st.integers(1, 200),
    st.data(),
)
def test_widths_fit_or_are_the_least_there_can_be(natural, available, data):
    first = data.draw(st.integers(0, len(natural) - 1))
    widths = shrunk(natural, available, first=first)
    assert all(width <= wish for width, wish in zip(widths, natural, strict=True))
    least = sum(min(LEAST, wish) for wish in natural)
    assert sum(widths) <= max(available, least)
    if sum(natural) <= available:
        assert widths == natural


@given(
    st.lists(st.tuples(*[st.text("ab -", max_size=30)] * 3), max_size=4),
    st.integers(20, 90),
)
def test_no_letter_is_lost(rows, width):
    lines = lay_out(COLUMNS, rows, width=width, wrap="ERROR")
    letters = sum(cell.count("a") + cell.count("b") for row in rows for cell in row)
    assert sum(line.count("a") + line.count("b") for line in lines) == letters
    assert max(map(len, lines)) <= width
