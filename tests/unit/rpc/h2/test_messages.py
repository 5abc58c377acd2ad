from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmd.rpc.h2.errors import MessageViolation
from swarmd.rpc.h2.messages import RESOURCE_EXHAUSTED, UNIMPLEMENTED, Assembler, enclose


@given(messages=st.lists(st.binary(max_size=60), max_size=8), data=st.data())
def test_messages_arrive_whole_however_the_bytes_are_cut(
    messages: list[bytes], data: st.DataObject
) -> None:
    stream = b"".join(map(enclose, messages))
    assembler = Assembler(60)
    got: list[bytes] = []
    at = 0
    while at < len(stream):
        size = data.draw(st.integers(1, len(stream) - at))
        got += assembler.feed(stream[at : at + size])
        at += size
    assert got == messages
    assert not assembler.within_message


def test_an_unfinished_message_is_known() -> None:
    assembler = Assembler(10)
    assert assembler.feed(enclose(b"abc")[:-1]) == []
    assert assembler.within_message
    assert assembler.feed(b"c") == [b"abc"]
    assert not assembler.within_message


def test_a_message_at_the_limit_is_taken_and_one_above_refused_by_its_length_alone() -> None:
    assembler = Assembler(4)
    assert assembler.feed(enclose(b"1234")) == [b"1234"]
    with pytest.raises(MessageViolation) as caught:
        assembler.feed(b"\x00\x00\x00\x00\x05")
    assert caught.value.status == RESOURCE_EXHAUSTED
    assert "5 bytes" in caught.value.reason


def test_a_compressed_message_is_refused() -> None:
    with pytest.raises(MessageViolation) as caught:
        Assembler(4).feed(b"\x01\x00\x00\x00\x01a")
    assert caught.value.status == UNIMPLEMENTED
