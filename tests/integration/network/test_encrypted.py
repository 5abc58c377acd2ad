"""An encrypted network on a swarm of real daemons, with somebody listening on the wire."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from demo.machines import Machine, machines, namespaces_available
from demo.swarm import Swarm, wait_until
from swarmd.network.kernel import nft, tun
from tests.support.sniffing import sniffing

lacking = namespaces_available() or nft.missing() or tun.missing()
pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(bool(lacking), reason=lacking or "-"),
]

NAMES = ("m1", "w1", "w2")
SECRET = "open-sesame"
SERVE = f"""
import socketserver
class Handler(socketserver.StreamRequestHandler):
    def handle(self):
        for line in self.rfile:
            self.wfile.write(line.strip() + b" {SECRET}\\n")
class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
Server(("", 80), Handler).serve_forever()
"""
ASK = """
import socket, sys
name, times = sys.argv[1], int(sys.argv[2])
told = 0
for turn in range(times):
    try:
        with socket.create_connection((name, 80), 3) as sock:
            sock.settimeout(3)
            sock.sendall(b"x" * 20000 + b"\\n")
            got = b""
            while not got.endswith(b"\\n"):
                more = sock.recv(65536)
                if not more:
                    break
                got += more
            told += got.endswith(b"x open-sesame\\n")
    except OSError as error:
        print("error", error, file=sys.stderr)
print(told)
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
            left += made.left()
            for machine in made.nodes():
                left += machine.run(["nft", "list", "ruleset"]).stdout.splitlines()
                left += [
                    line
                    for line in machine.run(["ip", "rule"]).stdout.splitlines()
                    if "fwmark" in line
                ]
                listed = machine.run(["ip", "-br", "link"]).stdout.splitlines()
                names = (line.split()[0].partition("@")[0] for line in listed)
                left += [name for name in names if name not in ("lo", "eth0")]
    assert not left


def create(swarm: Swarm, name: str, where: Machine, *flags: str, program: str) -> str:
    """A service of one task on a node; the id of the task."""
    first = swarm.machines.by_name["m1"]
    swarm.command(
        first,
        *("service", "create", "--name", name, "--constraint", f"node.ip=={where.address}"),
        *(*flags, "--stop-grace-period", "1s", "--process", "--", sys.executable, "-c", program),
    )
    [row] = swarm.rows(
        first, "service", "ps", "--no-trunc", "--filter", "desired-state=running", name
    )
    return str(row["ID"])


def ask(swarm: Swarm, task: str, name: str, times: int) -> int:
    """How many of so many questions got their answer."""
    said = swarm.command(
        swarm.machines.by_name["m1"],
        *("exec", task, sys.executable, "-c", ASK, name, str(times)),
    )
    return int(said.splitlines()[-1])


def wire(machine: Machine) -> Path:
    [word] = [word for word in machine.command([]) if word.startswith("--net=")]
    return Path(word.removeprefix("--net="))


def test_nobody_on_the_wire_can_read_an_encrypted_network(swarm: Swarm) -> None:
    first, one, two = (swarm.machines.by_name[name] for name in NAMES)
    swarm.command(first, "network", "create", "--opt", "encrypted", "shut")
    swarm.command(first, "network", "create", "open")
    nets = ("--network", "shut", "--network", "open")
    create(swarm, "web", two, "--network", "shut", program=SERVE)
    create(swarm, "clear", two, "--network", "open", program=SERVE)
    client = create(swarm, "client", one, *nets, program="import time; time.sleep(1e6)")
    wait_until(lambda: ask(swarm, client, "web", 1) == 1, what="the tunnel to be open")

    with sniffing(wire(one), "eth0") as tap:
        assert ask(swarm, client, "web", 20) == 20
        assert len(tap.packets) > 100
        assert 4789 not in tap.udp_ports()
        assert not tap.saw(SECRET.encode())
        assert not tap.saw(b"x" * 16)
        # The same program on a network in the clear shows what it would look like.
        assert ask(swarm, client, "clear", 1) == 1
        wait_until(lambda: tap.saw(SECRET.encode()), what="the clear network to be read")
        assert 4789 in tap.udp_ports()

    # While nothing encrypts, nothing passes; and all is well again with the daemon.
    daemon = swarm.daemons.pop(two.name)
    daemon.send_signal(signal.SIGKILL)
    daemon.wait()
    with sniffing(wire(one), "eth0") as tap:
        assert ask(swarm, client, "web", 1) == 0
        assert 4789 not in tap.udp_ports()
    swarm.start_daemon(two)
    wait_until(lambda: ask(swarm, client, "web", 1) == 1, what="the tunnel to be back")
    for name in ("web", "clear", "client"):
        swarm.command(first, "service", "rm", name)
