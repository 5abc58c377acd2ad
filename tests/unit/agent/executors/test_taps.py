"""Listeners to a task's output."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from swarmd.agent.executors.keeper.taps import PIPE_BYTES, Taps


@pytest.fixture
def pipe(tmp_path: Path) -> Iterator[tuple[str, int]]:
    """A pipe by its name, and the end that the daemon reads."""
    path = tmp_path / "out"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    yield str(path), reader
    os.close(reader)


def test_each_listener_hears_its_stream(pipe: tuple[str, int]) -> None:
    path, reader = pipe
    taps = Taps()
    taps.add({path: b"o"})
    taps.pass_on(b"e", b"not this")
    taps.pass_on(b"o", b"this")
    assert os.read(reader, 100) == b"this"
    taps.close()
    assert os.read(reader, 100) == b""


def test_a_slow_listener_misses_output_and_is_told_how_much(pipe: tuple[str, int]) -> None:
    path, reader = pipe
    taps = Taps()
    taps.add({path: b"o"})
    passed = 0
    for _ in range(40):
        taps.pass_on(b"o", b"x" * 65_536)
        passed += 65_536
    heard = os.read(reader, 2 * PIPE_BYTES)
    taps.pass_on(b"o", b"later")
    notice = os.read(reader, PIPE_BYTES)
    missed = passed - len(heard)
    assert missed > 0
    assert f"swarmd: {missed} bytes of output are missing here".encode() in notice
    assert notice.endswith(b"later")
    taps.close()


def test_who_has_gone_is_forgotten_and_the_others_hear_on(
    pipe: tuple[str, int], tmp_path: Path
) -> None:
    path, reader = pipe
    other = tmp_path / "other"
    os.mkfifo(other)
    gone = os.open(other, os.O_RDONLY | os.O_NONBLOCK)
    taps = Taps()
    taps.add({str(other): b"o", path: b"o"})
    os.close(gone)
    taps.pass_on(b"o", b"one")
    taps.pass_on(b"o", b"two")
    assert os.read(reader, 100) == b"onetwo"
    with pytest.raises(OSError, match="No such file"):
        taps.add({str(tmp_path / "nowhere"): b"o"})
    taps.close()
