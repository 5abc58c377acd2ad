"""The log files of tasks: lines, rotation, lost output."""

from __future__ import annotations

from pathlib import Path

import pytest

from swarmd.agent.executors.keeper.logfile import LINE_BYTES_MAX, TaskLog, file_numbers

NOW = 1_000_000_000_000_000_000


def a_log(directory: Path, *, max_bytes: int = 10_000_000, max_files: int = 3) -> TaskLog:
    return TaskLog(str(directory), max_bytes=max_bytes, max_files=max_files)


def contents(directory: Path) -> bytes:
    return b"".join(
        (directory / f"{number:06d}.log").read_bytes() for number in file_numbers(str(directory))
    )


def test_lines_are_kept_with_time_and_stream(tmp_path: Path) -> None:
    log = a_log(tmp_path)
    log.write(b"o", b"one\ntwo\n", NOW)
    log.write(b"e", b"oops\n", NOW + 1)
    log.close(NOW)
    assert contents(tmp_path) == (
        b"1000000000000000000 o one\n1000000000000000000 o two\n1000000000000000001 e oops\n"
    )


def test_streams_that_interleave_within_a_line_stay_apart(tmp_path: Path) -> None:
    log = a_log(tmp_path)
    log.write(b"o", b"he", NOW)
    log.write(b"e", b"oops\n", NOW)
    log.write(b"o", b"llo\n", NOW)
    assert contents(tmp_path).splitlines() == [
        b"1000000000000000000 e oops",
        b"1000000000000000000 o hello",
    ]
    log.close(NOW)


def test_the_last_line_is_kept_though_it_never_ended(tmp_path: Path) -> None:
    log = a_log(tmp_path)
    log.write(b"o", b"no line feed", NOW)
    log.close(NOW)
    assert contents(tmp_path) == b"1000000000000000000 o no line feed\n"


def test_a_very_long_line_is_split_and_marked(tmp_path: Path) -> None:
    log = a_log(tmp_path)
    log.write(b"o", b"x" * (LINE_BYTES_MAX + 5), NOW)
    log.write(b"o", b"\n", NOW)
    log.close(NOW)
    assert contents(tmp_path).splitlines() == [
        b"1000000000000000000 O " + b"x" * LINE_BYTES_MAX,
        b"1000000000000000000 o xxxxx",
    ]


def test_files_rotate_at_their_size_and_the_oldest_go(tmp_path: Path) -> None:
    log = a_log(tmp_path, max_bytes=1000, max_files=2)
    for number in range(200):
        log.write(b"o", b"line %03d\n" % number, NOW)
    log.close(NOW)
    numbers = file_numbers(str(tmp_path))
    assert len(numbers) == 2
    assert all((tmp_path / f"{n:06d}.log").stat().st_size <= 1000 for n in numbers)
    assert contents(tmp_path).endswith(b"o line 199\n")


def test_one_burst_larger_than_a_file_is_spread_over_files(tmp_path: Path) -> None:
    log = a_log(tmp_path, max_bytes=1000, max_files=3)
    log.write(b"o", b"\n" * 1000, NOW)
    log.close(NOW)
    numbers = file_numbers(str(tmp_path))
    assert len(numbers) == 3
    assert all((tmp_path / f"{n:06d}.log").stat().st_size <= 1000 for n in numbers)


def test_a_log_continues_after_the_files_it_finds(tmp_path: Path) -> None:
    for word in (b"first\n", b"second\n"):
        log = a_log(tmp_path)
        log.write(b"o", word, NOW)
        log.close(NOW)
    assert [line[22:] for line in contents(tmp_path).splitlines()] == [b"first", b"second"]


def test_without_files_nothing_is_written(tmp_path: Path) -> None:
    log = a_log(tmp_path / "none", max_files=0)
    log.write(b"o", b"gone\n", NOW)
    log.close(NOW)
    assert not (tmp_path / "none").exists()


def test_output_lost_for_want_of_space_is_owned_up_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = a_log(tmp_path)
    log.write(b"o", b"before\n", NOW)
    log._file, kept = _full_device(), log._file
    log.write(b"o", b"swallowed\n", NOW)
    log._file = kept
    log.write(b"o", b"after\n", NOW)
    log.close(NOW)
    lines = [line[22:] for line in contents(tmp_path).splitlines()]
    assert lines[0] == b"before"
    assert lines[1] == b"swarmd: 32 bytes of output are missing here: No space left on device"
    assert lines[2:] == [b"after"]


def _full_device() -> int:
    import os

    return os.open("/dev/full", os.O_WRONLY)
