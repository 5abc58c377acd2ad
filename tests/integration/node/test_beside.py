"""Commands beside tasks and health checks on real daemons, from any manager to any node."""

from __future__ import annotations

import hashlib
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from demo.machines import Machine, machines
from demo.swarm import Swarm, wait_until

NAMES = ("m1", "m2", "w1")
PATIENCE_S = 60
SENT_BYTES = 8_000_000
LOGGED_BYTES = 200_000_000
GROWTH_BYTES_MAX = 32_000_000
SERVER = """
import http.server, os, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        well = self.path != "/healthz" or os.path.exists(sys.argv[1] + os.environ["SLOT"])
        body = os.environ["SLOT"].encode()
        self.send_response(200 if well else 503)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_):
        pass
http.server.ThreadingHTTPServer(("", int(os.environ["PORT"])), Handler).serve_forever()
"""
FETCH = "import sys, urllib.request as r; print(r.urlopen(sys.argv[1], timeout=2).read().decode())"


@pytest.fixture(scope="module")
def swarm() -> Iterator[Swarm]:
    """Two managers and a worker, which has the only task of service `idle`."""
    with machines(NAMES) as made:
        swarm = Swarm(made)
        try:
            first = made.by_name["m1"]
            swarm.init(first)
            swarm.join(made.by_name["m2"], first, "manager")
            swarm.join(made.by_name["w1"], first, "worker")
            swarm.command(
                first,
                *("service", "create", "--name", "idle", "--env", "COLOUR=green"),
                *("--constraint", "node.role==worker", "--process", "--", "sleep", "100000"),
            )
            yield swarm
        finally:
            swarm.stop()


def program(swarm: Swarm, name: str, *words: str) -> list[str]:
    """The command line of `swarmd` on a machine."""
    machine: Machine = swarm.machines.by_name[name]
    argv = [sys.executable, "-m", "swarmd.cli", "--state-dir", str(machine.state_dir)]
    return machine.command([*argv, *words])


def run(
    swarm: Swarm, name: str, *words: str, sent: bytes = b""
) -> subprocess.CompletedProcess[bytes]:
    """`swarmd exec` on a machine, to its end."""
    return subprocess.run(
        program(swarm, name, "exec", *words),
        input=sent,
        capture_output=True,
        timeout=PATIENCE_S,
        check=False,
    )


@pytest.mark.parametrize("name", ["m1", "m2"])
def test_any_manager_runs_commands_on_the_worker(swarm: Swarm, name: str) -> None:
    done = run(swarm, name, "-e", "SIZE=big", "idle.1",
               "sh", "-c", "echo $COLOUR $SIZE; echo problem >&2; exit 5")  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (5, b"green big\n", b"problem\n")


def test_a_service_with_one_task_will_do_as_its_name(swarm: Swarm) -> None:
    assert run(swarm, "m1", "idle", "echo", "-n", "here").stdout == b"here"


def test_megabytes_pass_there_and_back_unharmed(swarm: Swarm) -> None:
    sent = os.urandom(SENT_BYTES)
    done = run(swarm, "m2", "-i", "idle.1", "cat", sent=sent)
    assert done.returncode == 0, done.stderr
    assert hashlib.sha256(done.stdout).digest() == hashlib.sha256(sent).digest()


def test_a_reader_that_goes_away_ends_the_command(swarm: Swarm, tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    with subprocess.Popen(
        program(swarm, "m2", "exec", "idle.1",
                "sh", "-c", f"echo $$ > {pid_file}; exec yes"),
        stdout=subprocess.PIPE,
    ) as reading:  # fmt: skip
        wait_until(lambda: pid_file.exists() and pid_file.read_text() != "", what="the command")
        assert reading.stdout is not None
        assert reading.stdout.read(2) == b"y\n"
        reading.kill()
    pid = pid_file.read_text().strip()
    wait_until(lambda: not os.path.exists(f"/proc/{pid}"), what="the end of the command")


def test_signals_reach_the_command(swarm: Swarm, tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    script = f"trap 'echo caught; exit 9' TERM; touch {ready}; while :; do sleep 0.1; done"
    with subprocess.Popen(
        program(swarm, "m1", "exec", "idle.1", "sh", "-c", script), stdout=subprocess.PIPE
    ) as running:
        wait_until(ready.exists, what="the command")
        running.send_signal(signal.SIGTERM)
        output, _ = running.communicate(timeout=PATIENCE_S)
    assert (running.returncode, output) == (9, b"caught\n")


def test_a_terminal_is_passed_through(swarm: Swarm) -> None:
    master, slave = pty.openpty()
    with subprocess.Popen(
        program(swarm, "m2", "exec", "-it", "idle.1", "sh"), stdin=slave, stdout=slave, stderr=slave
    ) as running:
        os.close(slave)
        os.write(master, b"stty -echo; tty; read word; echo got:$word:; exit 3\n")
        said = b""
        while b"/dev/pts/" not in said:
            said += os.read(master, 4096)
        os.write(master, b"hello\n")
        while b"got:hello:" not in said:
            said += os.read(master, 4096)
        assert running.wait(PATIENCE_S) == 3
    os.close(master)


def test_what_cannot_be_run_is_explained(swarm: Swarm) -> None:
    done = run(swarm, "m1", "idle.1", "nonsuch")
    assert done.returncode == 126
    assert b"command nonsuch cannot be run" in done.stderr
    done = run(swarm, "m1", "ghost.1", "true")
    assert done.returncode == 1
    assert b"no such service: ghost.1" in done.stderr
    done = run(swarm, "m1", "-it", "idle.1", "true")
    assert done.returncode == 2
    assert b"the input is no terminal" in done.stderr
    assert run(swarm, "w1", "idle.1", "true").returncode == 1


def test_every_command_is_among_the_events_and_in_the_logs(swarm: Swarm) -> None:
    first = swarm.machines.by_name["m1"]
    assert run(swarm, "m2", "idle.1", "echo", "audit-me").returncode == 0
    events = swarm.command(first, "events", "--since", "10m", "--until", "0s")
    (line,) = [line for line in events.splitlines() if "audit-me" in line]
    caller = swarm.json(swarm.machines.by_name["m2"], "info")["NodeID"]
    assert f"command run beside it from node {caller}" in line
    log = (swarm.machines.by_name["w1"].directory / "daemon.log").read_text()
    assert "command.ordered" in log


def test_a_task_serves_only_while_it_is_well_and_is_replaced_in_the_end(
    swarm: Swarm, tmp_path: Path
) -> None:
    first = swarm.machines.by_name["m1"]
    well = tmp_path / "well"
    for slot in ("1", "2"):
        Path(f"{well}{slot}").touch()
    swarm.command(
        first,
        *("service", "create", "--name", "web", "--replicas", "2", "--publish", "8081:80"),
        *("--env", "SLOT={{.Task.Slot}}", "--health-http", "80/healthz"),
        *("--health-interval", "300ms", "--health-retries", "20"),
        *("--health-start-interval", "100ms", "--restart-delay", "0s"),
        *("--process", "--", sys.executable, "-c", SERVER, str(well)),
    )
    wait_until(lambda: answers(swarm) == {"1", "2"}, what="both tasks to answer")
    Path(f"{well}2").unlink()
    wait_until(lambda: "unready: /healthz answered 503" in ps(swarm), what="an unready task")
    wait_until(lambda: answers(swarm) == {"1"}, what="the unready task to be left out")
    wait_until(lambda: "unhealthy: /healthz answered 503" in ps(swarm), what="a replacement")
    Path(f"{well}2").touch()
    wait_until(lambda: answers(swarm) == {"1", "2"}, what="the replacement to answer")


def ps(swarm: Swarm) -> str:
    rows = swarm.rows(swarm.machines.by_name["m1"], "service", "ps", "web")
    return "\n".join(str(row["Error"]) for row in rows)


def answers(swarm: Swarm) -> set[str]:
    """Who answers at the published port, of several tries."""
    url = f"http://{swarm.machines.by_name['m1'].address}:8081/"
    found = (
        swarm.machines.client.run([sys.executable, "-c", FETCH, url]).stdout.strip()
        for _ in range(4)
    )
    return set(found)


# --- attached, looked at, copied


def test_an_attached_client_sees_what_the_task_prints_and_learns_its_exit_code(
    swarm: Swarm,
) -> None:
    first = swarm.machines.by_name["m1"]
    script = "trap 'echo caught; exit 7' TERM; echo unseen; while :; do echo tick; sleep 0.1; done"
    swarm.command(
        first,
        *("service", "create", "--name", "ticker", "--restart-condition", "none"),
        *("--constraint", "node.role==worker", "--process", "--", "sh", "-c", script),
    )
    with subprocess.Popen(
        program(swarm, "m2", "attach", "ticker.1"), stdout=subprocess.PIPE
    ) as attached:
        assert attached.stdout is not None
        assert attached.stdout.readline() == b"tick\n"
        attached.send_signal(signal.SIGTERM)
        said, _ = attached.communicate(timeout=PATIENCE_S)
    assert attached.returncode == 7
    assert said.endswith(b"caught\n")
    assert b"unseen" not in said


def test_who_lets_go_of_a_task_leaves_it_alone(swarm: Swarm) -> None:
    first = swarm.machines.by_name["m1"]
    (before,) = swarm.rows(first, "service", "ps", "idle")
    with subprocess.Popen(
        program(swarm, "m1", "attach", "--no-sig-proxy", "idle.1"), stdout=subprocess.PIPE
    ) as attached:
        wait_until(lambda: "attached to" in events(swarm), what="the event")
        attached.kill()
    (after,) = swarm.rows(first, "service", "ps", "idle")
    assert after["ID"] == before["ID"]
    assert after["CurrentState"].startswith("Running")


def test_a_task_is_looked_at_from_any_manager(swarm: Swarm) -> None:
    second = swarm.machines.by_name["m2"]
    (process,) = swarm.rows(second, "top", "idle.1")
    assert process["Command"] == "sleep 100000"
    assert Path(f"/proc/{process['PID']}/cmdline").read_bytes().startswith(b"sleep\0")
    (row,) = swarm.rows(second, "stats", "--no-stream", "idle")
    assert (row["Name"], row["Processes"]) == ("idle.1", 1)
    assert 0 < row["Memory"] < 50_000_000
    assert "looked at its processes from node" in events(swarm)
    table = swarm.command(second, "task", "stats", "--no-stream")
    assert "idle.1" in table


def test_directories_are_copied_there_and_back(swarm: Swarm, tmp_path: Path) -> None:
    source = tmp_path / "source"
    (source / "deep").mkdir(parents=True)
    (source / "deep" / "file").write_bytes(os.urandom(3_000_000))
    (source / "link").symlink_to("deep/file")
    (source / "run.sh").write_text("#!/bin/sh\n")
    (source / "run.sh").chmod(0o755)
    there = tmp_path / "there"
    done = run_words(swarm, "m2", "cp", str(source), f"idle.1:{there}")
    assert done.returncode == 0, done.stderr
    back = tmp_path / "back"
    done = run_words(swarm, "m1", "cp", f"idle.1:{there}", str(back))
    assert done.returncode == 0, done.stderr
    assert (back / "deep" / "file").read_bytes() == (source / "deep" / "file").read_bytes()
    assert os.readlink(back / "link") == "deep/file"
    assert (back / "run.sh").stat().st_mode & 0o777 == 0o755
    archive = run_words(swarm, "m1", "cp", f"idle.1:{there}/run.sh", "-").stdout
    again = tmp_path / "again"
    again.mkdir()
    done = run_words(swarm, "m1", "cp", "-", f"idle.1:{again}", sent=archive)
    assert done.returncode == 0, done.stderr
    assert (again / "run.sh").read_text() == "#!/bin/sh\n"
    done = run_words(swarm, "m1", "cp", str(source) + "/.", f"idle.1:{again}")
    assert done.returncode == 0, done.stderr
    assert (again / "deep" / "file").exists()
    assert "files copied into it from node" in events(swarm)


def test_what_cannot_be_copied_is_explained(swarm: Swarm, tmp_path: Path) -> None:
    done = run_words(swarm, "m1", "cp", "idle.1:/no/such/file", str(tmp_path))
    assert (done.returncode, done.stderr) == (
        1,
        b"Error: No such file or directory: /no/such/file\n",
    )
    done = run_words(swarm, "m1", "cp", __file__, "idle.1:/no/such/directory/")
    assert done.returncode == 1
    assert b"there is no directory /no/such/directory" in done.stderr
    assert run_words(swarm, "m1", "cp", "/etc/hosts", str(tmp_path)).returncode == 2


def run_words(
    swarm: Swarm, name: str, *words: str, sent: bytes = b""
) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        program(swarm, name, *words),
        input=sent,
        capture_output=True,
        timeout=PATIENCE_S,
        check=False,
    )


def events(swarm: Swarm) -> str:
    first = swarm.machines.by_name["m1"]
    return swarm.command(first, "events", "--since", "10m", "--until", "0s")


# --- logs


def test_a_reader_that_stands_still_makes_no_memory_grow_and_loses_nothing(swarm: Swarm) -> None:
    first, worker = swarm.machines.by_name["m1"], swarm.machines.by_name["w1"]
    line = "x" * 99
    swarm.command(
        first,
        *("service", "create", "--name", "talk", "--log-opt", "max-size=1g"),
        *("--constraint", "node.role==worker", "--stop-grace-period", "1ms"),
        *("--process", "--", "sh", "-c", f"yes {line} | head -c {LOGGED_BYTES}; exec sleep 10000"),
    )
    with subprocess.Popen(
        program(swarm, "m2", "task", "logs", "--follow", "--raw", "talk.1"), stdout=subprocess.PIPE
    ) as reader:
        assert reader.stdout is not None
        seen = len(os.read(reader.stdout.fileno(), 100))
        before = {name: resident(swarm, name) for name in NAMES}
        logs = worker.state_dir / "worker" / "logs"
        wait_until(
            lambda: sum(path.stat().st_size for path in logs.glob("*/*.log")) > LOGGED_BYTES,
            what="everything to be said",
        )
        grown = {name: resident(swarm, name) - before[name] for name in NAMES}
        while seen < LOGGED_BYTES:
            data = os.read(reader.stdout.fileno(), 1024 * 1024)
            assert data
            assert set(data) == set(b"x\n")
            seen += len(data)
        reader.terminate()
    assert seen == LOGGED_BYTES
    assert max(grown.values()) < GROWTH_BYTES_MAX, grown
    swarm.command(first, "service", "rm", "talk")


def resident(swarm: Swarm, name: str) -> int:
    """The memory of a machine's daemon."""
    status = Path(f"/proc/{swarm.daemons[name].pid}/statm").read_text()
    return int(status.split()[1]) * os.sysconf("SC_PAGE_SIZE")
