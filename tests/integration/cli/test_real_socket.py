"""The command line as a program, talking to the real server over the real socket."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import pty
import signal
import socket
import subprocess
import sys
import termios
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from swarmd.model.states import TaskState
from swarmd.rpc.exchange import Exchange
from swarmd.rpc.router import Router
from swarmd.rpc.server import Server
from swarmd.runtime.clock import SystemClock
from tests.support.daemon import Daemon, a_line


class Leading:
    """A manager that leads."""

    def is_leader(self) -> bool:
        return True

    async def find_leader(self) -> str:
        return ""


class NoRelay:
    async def pass_on(self, exchange: Exchange) -> bytes | None:
        raise AssertionError("a leader passes nothing on")


class Serving:
    """A daemon's services on a unix socket, in a thread of their own."""

    def __init__(self, directory: Path) -> None:
        self.daemon = Daemon(directory)
        self.daemon.close()
        self.daemon.socket.unlink()
        self.socket = self.daemon.socket
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        router = Router(cluster_id=lambda: "cluster", is_removed=lambda _node_id: False)
        router.leadership = Leading()
        for name, implementation in self.daemon.services.items():
            router.register(name, implementation)
        self._server = Server(router=router, relay=NoRelay(), clock=SystemClock())

    def start(self) -> None:
        self._thread.start()
        self._run(self._server.listen_local(str(self.socket)))

    def stop(self) -> None:
        self._run(self._server.stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _run(self, coroutine: object) -> None:
        asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(30)  # type: ignore[arg-type]


@pytest.fixture
def serving(tmp_path: Path) -> Iterator[Serving]:
    serving = Serving(tmp_path)
    serving.start()
    yield serving
    serving.stop()


def command(serving: Serving, *words: str) -> list[str]:
    return [sys.executable, "-m", "swarmd.cli", "-H", str(serving.socket), *words]


def run(serving: Serving, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(serving, *words), capture_output=True, text=True, timeout=60, check=False
    )


def test_a_service_lives_and_dies_by_commands(serving):
    created = run(
        serving,
        *("service", "create", "--name", "web", "--replicas", "3", "-p", "8080:80"),
        *("--process", "--", "python3", "-m", "http.server"),
    )
    assert (created.returncode, created.stderr) == (0, "")
    assert created.stdout.splitlines()[-1].startswith("web: 3/3 running")
    assert run(serving, "service", "scale", "web=1").returncode == 0
    rows = run(serving, "service", "ls", "--format", "json").stdout.splitlines()
    assert json.loads(rows[0])["Replicas"] == "1/1"
    removed = run(serving, "service", "rm", "web")
    assert (removed.stdout, removed.returncode) == ("web\n", 0)
    assert run(serving, "service", "inspect", "web").stderr.startswith("Error: no such service")


def test_logs_stream_to_the_end(serving):
    run(serving, "service", "create", "--name", "web", "-q", "--process", "true")
    (task,) = serving.daemon.swarm.store.tasks()
    serving.daemon.logs.messages = [a_line(task.id, f"line {n}") for n in range(1000)]
    shown = run(serving, "service", "logs", "--raw", "web")
    assert shown.stdout.splitlines() == [f"line {n}" for n in range(1000)]


def test_ctrl_c_ends_the_waiting_and_nothing_else(serving):
    serving.daemon.swarm.fate = lambda task: TaskState.FAILED
    words = ("service", "create", "--name", "web", "--process", "sleep", "1000")
    # A shell that starts the tests in the background has them ignore Ctrl-C; commands inherit it.
    attended = ["env", "--default-signal=INT", *command(serving, *words)]
    process = subprocess.Popen(attended, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert "0/1 running" in process.stdout.readline()
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=30)
    assert process.returncode == 0, stderr
    assert "Stopped waiting; the swarm goes on with web." in stderr
    assert serving.daemon.swarm.store.find_service_by_name("web") is not None


def test_a_socket_that_a_killed_daemon_left_is_explained(tmp_path):
    path = tmp_path / "stale.sock"
    with socket.socket(socket.AF_UNIX) as left_behind:
        left_behind.bind(str(path))
    listed = subprocess.run(
        [sys.executable, "-m", "swarmd.cli", "-H", str(path), "service", "ls"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert listed.returncode == 1
    assert listed.stderr.startswith(f"Error: no swarmd daemon is running at {path}\n")


def on_terminal(serving: Serving, width: int, *words: str) -> str:
    """What a command writes to a terminal of that width."""
    ours, theirs = pty.openpty()
    with os.fdopen(ours, "rb", buffering=0) as screen:
        termios.tcsetwinsize(theirs, (50, width))
        process = subprocess.Popen(
            command(serving, *words), stdout=theirs, stderr=theirs, stdin=theirs
        )
        os.close(theirs)
        written = b""
        # Linux says EIO when the last writer has closed the terminal.
        with contextlib.suppress(OSError):
            while block := screen.read(65_536):
                written += block
        assert process.wait(30) == 0, written
    return written.decode()


def test_tables_fit_the_terminal_and_keep_every_word_of_the_reason(serving):
    run(serving, "service", "create", "--name", "web", "-q", "--process", "sleep", "1000")
    (task,) = serving.daemon.swarm.store.tasks()
    reason = "the data directory /srv/web is on a disk that is full; free some space"
    serving.daemon.swarm.report(task, TaskState.FAILED, reason)
    lines = on_terminal(serving, 120, "service", "ps", "web").splitlines()
    assert max(map(len, lines)) <= 120
    text = " ".join(lines)
    assert all(word in text for word in reason.split())
    assert len(lines) > 3


def test_progress_is_drawn_on_a_terminal(serving):
    words = ("service", "create", "--name", "web", "--replicas", "4", "--process", "sleep", "1000")
    screen = on_terminal(serving, 100, *words)
    assert "web:" in screen
    assert "━" in screen
    assert "4/4 running" in screen
