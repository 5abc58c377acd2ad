"""Tasks get connections when they listen, and keep those they have until they are over."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest

from demo.machines import Machine, machines
from demo.swarm import Swarm, wait_until

NAMES = ("m1", "w1")
# Listens only after a second; answers every line of a client with its name.
SERVER = """
import os, signal, socketserver, sys, time
class Echo(socketserver.StreamRequestHandler):
    def handle(self):
        for line in self.rfile:
            self.wfile.write(os.environ["TASK"].encode() + b"\\n")
class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = daemon_threads = True
time.sleep(1)
Server(("", int(os.environ["PORT"])), Echo).serve_forever()
"""
# Asks once, says who answered, and begins to ask again, which it ends when it is told to: a
# connection on which nobody owes the other anything would not be waited for.
CLIENT = """
import socket, sys
peer = socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=20)
answers = peer.makefile()
peer.sendall(b"wh")
for _ in range(2):
    peer.sendall(b"o?\\n")
    print(answers.readline().strip(), flush=True)
    peer.sendall(b"wh")
    sys.stdin.readline()
"""


@pytest.fixture
def swarm() -> Iterator[Swarm]:
    """A manager that takes no tasks, and a worker."""
    with machines(NAMES) as made:
        swarm = Swarm(made)
        try:
            first = made.by_name["m1"]
            swarm.init(first)
            swarm.join(made.by_name["w1"], first, "worker")
            swarm.command(first, "node", "drain", "self")
            yield swarm
        finally:
            swarm.stop()


class Client:
    """A connection to the service, held open."""

    def __init__(self, swarm: Swarm, entry: Machine, port: int = 8080) -> None:
        argv = [sys.executable, "-c", CLIENT, entry.address, str(port)]
        command = swarm.machines.client.command(argv)
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self.task = self.answer()

    def answer(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def ask_again(self) -> str:
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return self.answer()

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()


def messages(swarm: Swarm) -> dict[str, str]:
    """What the tasks of the service wait for, by their id."""
    rows = swarm.rows(swarm.machines.by_name["m1"], "service", "ps", "web")
    return {row["ID"]: row["Error"] for row in rows}


def examined(swarm: Swarm) -> dict[str, dict[str, Any]]:
    """What `swarmd doctor` finds, by the name of the node's machine."""
    found = json.loads(swarm.command(swarm.machines.by_name["m1"], "doctor", "--format", "json"))
    ids = {
        swarm.json(machine, "info")["NodeID"]: machine.name for machine in swarm.machines.nodes()
    }
    return {ids[node["ID"]]: node for node in found}


def test_a_service_is_updated_around_its_connections(swarm: Swarm) -> None:
    first, worker = (swarm.machines.by_name[name] for name in NAMES)
    for node in examined(swarm).values():
        (way,) = node["Ways"]
        assert way["Underlay"]["Answered"]
        assert way["Underlay"]["MTU"] >= 1500
        # A machine whose kernel can't do it has no overlays, and says so.
        assert way["Overlay"].get("Answered") or "Untried" in way["Overlay"]
        assert node["Problems"] == []
    assert examined(swarm)["w1"]["Ways"][0]["Manager"]["Answered"]
    shown = swarm.command(first, "network", "inspect", "--verbose", "ingress")
    assert {node["State"] for node in json.loads(shown)[0]["Nodes"]} == {"ready"}
    swarm.command(
        first,
        *("service", "create", "--name", "web", "--publish", "8080:80"),
        *("--publish", "published=8081,target=80,policy=local"),
        *("--env", "TASK={{.Task.Name}}", "--update-order", "start-first"),
        *("--drain-timeout", "60s", "--process", "--", sys.executable, "-c", SERVER),
    )
    # Whoever is told that the service runs can connect to it, by any node; to the port for local
    # tasks by a node that has one.
    for machine, answers in ((first, False), (worker, True)):
        local = Client(swarm, machine, 8081)
        assert bool(local.task) is answers
        local.close()
    client = Client(swarm, worker)
    try:
        old = client.task
        (task_id,) = messages(swarm)
        assert old == f"web.1.{task_id}"
        swarm.command(first, "service", "update", "--detach", "--force", "web")
        wait_until(lambda: messages(swarm)[task_id] == "draining: 1 connection", what="draining")
        other = Client(swarm, first)
        assert other.task != old
        other.close()
        assert client.ask_again() == old
    finally:
        client.close()
    wait_until(
        lambda: "draining" not in messages(swarm).get(task_id, ""), what="the old task to end"
    )
    held = Client(swarm, worker)
    try:
        begun = time.monotonic()
        swarm.command(first, "service", "rm", "web")
        wait_until(lambda: held.ask_again() == "", what="the connection to end with its service")
        assert time.monotonic() - begun < 30
    finally:
        held.close()
