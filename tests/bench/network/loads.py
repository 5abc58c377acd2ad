"""The load of the network's benchmarks: `load.c`, compiled for the run, started in namespaces."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path

import msgspec

PORT = 80
SOURCE = Path(__file__).with_name("load.c")
END_S = 20


class Failure(msgspec.Struct, frozen=True):
    """A request without an answer; times are microseconds of the monotonic clock."""

    at_us: int
    since_us: int
    what: str


class Outcome(msgspec.Struct, frozen=True):
    """What a client did."""

    requests: int
    bytes: int
    errors: int
    resent: int  # datagrams
    spent_us: int
    used_us: int
    longest_us: int
    failures: tuple[Failure, ...] = ()


def missing() -> str:
    """Why there can be no load here; empty when there can."""
    return "" if shutil.which("gcc") else "no gcc command (package gcc)"


def compiled(directory: Path) -> Path:
    """The program, made in this directory."""
    program = directory / "load"
    subprocess.run(["gcc", "-O2", "-Wall", "-o", str(program), str(SOURCE)], check=True)
    return program


class Client:
    """A client at work.

    Args:
        prefix: what a command has to begin with to run in the client's namespace.
        seconds: 0: until `end`.
    """

    def __init__(
        self,
        program: Path,
        prefix: Sequence[str],
        mode: str,
        address: str,
        *,
        port: int = PORT,
        seconds: int = 0,
        connections: int = 4,
        pause_us: int = 0,
    ) -> None:
        self.mode = mode
        words = (mode, address, port, seconds, connections, pause_us)
        self._process = subprocess.Popen(
            [*prefix, str(program), "ask", *map(str, words)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )

    def outcome(self) -> Outcome:
        """What it did, once its time is over."""
        said, _ = self._process.communicate()
        return msgspec.convert(json.loads(said), Outcome)

    def end(self) -> Outcome:
        """Have it end now."""
        self._process.send_signal(signal.SIGTERM)
        return self.outcome()

    def kill(self) -> None:
        """Make sure it is gone."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.communicate(timeout=END_S)


def in_namespace(path: Path) -> list[str]:
    """The prefix of commands that are to run in a namespace."""
    return ["nsenter", f"--net={path}"]
