"""Starting a daemon in the background, with a small program in its place."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from swarmd.cli.background import answers, daemon_command, ensure_daemon
from swarmd.cli.errors import CliError
from swarmd.cli.target import Target

LISTENS = """
import os, socket, sys, time
print("hello from the daemon", flush=True)
listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[1])
listener.listen()
open(sys.argv[1] + ".pid", "w").write(f"{os.getpid()} {os.getsid(0)} {os.getcwd()}")
time.sleep(600)
"""
REFUSES = """
print("starting")
print("Error: state directory /x belongs to user 7; run swarmd as that user")
print("  a last line that is no error")
raise SystemExit(1)
"""


def program(source: str):
    return lambda target, directory: [sys.executable, "-c", source, str(target.socket)]


@pytest.fixture
def target(tmp_path: Path) -> Iterator[Target]:
    """A state directory that does not exist yet; whatever was started there is ended."""
    directory = tmp_path / "state"
    yield Target(socket=directory / "swarmd.sock", state_dir=directory)
    with contextlib.suppress(FileNotFoundError):
        pid = int((directory / "swarmd.sock.pid").read_text().split()[0])
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


@pytest.mark.filterwarnings("ignore:subprocess .* is still running:ResourceWarning")
def test_a_daemon_is_started_once_and_said_so(target, capsys):
    ensure_daemon(target, command=program(LISTENS))
    assert answers(target.socket)
    log = target.socket.parent / "daemon.log"
    pid, session, directory = (
        (target.socket.parent / "swarmd.sock.pid").read_text().split(maxsplit=2)
    )
    said = capsys.readouterr().err
    assert said == f"daemon started in the background: pid {pid}, log {log}\n"
    assert log.read_text() == "hello from the daemon\n"
    assert (session, directory) == (pid, "/")
    assert target.socket.parent.stat().st_mode & 0o777 == 0o700
    ensure_daemon(target, command=program("raise SystemExit('must not be started')"))
    assert capsys.readouterr().out == ""


@pytest.mark.filterwarnings("ignore:subprocess .* is still running:ResourceWarning")
def test_a_daemon_is_started_with_the_flags_that_it_is_given(target):
    seen = target.socket.parent / "arguments"
    ensure_daemon(
        target,
        ("--label", "disk=ssd"),
        command=program(
            f"import sys; open({str(seen)!r}, 'w').write(' '.join(sys.argv[2:]))\n{LISTENS}"
        ),
    )
    assert seen.read_text() == "--label disk=ssd"


def test_a_daemon_that_refuses_to_start_is_quoted(target):
    with pytest.raises(CliError) as failure:
        ensure_daemon(target, command=program(REFUSES))
    assert failure.value.message == (
        "the daemon ended at once: state directory /x belongs to user 7; run swarmd as that user"
    )
    assert "daemon.log" in failure.value.hint


def test_a_state_directory_that_cannot_be_made_is_explained(tmp_path):
    (tmp_path / "file").write_text("")
    directory = tmp_path / "file" / "state"
    with pytest.raises(CliError, match="cannot be used: Not a directory"):
        ensure_daemon(Target(socket=tmp_path / "none.sock", state_dir=directory))


def test_a_socket_alone_does_not_tell_what_to_start(tmp_path):
    with pytest.raises(CliError, match="no swarmd daemon is running") as failure:
        ensure_daemon(Target(socket=tmp_path / "none.sock", state_dir=None))
    assert "--state-dir" in failure.value.hint


def test_the_command_names_the_socket_only_where_it_is_not_the_usual_one(tmp_path):
    usual = Target(socket=tmp_path / "swarmd.sock", state_dir=tmp_path)
    base = [sys.executable, "-m", "swarmd.cli", "--state-dir", str(tmp_path)]
    assert daemon_command(usual, tmp_path) == [*base, "daemon"]
    other = Target(socket=tmp_path / "other.sock", state_dir=tmp_path)
    assert daemon_command(other, tmp_path) == [
        *base, "--host", str(tmp_path / "other.sock"), "daemon",
    ]  # fmt: skip
