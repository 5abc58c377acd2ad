"""Starting the daemon in the background when a command needs one and none runs."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import click

from swarmd.cli.errors import CliError
from swarmd.cli.target import Target
from swarmd.node.paths import Paths, default_socket

START_S = 20.0
LOOK_S = 0.05
LOG_TAIL_BYTES = 4096


Command = Callable[[Target, Path], list[str]]


def ensure_daemon(
    target: Target, arguments: Sequence[str] = (), *, command: Command | None = None
) -> None:
    """Return when a daemon answers at the target, starting one if need be, and say so.

    Args:
        arguments: flags for a daemon that is started.
        command: the program to start instead of this one's daemon.

    Raises:
        CliError: none runs and none can be started, with the daemon's own reason; or one runs
            already, which can't be given flags any more.
    """
    if answers(target.socket):
        if arguments:
            raise CliError(
                f"a daemon runs already, so {arguments[0]} comes too late for it",
                hint="leave it out, or stop the daemon (swarmd stop) and try again",
            )
        return
    directory = target.state_dir
    if directory is None:
        raise CliError(
            f"no swarmd daemon is running at {target.socket}",
            hint="give its --state-dir to have it started, or start it: swarmd daemon",
        )
    log = Paths(directory).log
    started = (command or daemon_command)(target, directory)
    process = _start(target, directory, log, [*started, *arguments])
    deadline = time.monotonic() + START_S
    while not answers(target.socket):
        if process.poll() is not None:
            raise CliError(f"the daemon ended at once: {_last_words(log)}", hint=f"its log: {log}")
        if time.monotonic() > deadline:
            process.terminate()
            raise CliError(f"the daemon is not up after {START_S:g} s", hint=f"its log: {log}")
        time.sleep(LOOK_S)
    click.echo(f"daemon started in the background: pid {process.pid}, log {log}", err=True)


def answers(path: Path) -> bool:
    """Whether a program listens on the socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(path))
        except PermissionError:
            raise CliError(
                f"no permission to use the daemon's socket {path}",
                hint="run this as the user the daemon runs as",
            ) from None
        except OSError:
            return False
    return True


def daemon_command(target: Target, directory: Path) -> list[str]:
    """The command line of the target's daemon."""
    command = [sys.executable, "-m", "swarmd.cli", "--state-dir", str(directory)]
    if target.socket != default_socket(directory):
        command += ["--host", str(target.socket)]
    return [*command, "daemon"]


def _start(
    target: Target, directory: Path, log: Path, command: list[str]
) -> subprocess.Popen[bytes]:
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        target.socket.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    except OSError as error:
        raise CliError(
            f"{error.filename or directory} cannot be used: {error.strerror}",
            hint="choose another --state-dir, or run this as root",
        ) from None
    try:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd="/",
            start_new_session=True,
        )
    finally:
        os.close(output)


def _last_words(log: Path) -> str:
    """The last line that the daemon wrote, without the word it began with."""
    data = log.read_bytes()[-LOG_TAIL_BYTES:].decode(errors="replace")
    lines = [line.strip() for line in data.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("Error: ")]
    return (errors or lines or ["it left no message"])[-1].removeprefix("Error: ")
