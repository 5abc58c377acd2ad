"""Object ids."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmd.model.ids import ID_LENGTH, base36, id_from_bytes


@given(st.binary(min_size=17, max_size=17))
def test_an_id_has_25_characters_of_base_36(data: bytes) -> None:
    made = id_from_bytes(data)
    assert len(made) == ID_LENGTH
    assert set(made) <= set("0123456789abcdefghijklmnopqrstuvwxyz")


def test_different_bytes_give_different_ids() -> None:
    assert len({id_from_bytes(bytes([number] + [0] * 16)) for number in range(128)}) == 128


@pytest.mark.parametrize("length", [0, 16, 18])
def test_other_amounts_of_randomness_are_a_bug(length: int) -> None:
    with pytest.raises(AssertionError):
        id_from_bytes(bytes(length))


@given(st.integers(0, 36**30), st.integers(0, 40))
def test_base_36_reads_back(number: int, width: int) -> None:
    text = base36(number, width=width)
    assert len(text) >= width
    assert int(text or "0", 36) == number
