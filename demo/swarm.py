"""Driving a swarm of daemons the way a person would: by its command line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

from demo import power
from demo.machines import Machine, Machines, stop

# How many times longer everything may take: machines that are emulated have their own pace.
PATIENCE = float(os.environ.get("SWARMD_DEMO_PATIENCE", "1"))
COMMAND_TIMEOUT_S = 90 * PATIENCE


class CommandFailed(Exception):
    """A swarmd command ended with an error; the message is what it printed."""


class Swarm:
    """Daemons on machines; `daemons` maps a machine's name to its running daemon."""

    def __init__(self, machines: Machines) -> None:
        self.machines = machines
        self.daemons: dict[str, subprocess.Popen[bytes]] = {}
        self.program = "swarmd.cli"  # the module that daemons are started from
        self.daemon_flags: dict[str, tuple[str, ...]] = {}  # of `swarmd daemon`, by machine

    def start_daemon(self, machine: Machine) -> None:
        """Start the daemon of a machine and wait until it takes commands."""
        argv = [sys.executable, "-m", self.program, "--state-dir", str(machine.state_dir)]
        with (machine.directory / "daemon.log").open("ab") as output:
            command = [*argv, "daemon", *self.daemon_flags.get(machine.name, ())]
            self.daemons[machine.name] = machine.start(command, output=output)
        wait_until(
            lambda: machine.socket.exists() or self.daemons[machine.name].poll() is not None,
            what=f"the daemon on {machine.name} to start",
        )

    def command(
        self, machine: Machine, *arguments: str, timeout_s: float = COMMAND_TIMEOUT_S
    ) -> str:
        """Run `swarmd …` on a machine and return what it prints.

        Raises:
            CommandFailed: it ended with another status than 0.
        """
        argv = [sys.executable, "-m", "swarmd.cli", "--state-dir", str(machine.state_dir)]
        done = machine.run([*argv, *arguments], timeout=timeout_s)
        if done.returncode != 0:
            raise CommandFailed(f"swarmd {' '.join(arguments)}: {done.stderr or done.stdout}")
        return done.stdout

    def json(self, machine: Machine, *arguments: str) -> Any:
        return json.loads(self.command(machine, *arguments, "--format", "json"))

    def rows(self, machine: Machine, *arguments: str) -> list[dict[str, Any]]:
        """The rows of a listing, which are JSON objects one a line."""
        listing = self.command(machine, *arguments, "--format", "json")
        return [json.loads(line) for line in listing.splitlines()]

    def init(self, machine: Machine) -> None:
        self.start_daemon(machine)
        self.command(machine, "init", *self._addresses(machine))

    def join(self, machine: Machine, through: Machine, role: str) -> None:
        token = self.command(through, "token", "-q", role).strip()
        self.start_daemon(machine)
        self.command(
            machine,
            *("join", *self._addresses(machine), "--token", token, f"{through.address}:2377"),
        )

    def kill(self, machine: Machine) -> None:
        """End a machine's daemon and tasks at once, as a power cut would."""
        process = self.daemons.pop(machine.name)
        power.cut(machine.state_dir, process.pid)
        process.wait()

    def leader(self, asked: Machine) -> Machine | None:
        """The machine whose manager leads, as the daemon on `asked` knows it."""
        try:
            info = self.json(asked, "info")
        except (CommandFailed, subprocess.TimeoutExpired):
            return None
        host = str(info.get("LeaderAddr", "")).rpartition(":")[0]
        return next((m for m in self.machines.nodes() if m.address == host), None)

    def stop(self) -> None:
        """End all daemons with their tasks."""
        for name in list(self.daemons):
            machine = self.machines.by_name[name]
            try:
                self.command(machine, "stop", "--tasks")
            except (CommandFailed, subprocess.TimeoutExpired):
                self.kill(machine)
                continue
            stop(self.daemons.pop(name))

    def _addresses(self, machine: Machine) -> tuple[str, ...]:
        if self.machines.in_namespaces:
            return ("--advertise-addr", machine.address)
        return ("--listen-addr", machine.address, "--advertise-addr", machine.address)


def wait_until(condition: Callable[[], bool], *, what: str, timeout_s: float = 60.0) -> float:
    """Poll until `condition` holds; how many seconds it took."""
    begun = time.monotonic()
    while not condition():
        if time.monotonic() - begun > timeout_s * PATIENCE:
            raise TimeoutError(f"waited {timeout_s:g} s for {what}")
        time.sleep(0.02)
    return time.monotonic() - begun
