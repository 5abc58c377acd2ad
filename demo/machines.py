"""Machines for a swarm on one computer: network namespaces when root, else loopback addresses.

With namespaces every machine has its own network stack and host name, joined by a bridge in a
namespace of its own, so nothing of the computer's own network is touched; a further namespace is
the client's. On loopback the machines share one stack and tell each other apart by 127.0.0.x. Only
processes started here are ever ended, by their process id.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

STOP_TIMEOUT_S = 15
_RUNS = itertools.count()


class Machine:
    """A place to run commands with an address of its own."""

    def __init__(self, name: str, address: str, directory: Path, prefix: Sequence[str]) -> None:
        self.name = name
        self.address = address
        self.directory = directory
        self.state_dir = directory / "state"
        self.socket = self.state_dir / "swarmd.sock"
        self._prefix = tuple(prefix)

    def command(self, argv: Sequence[str]) -> list[str]:
        """`argv` as it has to be run to happen on this machine."""
        return [*self._prefix, *argv]

    def start(self, argv: Sequence[str], *, output: IO[bytes] | int) -> subprocess.Popen[bytes]:
        """Start a long-lived process on this machine, in a session of its own."""
        return subprocess.Popen(
            self.command(argv),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def run(self, argv: Sequence[str], **options: Any) -> subprocess.CompletedProcess[str]:
        """Run a command to its end on this machine and capture what it prints."""
        return subprocess.run(
            self.command(argv), text=True, capture_output=True, check=False, **options
        )


def namespaces_available() -> str | None:
    """None when network namespaces can be made here, else what is missing."""
    if os.geteuid() != 0:
        return "not root"
    for tool, package in (("ip", "iproute2"), ("nsenter", "util-linux")):
        if shutil.which(tool) is None:
            return f"no {tool} command (package {package})"
    probe = f"swd-probe-{os.getpid()}"
    made = subprocess.run(["ip", "netns", "add", probe], capture_output=True, check=False)
    if made.returncode != 0:
        return f"the kernel refuses network namespaces ({made.stderr.decode().strip()})"
    subprocess.run(["ip", "netns", "del", probe], check=True)
    return None


@contextlib.contextmanager
def machines(names: Sequence[str], *, keep: bool = False) -> Iterator[Machines]:
    """Machines with these names and one more, `client`; gone afterwards unless `keep`."""
    missing = namespaces_available()
    made = Machines(names, in_namespaces=missing is None, reason=missing or "")
    try:
        made.create()
        yield made
    finally:
        if not keep:
            made.destroy()


class Machines:
    """All machines of one run; `by_name` has the nodes, `client` is where users sit."""

    def __init__(self, names: Sequence[str], *, in_namespaces: bool, reason: str) -> None:
        self.in_namespaces = in_namespaces
        self.reason = reason  # why there are no namespaces
        self.directory = Path(tempfile.mkdtemp(prefix="swarmd-"))
        self.by_name: dict[str, Machine] = {}
        self._names = [*names, "client"]
        self.tag = f"swd{os.getpid()}n{next(_RUNS)}"
        self._namespaces: list[str] = []

    @property
    def client(self) -> Machine:
        return self.by_name["client"]

    def nodes(self) -> list[Machine]:
        """All machines but the client's."""
        return [machine for name, machine in self.by_name.items() if name != "client"]

    def create(self) -> None:
        if self.in_namespaces:
            self._add_namespace(self._switch)
            self._ip("-n", self._switch, "link", "add", "br0", "type", "bridge")
            self._ip("-n", self._switch, "link", "set", "br0", "up")
        for number, name in enumerate(self._names, start=11):
            directory = self.directory / name
            directory.mkdir()
            if self.in_namespaces:
                namespace = f"{self.tag}-{name}"
                address = f"10.99.0.{number}"
                self._connect(namespace, address, number)
                own = self._named(name, directory)
                prefix = ["nsenter", f"--net=/run/netns/{namespace}", f"--uts={own}"]
            else:
                address, prefix = f"127.0.0.{number}", []
            self.by_name[name] = Machine(name, address, directory, prefix)

    def namespace(self, name: str) -> str:
        """The name of a machine's network namespace."""
        return f"{self.tag}-{name}"

    def unplug(self, name: str) -> None:
        """Pull the machine's network cable: packets stop both ways, nothing else is told."""
        self._ip("-n", self._switch, "link", "set", self._port(name), "down")

    def plug(self, name: str) -> None:
        """Put the cable back."""
        self._ip("-n", self._switch, "link", "set", self._port(name), "up")

    def destroy(self) -> None:
        for namespace in reversed(self._namespaces):
            subprocess.run(["ip", "netns", "del", namespace], capture_output=True, check=False)
        self._namespaces.clear()
        # What daemons that were killed have left mounted: namespaces of tasks and networks.
        for point in self.mounts():
            subprocess.run(["umount", "-l", point], capture_output=True, check=False)
        shutil.rmtree(self.directory, ignore_errors=True)

    def mounts(self) -> list[str]:
        """What is mounted below the machines' directories, the innermost first."""
        points = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
        return [point for point in reversed(points) if point.startswith(f"{self.directory}/")]

    def left(self) -> list[str]:
        """Mounts that daemons have left; those of the machines themselves are none of theirs."""
        return [point for point in self.mounts() if Path(point).name != "uts"]

    @property
    def _switch(self) -> str:
        return f"{self.tag}-switch"

    def _port(self, name: str) -> str:
        return f"p{self._names.index(name) + 11}"

    def _connect(self, namespace: str, address: str, number: int) -> None:
        self._add_namespace(namespace)
        port = f"p{number}"
        self._ip(
            *("-n", namespace, "link", "add", "eth0", "type", "veth"),
            *("peer", "name", port, "netns", self._switch),
        )
        self._ip("-n", self._switch, "link", "set", port, "master", "br0", "up")
        self._ip("-n", namespace, "link", "set", "lo", "up")
        self._ip("-n", namespace, "addr", "add", f"{address}/24", "dev", "eth0")
        self._ip("-n", namespace, "link", "set", "eth0", "up")

    @staticmethod
    def _named(name: str, directory: Path) -> Path:
        """A UTS namespace, so that the machine goes by its own name; a mount below `directory`."""
        own = directory / "uts"
        own.touch()
        subprocess.run(["unshare", f"--uts={own}", "hostname", name], check=True)
        return own

    def _add_namespace(self, namespace: str) -> None:
        self._ip("netns", "add", namespace)
        self._namespaces.append(namespace)

    @staticmethod
    def _ip(*arguments: str) -> None:
        subprocess.run(["ip", *arguments], check=True)


def stop(process: subprocess.Popen[bytes]) -> None:
    """Ask a process to end, then insist; returns when it is gone."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
