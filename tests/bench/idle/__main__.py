"""What three managers cost while nothing happens: CPU of each daemon, agents attached.

    python -m tests.bench.idle [--agents 500] [--tasks 5000] [--seconds 30] [--rounds 3]

Real daemons on machines of their own (network namespaces as root); the agents are one process on
another. CPU time is what the kernel has accounted to each daemon's process, memory its resident
set; the machines' shared noise shows as the spread of the rounds.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from demo.machines import machines
from demo.swarm import Swarm

MANAGERS = ("m1", "m2", "m3")
SETTLE_S = 8.0
_TICK_S = 1 / os.sysconf("SC_CLK_TCK")


def cpu_s(pid: int) -> float:
    """CPU time of a process and its threads so far."""
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * _TICK_S


def of_status(pid: int, name: str) -> int:
    with open(f"/proc/{pid}/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith(f"{name}:"))


def until_said(agents: subprocess.Popen[str], line: str) -> None:
    """Read what the agents print up to this line."""
    assert agents.stdout is not None
    for said in agents.stdout:
        if said.strip() == line:
            return
    raise RuntimeError(f"the agents ended before they said {line!r}")


def measure(swarm: Swarm, leader: str, seconds: float, rounds: int) -> None:
    shares: dict[str, list[float]] = {}
    for _ in range(rounds):
        begun = time.monotonic()
        before = {name: cpu_s(process.pid) for name, process in swarm.daemons.items()}
        time.sleep(seconds)
        took = time.monotonic() - begun
        for name, process in swarm.daemons.items():
            shares.setdefault(name, []).append((cpu_s(process.pid) - before[name]) / took * 100)
    for name, found in shares.items():
        role = "leader" if name == leader else "follower"
        memory = of_status(swarm.daemons[name].pid, "VmRSS") / 1024
        each = " ".join(f"{share:.2f}" for share in found)
        print(
            f"{name} {role:8} {statistics.median(found):5.2f} % of a core ({each}), "
            f"{memory:.0f} MB resident",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--agents", type=int, default=500)
    parser.add_argument("--tasks", type=int, default=5000)
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with machines(MANAGERS) as made:
        swarm = Swarm(made)
        try:
            first = made.by_name["m1"]
            swarm.init(first)
            for name in MANAGERS[1:]:
                swarm.join(made.by_name[name], first, "manager")
            with attached(swarm, options.agents):
                if options.tasks:
                    run_tasks(swarm, options.tasks)
                time.sleep(SETTLE_S)
                leader = swarm.leader(first)
                assert leader is not None
                measure(swarm, leader.name, options.seconds, options.rounds)
        finally:
            swarm.stop()


@contextmanager
def attached(swarm: Swarm, count: int) -> Iterator[None]:
    """So many agents in session, for the length of the block."""
    if not count:
        yield
        return
    first = swarm.machines.by_name["m1"]
    token = swarm.command(first, "token", "-q", "worker").strip()
    argv = [sys.executable, "-m", "tests.bench.idle.agents", f"{first.address}:2377"]
    agents = subprocess.Popen(
        swarm.machines.client.command([*argv, token, str(count)]),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        begun = time.monotonic()
        until_said(agents, "in session")
        print(f"{count} agents in session after {time.monotonic() - begun:.1f} s", flush=True)
        yield
    finally:
        agents.communicate()


def run_tasks(swarm: Swarm, count: int) -> None:
    """A service of so many tasks, none of them on a manager."""
    first = swarm.machines.by_name["m1"]
    begun = time.monotonic()
    swarm.command(
        first,
        *("service", "create", "--process", "--name", "idle", "--replicas", str(count)),
        *("--constraint", "node.role==worker", "--", "sleep", "100000"),
    )
    print(f"{count} tasks running after {time.monotonic() - begun:.1f} s", flush=True)


if __name__ == "__main__":
    main()
