"""Networks of an ordinary user's node: real daemons of user nobody, who may change nothing here."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from demo.machines import Machine, namespaces_available
from demo.swarm import Swarm, wait_until
from swarmd.network.kernel import nft
from tests.support.network_swarm import (
    FETCH,
    LOOK_UP,
    OWN_ADDRESS,
    SERVE,
    create,
    from_client,
    inside,
    is_in_touch,
    tasks,
)
from tests.support.nobody import NOBODY
from tests.support.rootless import rootless_swarm, why_not

WHY_NOT = why_not() or namespaces_available() or nft.missing()
pytestmark = [pytest.mark.root, pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT or "-")]

MUCH = 4 << 20
# Answers datagrams with who has sent them, and connections with much, beside answering HTTP.
ECHO = (
    """
import os, socket, threading
def echo():
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("", 7777))
    while True:
        data, sender = sock.recvfrom(2048)
        sock.sendto(f"{data.decode()} {sender[0]} {os.environ['SLOT']}".encode(), sender)
def pour():
    server = socket.create_server(("", 7777))
    while True:
        sock, _ = server.accept()
        with sock:
            sock.sendall(bytes(4 << 20))
for work in (echo, pour):
    threading.Thread(target=work, daemon=True).start()
"""
    + SERVE
)
SAY = """
import socket, sys
for word in sys.argv[2:]:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.settimeout(3)
    sock.sendto(word.encode(), (sys.argv[1], 7777))
    print(sock.recv(2048).decode())
"""
TAKE = """
import socket, sys
with socket.create_connection((sys.argv[1], 7777), 5) as sock:
    print(sum(iter(lambda: len(sock.recv(1 << 20)), 0)))
"""
RIGHTS = """
import os
print(os.getuid(), *[line.split()[1] for line in open("/proc/self/status") if "CapEff" in line])
"""
NO_RIGHTS = "0000000000000000"


@pytest.fixture(scope="module")
def swarm() -> Iterator[Swarm]:
    """The user's manager, and a worker of root's."""
    with rootless_swarm(("m1",), ("w1",)) as made:
        first = made.machines.by_name["m1"]
        made.command(first, "network", "create", "front")
        made.command(first, "network", "create", "--internal", "back")
        yield made


def node(swarm: Swarm, machine: str) -> tuple[str, str]:
    return "--constraint", f"node.hostname=={machine}"


def first_of(swarm: Swarm) -> Machine:
    return swarm.machines.by_name["m1"]


@pytest.fixture(scope="module")
def web(swarm: Swarm) -> list[str]:
    spread = ("--network", "front", "--replicas", "2", "--publish", "8080:80")
    create(swarm, "web", *spread, *node(swarm, "m1"), "--health-http", "80/", program=ECHO)
    create(swarm, "asker", "--network", "front", *node(swarm, "m1"))
    return sorted(tasks(swarm, "web"))


def asker(swarm: Swarm) -> str:
    [found] = tasks(swarm, "asker").values()
    return found


def test_info_says_what_an_ordinary_user_has_and_lacks(swarm: Swarm):
    info = swarm.json(first_of(swarm), "info")
    assert info["Balancer"] == "nft"
    assert "user namespace" in info["BalancerReason"]
    lacking = " ".join(info["Lacking"])
    assert "no overlay networks" not in lacking
    assert "TCP over IPv4" in lacking


def test_tasks_have_no_rights_and_reach_each_other_by_name(swarm: Swarm, web: list[str]):
    one = asker(swarm)
    assert inside(swarm, one, RIGHTS) == [f"{NOBODY} {NO_RIGHTS}"]
    [own] = inside(swarm, one, OWN_ADDRESS, "web")
    answers = inside(swarm, one, FETCH, *["http://web/"] * 4)
    assert sorted(answers) == sorted(f"{slot} {own}" for slot in web for _ in range(2))
    said = inside(swarm, one, SAY, "web", "a", "b")
    assert sorted(line.split()[-1] for line in said) == web
    assert {line.split()[1] for line in said} == {own}


def test_published_ports_lead_in(swarm: Swarm, web: list[str]):
    urls = [f"http://{first_of(swarm).address}:8080/"] * 4
    wait_until(
        lambda: sorted(line.split()[0] for line in from_client(swarm, *urls)) == sorted(web * 2),
        what="both tasks to answer",
    )


def test_the_way_out_is_the_machines_own_and_closed_to_internal_networks(swarm: Swarm):
    outside = swarm.machines.client
    create(swarm, "shut", "--network", "back", *node(swarm, "m1"))
    [shut] = tasks(swarm, "shut").values()
    with (outside.directory / "server.log").open("wb") as output:
        server = outside.start(
            ["env", "SLOT=out", "PORT=9000", sys.executable, "-c", SERVE], output=output
        )
    url = f"http://{outside.address}:9000/"
    try:
        wait_until(lambda: "out" in "".join(from_client(swarm, url)), what="the server to answer")
        assert inside(swarm, asker(swarm), FETCH, url) == [f"out {first_of(swarm).address}"]
        [refused] = inside(swarm, shut, FETCH, url)
        assert refused.startswith("error")
        # Nobody listens there: that is told, too.
        [reset] = inside(swarm, asker(swarm), FETCH, f"http://{outside.address}:9001/")
        assert reset.startswith("error")
    finally:
        server.terminate()
        server.wait()
    swarm.command(first_of(swarm), "service", "rm", "shut")


def test_the_next_daemon_takes_over(swarm: Swarm, web: list[str]):
    first = first_of(swarm)
    before = (asker(swarm), *tasks(swarm, "web").values())
    swarm.command(first, "stop")
    swarm.daemons.pop("m1").wait()
    swarm.start_daemon(first)
    wait_until(lambda: is_in_touch(swarm, before), what="its tasks to be in touch")
    assert (asker(swarm), *tasks(swarm, "web").values()) == before
    answers = inside(swarm, asker(swarm), FETCH, *["http://web/"] * 2)
    assert sorted(line.split()[0] for line in answers) == web
    assert len(inside(swarm, asker(swarm), LOOK_UP, "web")[0].split()) >= 1
    test_published_ports_lead_in(swarm, web)


def test_tasks_of_other_nodes_are_on_the_same_network(swarm: Swarm, web: list[str]):
    create(swarm, "far", "--network", "front", *node(swarm, "w1"), program=ECHO)
    [far] = tasks(swarm, "far").values()
    [own] = inside(swarm, asker(swarm), OWN_ADDRESS, "far")
    wait_until(
        lambda: inside(swarm, asker(swarm), FETCH, "http://far/") == [f"1 {own}"],
        what="the user's task to reach root's",
    )
    answers = inside(swarm, far, FETCH, *["http://web/"] * 4)
    assert sorted(line.split()[0] for line in answers) == sorted(web * 2)
    assert inside(swarm, asker(swarm), SAY, "far", "x") == [f"x {own} 1"]
    # Much at once, too, which a sender on the same machine cuts in pieces for no interface.
    assert inside(swarm, asker(swarm), TAKE, "far") == [str(MUCH)]
    assert inside(swarm, far, TAKE, "web") == [str(MUCH)]


def test_nothing_is_left_of_tasks_and_networks(swarm: Swarm):
    first = first_of(swarm)
    for name in ("web", "asker", "far"):
        swarm.command(first, "service", "rm", name)
    run = Path(first.state_dir / "run")
    wait_until(
        lambda: (
            [path.name for kind in ("tasks", "networks") for path in (run / kind).glob("*")] == []
        ),
        what="namespaces to be gone",
    )
