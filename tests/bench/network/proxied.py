"""What the userspace proxy costs: rates, and processor time of all who take part.

    python -m tests.bench.network.proxied [--rounds 5] [--seconds 1]

A client and a server in C on loopback, and the proxy in a process of its own between them; with and
without it in turns. Rates are what a client gets; processor time is that of client, server and
proxy for each request, which stays the same on a busy machine.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import random
import statistics
import subprocess
import tempfile
import time
from multiprocessing.connection import Connection
from pathlib import Path

from swarmd.lb.core.tables import Backend, PortMapping, PublishedPort, ServiceEndpoints, Tables
from swarmd.lb.proxy import Place, ProxyBalancer
from swarmd.model.ids import NodeId, ServiceId, TaskId
from swarmd.model.states import Protocol
from swarmd.runtime.clock import SystemClock
from tests.bench.network.loads import Client, compiled

TASK, ENTRY = "127.0.0.21", "127.0.0.22"
SERVED, PUBLISHED = 18_090, 18_091
CONNECTIONS = {"keep": 16, "close": 16, "bulk": 4}
UNITS = {
    "keep": "requests on kept connections",
    "close": "a connection for each request",
    "bulk": "bulk, MB",
}


def serve_proxy(control: Connection) -> None:
    """The proxy; says what is wrong, if anything, and goes on until it is ended."""
    row = ServiceEndpoints(
        service_id=ServiceId("bench"),
        service_name="bench",
        ports=(PublishedPort(Protocol.TCP, PUBLISHED, SERVED),),
        backends=(
            Backend(
                task_id=TaskId("task"),
                node_id=NodeId("node"),
                address=TASK,
                ports=(PortMapping(Protocol.TCP, SERVED, SERVED),),
            ),
        ),
    )

    async def serve() -> None:
        balancer = ProxyBalancer(
            place=Place(node_name="bench", listen=(ENTRY,)),
            clock=SystemClock(),
            rng=random.Random(1),
        )
        control.send((await balancer.apply(Tables(1, {row.service_id: row}))).problems)
        await asyncio.Event().wait()

    asyncio.run(serve())


def used_us(pid: int) -> float:
    """The processor time of a process, all threads."""
    threads = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((thread / "schedstat").read_text().split()[0]) for thread in threads) / 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=1)
    wanted = parser.parse_args()
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe()
    proxy = spawn.Process(target=serve_proxy, args=(theirs,), daemon=True)
    rates: dict[tuple[str, str], list[float]] = {}
    costs: dict[tuple[str, str], list[float]] = {}
    with tempfile.TemporaryDirectory() as directory:
        program = compiled(Path(directory))
        server = subprocess.Popen([str(program), "serve", str(SERVED)])
        try:
            proxy.start()
            if problems := ours.recv():
                raise SystemExit("\n".join(problems))
            time.sleep(0.2)  # until the server listens, too
            helpers = (server.pid, proxy.pid or 0)
            for _ in range(wanted.rounds):
                for mode, connections in CONNECTIONS.items():
                    for way, (address, port) in {
                        "direct": (TASK, SERVED),
                        "proxied": (ENTRY, PUBLISHED),
                    }.items():
                        before = sum(map(used_us, helpers))
                        outcome = Client(
                            program,
                            [],
                            mode,
                            address,
                            port=port,
                            seconds=wanted.seconds,
                            connections=connections,
                        ).outcome()
                        used = outcome.used_us + sum(map(used_us, helpers)) - before
                        count = outcome.bytes / 1e6 if mode == "bulk" else outcome.requests
                        rates.setdefault((mode, way), []).append(count / outcome.spent_us * 1e6)
                        costs.setdefault((mode, way), []).append(used / count)
        finally:
            proxy.terminate()
            proxy.join()
            server.kill()
            server.wait()
    for mode, unit in UNITS.items():
        direct, proxied = (
            (max(rates[mode, way]), statistics.median(costs[mode, way]))
            for way in ("direct", "proxied")
        )
        print(
            f"{unit}: best rate {direct[0]:,.0f}/s direct, {proxied[0]:,.0f}/s proxied, ratio "
            f"{proxied[0] / direct[0]:.2f}; {direct[1]:.1f} and {proxied[1]:.1f} us of processor "
            f"time each, ratio {direct[1] / proxied[1]:.2f}"
        )


if __name__ == "__main__":
    main()
