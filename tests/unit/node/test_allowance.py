"""What a node says itself of what tasks may have of it: by flag, else in a file."""

from __future__ import annotations

from pathlib import Path

import pytest

from swarmd.node.allowance import own_words
from swarmd.node.config import DaemonConfig
from swarmd.node.paths import Paths
from swarmd.node.state_dir import StateDirError


def words(directory: Path, *, flag: tuple[str, ...] | None = None) -> tuple[str, ...] | None:
    config = DaemonConfig(state_dir=directory, socket=directory / "sock", allow=flag)
    return own_words(config, Paths(directory))


def test_without_a_word_it_is_left_to_the_cluster(tmp_path: Path):
    assert words(tmp_path) is None
    (tmp_path / "allow").write_text("# nothing yet\n\n")
    assert words(tmp_path) is None


def test_the_file_holds_words_and_remarks(tmp_path: Path):
    (tmp_path / "allow").write_text("privileged, pid  # for the build\nbind=/srv\n")
    assert words(tmp_path) == ("privileged", "pid", "bind=/srv")


def test_a_flag_wins_over_the_file(tmp_path: Path):
    (tmp_path / "allow").write_text("all")
    assert words(tmp_path, flag=("none",)) == ("none",)


@pytest.mark.parametrize("text", ["everything", "none privileged", "bind=srv"])
def test_a_file_that_is_not_understood_stops_the_node(tmp_path: Path, text: str):
    (tmp_path / "allow").write_text(text)
    with pytest.raises(StateDirError, match="allow can't be used"):
        words(tmp_path)
