"""What each way to a task costs: processor time of client, server and kernel for each request.

    python -m tests.bench.network.paths [--rounds 5] [--seconds 1]

Real daemons, one server on w2; clients beside tasks of w1 and w2, and outside of the swarm. What
the kernel does for a packet is done, and counted, in the process that sends it. Ways take turns;
medians are compared, as processor time stays the same where rates do not.
"""

from __future__ import annotations

import argparse
import socket
import statistics
from pathlib import Path
from typing import NamedTuple

from swarmd.network.kernel import netns
from tests.bench.network.ground import PUBLISHED, Ground, ground
from tests.bench.network.loads import PORT, Client

BASE = "overlay, another node"
HIDDEN = PUBLISHED + 1
CONNECTIONS = {"keep": 16, "close": 16, "bulk": 4}
UNITS = {
    "keep": "requests on kept connections, us each",
    "close": "a connection for each request, us each",
    "bulk": "bulk, us per MB",
}
REQUEST_BYTES, ANSWER_BYTES = 64, 128


class Way(NamedTuple):
    prefix: list[str]
    address: str
    port: int = PORT


def ways(ground: Ground, address: str) -> dict[str, Way]:
    """From whom, and to which address."""
    outside = ground.swarm.machines.client.command([])
    nodes = {name: machine.address for name, machine in ground.swarm.machines.by_name.items()}
    near, far = ground.asker("w2"), ground.asker("w1")
    virtual_ip = ground.virtual_ip("web")
    return {
        BASE: Way(far, address),
        "overlay, same node": Way(near, address),
        "virtual address, another node": Way(far, virtual_ip),
        "mesh, the task's node": Way(outside, nodes["w2"], PUBLISHED),
        "mesh, another node": Way(outside, nodes["w1"], PUBLISHED),
        "mesh, another node, masquerade": Way(outside, nodes["w1"], HIDDEN),
    }


def server_used_us(space: Path, address: str) -> int:
    """The processor time the server has used, which it tells by itself."""
    with netns.inside(space, lambda: socket.create_connection((address, PORT))) as sock:
        sock.sendall(b"U".ljust(REQUEST_BYTES, b"\0"))
        said = b""
        while len(said) < ANSWER_BYTES:
            said += sock.recv(ANSWER_BYTES)
    return int(said[1:].rstrip(b"\0"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=1)
    wanted = parser.parse_args()
    with ground() as made:
        node = made.swarm.json(made.swarm.machines.by_name["w2"], "info")["NodeID"]
        made.serve(
            "web",
            *("--constraint", f"node.id=={node}", "--publish", f"{PUBLISHED}:{PORT}"),
            *("--publish", f"published={HIDDEN},target={PORT},policy=masquerade"),
        )
        [task] = made.tasks("web")
        space = made.space("w2", task)
        address = made.address("w2", task, "web")
        costs: dict[tuple[str, str], list[float]] = {}
        rates: dict[tuple[str, str], list[float]] = {}
        found = ways(made, address)
        for _ in range(wanted.rounds):
            for mode, connections in CONNECTIONS.items():
                for name, way in found.items():
                    before = server_used_us(space, address)
                    outcome = Client(
                        made.program,
                        way.prefix,
                        mode,
                        way.address,
                        port=way.port,
                        seconds=wanted.seconds,
                        connections=connections,
                    ).outcome()
                    if outcome.errors:
                        print(f"{name}, {mode}: {outcome.errors} errors {outcome.failures[:2]}")
                    used = outcome.used_us + server_used_us(space, address) - before
                    count = outcome.bytes / 1e6 if mode == "bulk" else outcome.requests
                    costs.setdefault((mode, name), []).append(used / count)
                    rates.setdefault((mode, name), []).append(count / outcome.spent_us * 1e6)
    for mode, unit in UNITS.items():
        print(unit)
        base = statistics.median(costs[mode, BASE])
        for name in found:
            cost = statistics.median(costs[mode, name])
            print(
                f"  {name:32} {cost:8.1f}   ratio {base / cost:.2f}   "
                f"best rate {max(rates[mode, name]):10,.0f}/s"
            )


if __name__ == "__main__":
    main()
