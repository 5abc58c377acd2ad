"""Overlays on a swarm of real daemons, as a person would use them; and nothing is left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator
from ipaddress import ip_network
from pathlib import Path

import pytest

from demo.machines import Machine, machines, namespaces_available
from demo.swarm import CommandFailed, Swarm, wait_until
from swarmd.network.kernel import nft

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(
        bool(namespaces_available() or nft.missing()),
        reason=namespaces_available() or nft.missing() or "-",
    ),
]

NAMES = ("m1", "w1", "w2")
SERVE = """
import http.server, os
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        body = f"{os.environ['SLOT']} {self.client_address[0]}".encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *words):
        pass
http.server.ThreadingHTTPServer(("", int(os.environ["PORT"])), Handler).serve_forever()
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


@pytest.fixture
def swarm() -> Iterator[Swarm]:
    """A manager and two workers; afterwards nothing of their networks may be left."""
    left: list[str] = []
    with machines(NAMES) as made:
        swarm = Swarm(made)
        try:
            swarm.init(made.by_name["m1"])
            for name in NAMES[1:]:
                swarm.join(made.by_name[name], made.by_name["m1"], "worker")
            yield swarm
        finally:
            swarm.stop()
            left += made.mounts()
            for machine in made.nodes():
                left += machine.run(["nft", "list", "ruleset"]).stdout.splitlines()
                names = links_of(machine)
                left += [f"{machine.name}: {name}" for name in names if name not in ("lo", "eth0")]
    assert not left


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


def inside(swarm: Swarm, task: str, program: str, *words: str) -> list[str]:
    """The lines a program prints that runs in the surroundings of a task."""
    said = swarm.command(
        swarm.machines.by_name["m1"], "exec", task, sys.executable, "-c", program, *words
    )
    return said.splitlines()


def from_client(swarm: Swarm, *urls: str) -> list[str]:
    done = swarm.machines.client.run([sys.executable, "-c", FETCH, *urls])
    return done.stdout.splitlines()


def warnings(swarm: Swarm) -> list[str]:
    """What the daemons found wrong with networks."""
    return [
        line
        for machine in swarm.machines.nodes()
        for line in (machine.directory / "daemon.log").read_text().splitlines()
        if "repaired" in line or "problem" in line
    ]


def test_services_reach_each_other_by_name_and_keep_doing_so_while_daemons_restart(
    swarm: Swarm,
) -> None:
    first = swarm.machines.by_name["m1"]
    swarm.command(first, "network", "create", "front")
    swarm.command(first, "network", "create", "--internal", "back")
    create(swarm, "web", "--network", "front", "--replicas", "3", "--publish", "8080:80")
    create(
        swarm, "db", "--network", "back", "--network", "front", "--publish", "mode=host,target=5432"
    )
    create(swarm, "cut", "--network", "back", program="import time; time.sleep(1e6)")
    web, [db], [cut] = (
        tasks(swarm, "web"),
        tasks(swarm, "db").values(),
        tasks(swarm, "cut").values(),
    )

    # Names stand for virtual addresses, and for the tasks themselves; each on its own networks.
    vip, members, unknown = inside(swarm, db, LOOK_UP, "web", "tasks.web", "cut")
    assert len(vip.split()) == 1
    assert len(members.split()) == 3
    assert unknown.startswith("error") is False
    assert inside(swarm, cut, LOOK_UP, "web")[0].startswith("error")
    answers = inside(swarm, db, FETCH, *["http://web/"] * 6)
    assert sorted(answer.split()[0] for answer in answers) == ["1", "1", "2", "2", "3", "3"]
    # Tasks see who calls: another task by its own address, a client from outside by its own, too.
    own = inside(swarm, db, OWN_ADDRESS, vip)
    assert {answer.split()[1] for answer in answers} == set(own)
    by_address = inside(swarm, web["1"], FETCH, *(f"http://{one}/" for one in members.split()))
    assert sorted(answer.split()[0] for answer in by_address) == ["1", "2", "3"]
    urls = [f"http://{machine.address}:8080/" for machine in swarm.machines.nodes()]
    wait_until(
        lambda: (
            {answer.split()[1] for answer in from_client(swarm, *urls * 3)}
            == {swarm.machines.client.address}
        ),
        what="every node to answer with the client's address",
    )
    # A task on an internal network alone gets nowhere else.
    [refused] = inside(swarm, cut, FETCH, f"http://{first.address}:8080/")
    assert "unreachable" in refused

    # Without any manager everything goes on, and the daemon that comes back changes nothing.
    daemon = swarm.daemons.pop(first.name)
    daemon.send_signal(signal.SIGKILL)
    daemon.wait()
    answers = from_client(swarm, *urls)
    assert {answer.split()[1] for answer in answers} == {swarm.machines.client.address}
    swarm.start_daemon(first)
    wait_until(lambda: ready(swarm) == len(NAMES), what="the nodes to be ready again")
    wait_until(lambda: is_in_touch(swarm, (db, web["1"])), what="tasks to be reached again")
    assert tasks(swarm, "web") == web
    assert len(inside(swarm, db, LOOK_UP, "tasks.web")[0].split()) == 3
    assert [
        one for one in inside(swarm, web["1"], FETCH, *["http://web/"] * 3) if "error" in one
    ] == []
    assert not warnings(swarm)

    # What somebody takes away by hand comes back: an interface, all rules.
    for machine in swarm.machines.nodes():
        in_namespace(machine.state_dir / "run" / "ingress", "ip", "link", "del", "br0")
        machine.run(["nft", "flush", "ruleset"])
        for path in (machine.state_dir / "run" / "tasks").iterdir():
            in_namespace(path, "nft", "flush", "ruleset")
    wait_until(
        lambda: "error" not in " ".join(from_client(swarm, *urls)), what="the mesh to be mended"
    )
    wait_until(
        lambda: "error" not in " ".join(inside(swarm, db, FETCH, *["http://web/"] * 3)),
        what="names and virtual addresses to be mended",
    )
    assert any("repaired" in line for line in warnings(swarm))

    # What can't be is refused, or told, in a sentence.
    subnet = str(ip_network(f"{vip}/24", strict=False))
    with pytest.raises(CommandFailed, match="shares addresses with"):
        swarm.command(first, "network", "create", "--subnet", subnet, "twin")
    with pytest.raises(CommandFailed, match="8080"):
        create(swarm, "rival", "--publish", "8080:80")
    firewall = swarm.machines.by_name["w1"]
    firewall.run(
        [
            "nft",
            "table inet wall { chain in { type filter hook input priority 0; "
            "udp dport 4789 drop; }; }",
        ]
    )
    with pytest.raises(CommandFailed, match="4789"):
        swarm.command(first, "doctor")
    firewall.run(["nft", "delete table inet wall"])
    assert "4789" not in swarm.command(first, "doctor")

    for name in ("web", "db", "cut"):
        swarm.command(first, "service", "rm", name)
    wait_until(lambda: not namespaces(swarm, "tasks"), what="the namespaces of tasks to go")
    wait_until(lambda: not namespaces(swarm, "networks"), what="the overlays to go")


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
