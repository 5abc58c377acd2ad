"""How soon all nodes act on a change, and how long a crash of a task is felt.

    python -m tests.bench.network.changes [--changes 50] [--crashes 10]

Three daemons. A change is a service that comes to a network, or goes: from the moment the request
is sent until the leader has heard from all three that their kernels balance by the new table. A
crash is a server of three that is killed while clients connect anew for each request, through the
mesh and by the virtual address: until the last request that fails.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import statistics
import time
from pathlib import Path

from demo.swarm import wait_until
from swarmd.rpc.channel import Channel
from swarmd.rpc.pb import control, doctor, specs
from tests.bench.network.ground import NAMES, PUBLISHED, Ground, ground
from tests.bench.network.loads import PORT, Client

POLL_S = 0.002
SETTLE_S = 1.0
PAUSE_US = 2_000
VICTIMS = ("m1", "w2")  # clients come in by the third machine


async def changes(ground: Ground, count: int) -> list[float]:
    """Milliseconds from a request to the last node's acknowledgement."""
    network_id = ground.swarm.json(ground.first, "network", "inspect", "net")[0]["ID"]
    channel = Channel(f"unix:{ground.first.socket}")
    try:
        asking = channel.stub("docker.swarmkit.v1.Control")
        doctoring = channel.stub("swarmd.v1.Doctor")

        async def versions() -> list[int]:
            request = doctor.InspectTableRequest(network_id=network_id)
            answer = await doctoring.InspectTable(request, timeout_s=5)
            return [node.table.applied.version for node in answer.nodes]

        spec = specs.ServiceSpec()
        spec.annotations.name = "guest"
        spec.task.container.executor = "process"
        spec.task.container.command.append("true")
        spec.task.networks.add(target=network_id)
        spec.replicated.replicas = 0
        took = []
        service_id = ""
        for _ in range(count):
            await asyncio.sleep(SETTLE_S)
            before = max(await versions())
            begun = time.monotonic()
            if service_id:
                request = control.RemoveServiceRequest(service_id=service_id)
                await asking.RemoveService(request, timeout_s=5)
                service_id = ""
            else:
                answer = await asking.CreateService(
                    control.CreateServiceRequest(spec=spec), timeout_s=5
                )
                service_id = answer.service.id
            while min(await versions()) <= before:
                await asyncio.sleep(POLL_S)
            took.append((time.monotonic() - begun) * 1000)
        return took
    finally:
        await channel.close()


def crash(ground: Ground, machine: str) -> dict[str, float]:
    """Milliseconds from the death of the server on a machine to the last failure, by way."""
    wait_until(lambda: len(ground.tasks("web")) == len(NAMES), what="three servers")
    time.sleep(SETTLE_S)
    outside = ground.swarm.machines.client.command([])
    entry = ground.swarm.machines.by_name["w1"].address
    clients = {
        "mesh": Client(ground.program, outside, "close", entry, port=PUBLISHED, pause_us=PAUSE_US),
        "virtual address": Client(
            ground.program, ground.asker("w1"), "close", ground.virtual_ip("web"), pause_us=PAUSE_US
        ),
    }
    try:
        time.sleep(SETTLE_S)
        victim = next(task for task, name in ground.tasks("web").items() if name == machine)
        killed_us = time.monotonic_ns() // 1000
        os.kill(_process(ground.space(machine, victim), str(ground.program)), signal.SIGKILL)
        time.sleep(3 * SETTLE_S)
    finally:
        ended = {name: client.end() for name, client in clients.items()}
    windows = {}
    for name, answers in ended.items():
        late = [one.at_us - killed_us for one in answers.failures if one.at_us > killed_us]
        windows[name] = max(late, default=0) / 1000
    return windows


def _process(space: Path, program: str) -> int:
    """The process of a program in a namespace."""
    inode = space.stat().st_ino
    for process in Path("/proc").iterdir():
        try:
            if (
                process.name.isdecimal()
                and os.readlink(process / "exe") == program
                and (process / "ns/net").stat().st_ino == inode
            ):
                return int(process.name)
        except OSError:
            continue
    raise LookupError(f"no {program} in {space}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--changes", type=int, default=50)
    parser.add_argument("--crashes", type=int, default=10)
    wanted = parser.parse_args()
    with ground() as made:
        took = sorted(asyncio.run(changes(made, wanted.changes)))
        print(
            f"{len(took)} changes until three nodes act on them: median "
            f"{statistics.median(took):.0f} ms, 95 % within {took[int(len(took) * 0.95)]:.0f} ms",
            flush=True,
        )
        made.serve(
            "web",
            *("--replicas", "3", "--publish", f"{PUBLISHED}:{PORT}", "--restart-delay", "4s"),
        )
        # In turns: where a service fails too often it isn't placed any more.
        windows = [crash(made, VICTIMS[one % len(VICTIMS)]) for one in range(wanted.crashes)]
    for name in windows[0]:
        row = sorted(window[name] for window in windows)
        print(
            f"a task crashes, last error by {name}: median {statistics.median(row):.0f} ms, "
            f"worst of {len(row)} {row[-1]:.0f} ms",
            [round(x) for x in row],
        )


if __name__ == "__main__":
    main()
