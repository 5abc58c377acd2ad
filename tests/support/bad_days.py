"""Helpers for tests of daemons that have a bad day: what a person types, and what they are told."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from demo.machines import Machine, stop
from demo.swarm import Swarm, wait_until

COMMAND_TIMEOUT_S = 90
# The library itself, since the `faketime` command would stand between us and the daemon.
FAKETIME = sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))
needs_faketime = pytest.mark.skipif(not FAKETIME, reason="no libfaketime.so.1 (package faketime)")
SLEEPER = ("--process", "--", sys.executable, "-c", "import time; time.sleep(999)")


def swarmd(machine: Machine, *words: str) -> list[str]:
    """The command line that runs `swarmd WORDS` against the machine's daemon."""
    return [sys.executable, "-m", "swarmd.cli", "--state-dir", str(machine.state_dir), *words]


def run(machine: Machine, *words: str) -> subprocess.CompletedProcess[str]:
    """Run `swarmd WORDS` to its end, whatever that is."""
    return machine.run(swarmd(machine, *words), timeout=COMMAND_TIMEOUT_S)


def refused(machine: Machine, *words: str) -> str:
    """The sentence with which `swarmd WORDS` is refused."""
    return sentence(run(machine, *words))


def sentence(done: subprocess.CompletedProcess[str]) -> str:
    """What a command that was refused has said: one sentence, at most one hint, exit code 1."""
    assert done.returncode == 1, (done.returncode, done.stdout, done.stderr)
    lines = done.stderr.strip().splitlines()
    assert lines[0].startswith("Error: "), done.stderr
    assert len(lines) <= 2, done.stderr
    return done.stderr.removeprefix("Error: ").strip()


def start_daemon(swarm: Swarm, machine: Machine, *wrapper: str) -> None:
    """Start the machine's daemon under `wrapper`, and wait until it takes commands."""
    with (machine.directory / "daemon.log").open("ab") as output:
        process = machine.start([*wrapper, *swarmd(machine, "daemon")], output=output)
    swarm.daemons[machine.name] = process
    wait_until(
        lambda: machine.socket.exists() or process.poll() is not None,
        what=f"the daemon on {machine.name} to start",
    )


def clock(offset: str) -> tuple[str, ...]:
    """What to put before a command so that its clocks are off."""
    return ("env", f"LD_PRELOAD={FAKETIME[0]}", f"FAKETIME={offset}")


def stop_daemon(swarm: Swarm, machine: Machine) -> None:
    """End the daemon; its tasks run on."""
    stop(swarm.daemons.pop(machine.name))


def log_of(machine: Machine) -> str:
    return (machine.directory / "daemon.log").read_text()


def state(swarm: Swarm, machine: Machine) -> str:
    """The node's state and what is wrong with it, as `swarmd info` has them."""
    info = swarm.json(machine, "info")
    return f"{info['State']}: {info.get('Error', '')}"


def warnings(swarm: Swarm, machine: Machine) -> str:
    return "\n".join(swarm.json(machine, "info").get("Warnings", ()))


def managers(swarm: Swarm, asked: Machine) -> int:
    return len(swarm.json(asked, "info").get("RemoteManagers", ()))


def node_id(swarm: Swarm, machine: Machine) -> str:
    return str(swarm.json(machine, "info")["NodeID"])


def services(swarm: Swarm, asked: Machine) -> list[str]:
    return sorted(str(row["Name"]) for row in swarm.rows(asked, "service", "ls"))


def running_on(swarm: Swarm, asked: Machine, node: str) -> list[str]:
    """Ids of the tasks that run on a node, as the managers have it."""
    rows = swarm.rows(asked, "node", "ps", node)
    return sorted(str(row["ID"]) for row in rows if str(row["CurrentState"]).startswith("Running"))


def join_arguments(machine: Machine, token: str, *addresses: str) -> tuple[str, ...]:
    return ("join", "--advertise-addr", machine.address, "--token", token, *addresses)


@contextmanager
def listening(machine: Machine, *argv: str, port: int) -> Iterator[None]:
    """A program that has a port of the machine; by default a web server that speaks no TLS."""
    words = argv or (sys.executable, "-m", "http.server", str(port))
    process = machine.start([*words], output=subprocess.DEVNULL)
    probe = (
        "import socket, sys; "
        "socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=1).close()"
    )
    try:
        wait_until(
            lambda: (
                machine.run([sys.executable, "-c", probe, machine.address, str(port)]).returncode
                == 0
            ),
            what=f"a program to listen on port {port}",
        )
        yield
    finally:
        process.kill()
        process.wait()


def flip(path: Path, position: int, bit: int = 0) -> None:
    """Change one bit of a file in place."""
    with path.open("r+b") as file:
        file.seek(position)
        byte = file.read(1)[0]
        file.seek(position)
        file.write(bytes([byte ^ (1 << bit)]))


@contextmanager
def small_disk(directory: Path, *, megabytes: int) -> Iterator[None]:
    """A file system of its own for `directory`; gone afterwards, whoever still uses it."""
    directory.mkdir(mode=0o700)
    options = f"size={megabytes}m,mode=700"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(directory)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(directory)], check=True)


def fill(directory: Path) -> Path:
    """Use up all space below a directory; unlink the answer to give it back."""
    filler = directory / "filler"
    with filler.open("wb", buffering=0) as file:
        for size in (1 << 20, 4096):
            try:
                while file.write(b"\0" * size) == size:
                    continue
            except OSError:
                continue
    return filler


def copy_state(machine: Machine, to: Path) -> None:
    """Keep a copy of the state directory of a machine whose daemon is stopped.

    Sockets can't be copied, nor can the namespaces below `run`, which are no state.
    """

    def passing(directory: str, names: list[str]) -> list[str]:
        if Path(directory) == machine.state_dir:
            return [name for name in names if name == "run"]
        return [name for name in names if name.endswith(".sock")]

    shutil.copytree(machine.state_dir, to, ignore=passing)


def matches(pattern: str, text: str) -> bool:
    return re.search(pattern, text) is not None


@contextmanager
def cut_off(machine: Machine) -> Iterator[None]:
    """Let no packet of other machines in or out, as a firewall rule gone wrong would."""
    nft = machine.command(["nft"])
    for rule in (
        "add table inet cut",
        "add chain inet cut in { type filter hook input priority 0; }",
        "add chain inet cut out { type filter hook output priority 0; }",
        'add rule inet cut in iifname "eth0" drop',
        'add rule inet cut out oifname "eth0" drop',
    ):
        subprocess.run([*nft, rule], check=True)
    try:
        yield
    finally:
        subprocess.run([*nft, "delete table inet cut"], check=True)
