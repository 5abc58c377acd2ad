"""Encrypted networks on a swarm of real daemons, with somebody listening on the wire.

Each mechanism that this kernel has gets a network; `make test-vm` has a kernel with all of them.
Keys are replaced every few seconds all the while.
"""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from demo.machines import Machine, machines, namespaces_available
from demo.swarm import Swarm, wait_until
from swarmd.model.network import Mechanism
from swarmd.network.core.encryption import RING
from swarmd.network.crypt.encryption import lacking
from swarmd.network.crypt.guard import MARKS
from swarmd.network.crypt.wireguard import ROUTING_TABLE, device_name
from swarmd.network.kernel import links, nft, routing, tun, xfrm
from swarmd.network.kernel.netlink import open_netlink
from tests.support.quick_keys import EVERY_S
from tests.support.sniffing import Sniffer, sniffing

reason = namespaces_available() or nft.missing() or tun.missing()
pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(bool(reason), reason=reason or "-"),
]

NAMES = ("m1", "w1", "w2")
SECRET = b"open-sesame"
VXLAN_PORT = 4789
PATIENCE_S = 20 * EVERY_S
SERVE = f"""
import socketserver
class Handler(socketserver.StreamRequestHandler):
    def handle(self):
        for line in self.rfile:
            self.wfile.write(line.strip() + b" {SECRET.decode()}\\n")
class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
Server(("", 80), Handler).serve_forever()
"""
# Asks until it is told to end, some of the time on connections of their own; tells of each turn.
ASK = """
import socket, sys
while True:
    try:
        with socket.create_connection((sys.argv[1], 80), 5) as sock:
            for turn in range(5):
                sock.sendall(b"x" * 20000 + b"\\n")
                got = b""
                while not got.endswith(b"\\n"):
                    more = sock.recv(65536)
                    if not more:
                        raise OSError("it closed the connection")
                    got += more
                print("answered" if got.endswith(b"x open-sesame\\n") else "strange", flush=True)
    except OSError as error:
        print(error, flush=True)
"""
WAIT = "import time; time.sleep(1e6)"


@pytest.fixture(scope="module")
def swarm() -> Iterator[Swarm]:
    """A manager and two workers; afterwards nothing of their networks may be left."""
    left: list[str] = []
    with machines(NAMES) as made:
        swarm = Swarm(made)
        swarm.program = "tests.support.quick_keys"
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
                left += machine.run(["ip", "xfrm", "state"]).stdout.splitlines()
                left += machine.run(["ip", "rule"]).stdout.splitlines()[3:]
                listed = machine.run(["ip", "-br", "link"]).stdout.splitlines()
                names = (line.split()[0].partition("@")[0] for line in listed)
                left += [name for name in names if name not in ("lo", "eth0")]
    assert not left


def create(swarm: Swarm, name: str, where: Machine, *flags: str, program: str) -> Path:
    """A service of one task on a node; the namespace of the task."""
    first = swarm.machines.by_name["m1"]
    swarm.command(
        first,
        *("service", "create", "--name", name, "--constraint", f"node.ip=={where.address}"),
        *(*flags, "--stop-grace-period", "1s", "--process", "--", sys.executable, "-c", program),
    )
    [row] = swarm.rows(
        first, "service", "ps", "--no-trunc", "--filter", "desired-state=running", name
    )
    return where.state_dir / "run" / "tasks" / str(row["ID"])


def address_in(space: Path, start: str) -> str:
    """The address of a task that begins so."""
    words = ["nsenter", f"--net={space}", "ip", "-o", "-4", "address"]
    said = subprocess.run(words, check=True, capture_output=True, text=True).stdout.split()
    return next(word for word in said if word.startswith(start)).partition("/")[0]


def wire(machine: Machine) -> Path:
    [word] = [word for word in machine.command([]) if word.startswith("--net=")]
    return Path(word.removeprefix("--net="))


class Asking:
    """A task that asks another one, for as long as it takes."""

    def __init__(self, space: Path, address: str, log: Path) -> None:
        self._log = log
        words = ["nsenter", f"--net={space}", sys.executable, "-S", "-c", ASK, address]
        with log.open("wb") as output:
            self._process = subprocess.Popen(words, stdout=output)

    def said(self) -> list[str]:
        return self._log.read_text().splitlines()

    def wait(self, count: int) -> None:
        """Until there are so many more answers, and nothing else was said."""
        before = self.said()
        wait_until(
            lambda: len(self.said()) >= len(before) + count,
            what=f"{count} answers",
            timeout_s=PATIENCE_S,
        )
        assert set(self.said()[len(before) :]) == {"answered"}

    def wait_for_one(self) -> None:
        """Until there is an answer."""
        before = len(self.said())
        wait_until(
            lambda: "answered" in self.said()[before:], what="an answer", timeout_s=PATIENCE_S
        )

    def end(self) -> None:
        self._process.kill()
        self._process.wait()


@contextlib.contextmanager
def asking(space: Path, address: str, log: Path) -> Iterator[Asking]:
    made = Asking(space, address, log)
    try:
        yield made
    finally:
        made.end()


def key_in_use(mechanism: Mechanism, machine: Machine) -> object:
    """What tells the key that a node sends with from those before and after it."""
    if mechanism is Mechanism.IPSEC:
        with xfrm.open_xfrm(wire(machine)) as netlink:
            return frozenset(xfrm.policies(netlink, mark=MARKS[mechanism]))
    if mechanism is Mechanism.WIREGUARD:
        with open_netlink(wire(machine)) as netlink:
            return frozenset(
                route for route in routing.routes(netlink) if route.table == ROUTING_TABLE
            )
    return (machine.directory / "daemon.log").read_text().count("replaces=True")


def take_away(mechanism: Mechanism, machine: Machine) -> None:
    """Take away what encrypts, as a careless person would."""
    if mechanism is Mechanism.IPSEC:
        with xfrm.open_xfrm(wire(machine)) as netlink:
            netlink.do(*(xfrm.delete_state(state) for state in xfrm.states(netlink)))
    elif mechanism is Mechanism.WIREGUARD:
        with open_netlink(wire(machine)) as netlink:
            netlink.do(*(links.delete(device_name(slot)) for slot in range(RING)))


@pytest.mark.parametrize(
    "mechanism", [one for one in Mechanism if one not in lacking()], ids=lambda one: str(one.value)
)
def test_nobody_on_the_wire_can_read_an_encrypted_network(
    mechanism: Mechanism, swarm: Swarm, tmp_path: Path
) -> None:
    first, one, two = (swarm.machines.by_name[name] for name in NAMES)
    number = list(Mechanism).index(mechanism)
    start = f"10.77.{number}."
    net = f"shut-{mechanism.value}"
    swarm.command(
        first,
        *("network", "create", "--opt", "encrypted", "--subnet", f"{start}0/24"),
        *("--opt", f"swarmd.encryption={mechanism.value}", net),
    )
    web = create(swarm, f"web{number}", two, "--network", net, program=SERVE)
    client = create(swarm, f"client{number}", one, "--network", net, program=WAIT)
    with asking(client, address_in(web, start), tmp_path / "said") as asked:
        asked.wait_for_one()
        with sniffing(wire(one), "eth0") as tap:
            # Keys are replaced, twice; nothing is lost by that.
            for _ in range(2):
                until_another(lambda: key_in_use(mechanism, one))
                asked.wait(20)
        assert len(tap.packets) > 100
        assert is_shut(tap)

        # A daemon goes: the kernel's mechanisms go on, those of the daemon show nothing.
        daemon = swarm.daemons.pop(two.name)
        daemon.send_signal(signal.SIGKILL)
        daemon.wait()
        if mechanism is not Mechanism.TUNNEL:
            asked.wait(10)
        take_away(mechanism, two)
        with sniffing(wire(one), "eth0") as tap:
            time.sleep(EVERY_S / 2)
            before = len(asked.said())
            time.sleep(2 * EVERY_S)
            assert "answered" not in asked.said()[before:]
            assert is_shut(tap)
        swarm.start_daemon(two)
        asked.wait_for_one()
    for name in (f"web{number}", f"client{number}"):
        swarm.command(first, "service", "rm", name)


def test_the_same_in_the_clear_can_be_read(swarm: Swarm, tmp_path: Path) -> None:
    first, one, two = (swarm.machines.by_name[name] for name in NAMES)
    swarm.command(first, "network", "create", "--subnet", "10.78.0.0/24", "open")
    web = create(swarm, "clear", two, "--network", "open", program=SERVE)
    client = create(swarm, "reader", one, "--network", "open", program=WAIT)
    with (
        asking(client, address_in(web, "10.78."), tmp_path / "said") as asked,
        sniffing(wire(one), "eth0") as tap,
    ):
        asked.wait_for_one()
        wait_until(lambda: tap.saw(SECRET), what="the clear network to be read")
        assert VXLAN_PORT in tap.udp_ports()
    for name in ("clear", "reader"):
        swarm.command(first, "service", "rm", name)


def is_shut(tap: Sniffer) -> bool:
    """Whether nothing could be read of what tasks said."""
    return VXLAN_PORT not in tap.udp_ports() and not tap.saw(SECRET) and not tap.saw(b"x" * 16)


def until_another(look: Callable[[], object]) -> None:
    before = look()
    wait_until(lambda: look() != before, what="another key", timeout_s=PATIENCE_S)
