"""A swarm of real daemons with networks, driven as a person would; nothing of it may be left."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from demo.machines import Machine, machines, namespaces_available
from demo.swarm import CommandFailed, Swarm
from swarmd.network.kernel import nft

NAMES = ("m1", "w1", "w2")
# Answers by both families, where there are two.
SERVE = """
import http.server, os, socket
class Server(http.server.ThreadingHTTPServer):
    address_family = socket.AF_INET6 if socket.has_dualstack_ipv6() else socket.AF_INET
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        client = self.client_address[0].removeprefix("::ffff:")
        body = f"{os.environ['SLOT']} {client}".encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *words):
        pass
Server(("", int(os.environ.get("PORT", 80))), Handler).serve_forever()
"""
FETCH = """
import sys, urllib.request
for url in sys.argv[1:]:
    try:
        print(urllib.request.urlopen(url, timeout=3).read().decode())
    except OSError as error:
        print("error", error)
"""
LOOK_UP = """
import socket, sys
for name in sys.argv[1:]:
    try:
        print(*sorted({row[4][0] for row in socket.getaddrinfo(name, 80)}))
    except OSError as error:
        print("error", error)
"""
OWN_ADDRESS = """
import socket, sys
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.connect((sys.argv[1], 80))
print(sock.getsockname()[0])
"""


def links_of(machine: Machine) -> list[str]:
    listed = machine.run(["ip", "-br", "link"]).stdout.splitlines()
    return [line.split()[0].partition("@")[0] for line in listed]


def create(swarm: Swarm, name: str, *flags: str, program: str = SERVE) -> None:
    swarm.command(
        swarm.machines.by_name["m1"],
        *("service", "create", "--name", name, "--env", "SLOT={{.Task.Slot}}", *flags),
        *("--stop-grace-period", "1s", "--process", "--", sys.executable, "-c", program),
    )


def tasks(swarm: Swarm, service: str) -> dict[str, str]:
    """Ids of a service's running tasks, by slot."""
    rows = swarm.rows(
        swarm.machines.by_name["m1"],
        *("service", "ps", "--no-trunc", "--filter", "desired-state=running", service),
    )
    return {str(row["Name"]).split(".")[1]: str(row["ID"]) for row in rows}


def places(swarm: Swarm, service: str) -> dict[str, str]:
    """On which node each running task of a service is, by slot."""
    rows = swarm.rows(
        swarm.machines.by_name["m1"],
        *("service", "ps", "--filter", "desired-state=running", service),
    )
    return {str(row["Name"]).split(".")[1]: str(row["Node"]) for row in rows}


def inside(swarm: Swarm, task: str, program: str, *words: str) -> list[str]:
    """The lines a program prints that runs in the surroundings of a task."""
    said = swarm.command(
        swarm.machines.by_name["m1"], "exec", task, sys.executable, "-c", program, *words
    )
    return said.splitlines()


def from_client(swarm: Swarm, *urls: str) -> list[str]:
    done = swarm.machines.client.run([sys.executable, "-c", FETCH, *urls])
    return done.stdout.splitlines()


@contextlib.contextmanager
def ipv6_underlay(swarm: Swarm) -> Iterator[dict[str, str]]:
    """Have all machines, and the client, reach each other by IPv6; yields their addresses."""
    every = swarm.machines.by_name
    found = {name: f"fd99::{machine.address.rpartition('.')[2]}" for name, machine in every.items()}
    verbs = {name: ("ip", "addr", "{}", f"{one}/64", "dev", "eth0") for name, one in found.items()}
    for name, words in verbs.items():
        every[name].run([*(word.format("add") for word in words), "nodad"])
    try:
        yield found
    finally:
        for name, words in verbs.items():
            every[name].run([word.format("del") for word in words])


def warnings(swarm: Swarm) -> list[str]:
    """What the daemons found wrong with networks."""
    return [
        line
        for machine in swarm.machines.nodes()
        for line in (machine.directory / "daemon.log").read_text().splitlines()
        if "repaired" in line or "problem" in line
    ]


@contextlib.contextmanager
def network_swarm(names: Sequence[str] = NAMES, *, init: Sequence[str] = ()) -> Iterator[Swarm]:
    """A manager and workers, named in this order; afterwards nothing of their networks is left.

    Args:
        init: more flags for `swarmd init`.
    """
    left: list[str] = []
    with machines(names) as made:
        swarm = Swarm(made)
        try:
            first = made.by_name[names[0]]
            swarm.start_daemon(first)
            swarm.command(first, "init", "--advertise-addr", first.address, *init)
            for name in names[1:]:
                swarm.join(made.by_name[name], first, "worker")
            yield swarm
        finally:
            swarm.stop()
            left += leftovers(swarm)
    assert not left


def leftovers(swarm: Swarm) -> list[str]:
    """Namespaces, links, rules, addresses, routes and ports that daemons have left behind."""
    left = swarm.machines.left()
    for machine in swarm.machines.nodes():
        found = machine.run(["nft", "list", "ruleset"]).stdout.splitlines()
        found += [name for name in links_of(machine) if name not in ("lo", "eth0")]
        listed = machine.run(["ip", "-o", "addr"]).stdout.splitlines()
        own = ("127.0.0.1/8", "::1/128", "fe80::", f"{machine.address}/")
        found += [line for line in listed if not any(known in line for known in own)]
        found += machine.run(["ip", "rule"]).stdout.splitlines()[3:]
        found += machine.run(["ss", "-Hlntu"]).stdout.splitlines()
        left += [f"{machine.name}: {line}" for line in found]
    return left


def in_namespace(path: Path, *command: str) -> None:
    subprocess.run(["nsenter", f"--net={path}", *command], check=True)


def ready(swarm: Swarm) -> int:
    try:
        rows = swarm.rows(swarm.machines.by_name["m1"], "node", "ls")
    except CommandFailed:
        return 0
    return sum(row["Status"] == "Ready" for row in rows)


def is_in_touch(swarm: Swarm, ids: Iterable[str]) -> bool:
    """Whether commands can be run beside these tasks."""
    try:
        return all(inside(swarm, task, LOOK_UP, "web") for task in ids)
    except CommandFailed:
        return False


def namespaces(swarm: Swarm, kind: str) -> list[Path]:
    return [
        path
        for machine in swarm.machines.nodes()
        for path in (machine.state_dir / "run" / kind).glob("*")
        if os.path.lexists(path)
    ]


def lacking() -> str:
    """Why there can be no such swarm here; empty when there can."""
    return namespaces_available() or nft.missing()


def footprint(swarm: Swarm) -> frozenset[str]:
    """What the machines hold of networks: interfaces, addresses, rules, ports, namespaces."""
    found: set[str] = set()
    for machine in swarm.machines.nodes():
        lines = [f"link {name}" for name in links_of(machine)]
        listings = (
            ("ip", "-o", "addr", "show", "scope", "global"),
            ("ip", "rule"),
            ("ip", "route"),
            ("nft", "list", "ruleset"),
            ("ss", "-Hlntu"),
            ("bridge", "fdb"),
        )
        for argv in listings:
            lines += machine.run(argv).stdout.splitlines()
        run = machine.state_dir / "run"
        lines += [str(path) for path in run.glob("*/*")]
        if (run / "ingress").exists():
            inner = ["nsenter", f"--net={run / 'ingress'}"]
            for argv in listings:
                lines += machine.run([*inner, *argv]).stdout.splitlines()
        # Not: numbers of interfaces, made-up hardware addresses, whether anybody is at a bridge.
        lines = [line.replace(" linkdown", "") for line in lines if " permanent" not in line]
        found |= {f"{machine.name}: {line.lstrip('0123456789: ').rstrip()}" for line in lines}
    return frozenset(found)
