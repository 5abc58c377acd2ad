"""Three real daemons in namespaces, a service of theirs on a network, and somebody to ask it."""

from __future__ import annotations

import contextlib
import json
import subprocess
from collections.abc import Iterator
from ipaddress import ip_address, ip_network
from pathlib import Path

from demo.machines import machines, namespaces_available
from demo.swarm import Swarm, wait_until
from swarmd.network.kernel import nft
from tests.bench.network import loads
from tests.bench.network.loads import PORT, in_namespace

NAMES = ("m1", "w1", "w2")
PUBLISHED = 8080
PREFIX = 24  # of subnets out of the pools


class Ground:
    """A swarm with the network `net` and the tasks `asker` on it, one on each node."""

    def __init__(self, swarm: Swarm, program: Path) -> None:
        self.swarm = swarm
        self.program = program
        self.first = swarm.machines.by_name["m1"]

    def command(self, *words: str) -> str:
        return self.swarm.command(self.first, *words)

    def serve(self, name: str, *flags: str, port: int = PORT) -> None:
        """Create a service of servers on the network."""
        self.command(
            *("service", "create", "-q", "--name", name, "--network", "net", *flags),
            *("--process", "--", str(self.program), "serve", str(port)),
        )

    def tasks(self, service: str) -> dict[str, str]:
        """Running tasks of a service, and the name of the machine each is on."""
        rows = self.swarm.rows(
            self.first,
            *("service", "ps", "--no-trunc", "--filter", "desired-state=running", service),
        )
        found = {}
        for task in (str(row["ID"]) for row in rows):
            for name in NAMES:
                if self.space(name, task).exists():
                    found[task] = name
        return found

    def space(self, machine: str, task: str) -> Path:
        """The namespace of a task."""
        return self.swarm.machines.by_name[machine].state_dir / "run" / "tasks" / task

    def asker(self, machine: str) -> list[str]:
        """The prefix of commands that are to run beside the asker of a machine."""
        [task] = [task for task, name in self.tasks("asker").items() if name == machine]
        return in_namespace(self.space(machine, task))

    def virtual_ip(self, service: str) -> str:
        """Its address on the network."""
        [row] = self.swarm.json(self.first, "service", "inspect", service)
        [network] = row["Spec"]["TaskTemplate"]["Networks"]
        found = {one["NetworkID"]: one["Addr"] for one in row["Endpoint"]["VirtualIPs"]}
        return str(found[network["Target"]]).partition("/")[0]

    def address(self, machine: str, task: str, service: str) -> str:
        """The address of a task on the network."""
        subnet = ip_network(f"{self.virtual_ip(service)}/{PREFIX}", strict=False)
        listed = subprocess.run(
            [*in_namespace(self.space(machine, task)), "ip", "-j", "-4", "address"],
            check=True,
            capture_output=True,
            text=True,
        )
        found = [info["local"] for row in json.loads(listed.stdout) for info in row["addr_info"]]
        return next(address for address in found if ip_address(address) in subnet)


@contextlib.contextmanager
def ground() -> Iterator[Ground]:
    """A swarm with the network; all is gone afterwards."""
    lacking = namespaces_available() or nft.missing() or loads.missing()
    if lacking:
        raise SystemExit(f"skipped: {lacking}")
    with machines(NAMES) as made:
        swarm = Swarm(made)
        program = loads.compiled(made.directory)
        made.directory.chmod(0o755)
        try:
            swarm.init(made.by_name["m1"])
            for name in NAMES[1:]:
                swarm.join(made.by_name[name], made.by_name["m1"], "worker")
            ready = Ground(swarm, program)
            ready.command("network", "create", "net")
            ready.command(
                *("service", "create", "-q", "--name", "asker", "--mode", "global"),
                *("--network", "net", "--stop-grace-period", "1s"),
                *("--process", "--", "sleep", "1000000"),
            )
            wait_until(lambda: len(ready.tasks("asker")) == len(NAMES), what="the askers")
            yield ready
        finally:
            swarm.stop()
