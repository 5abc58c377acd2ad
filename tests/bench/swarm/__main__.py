"""The load of a whole swarm: simulated nodes against real managers, swarmd's and Docker's.

    python -m tests.bench.swarm [--agents 500] [--tasks 5000] [--managers 3] [--peer both]

Hundreds of simulated nodes join with a token and speak the wire protocol over mutual TLS; they
behave the same towards either program. Each cluster runs in a process tree of its own, one after
the other; processes, namespaces and directories are gone afterwards.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.bench.swarm.docker_managers import docker_missing_here
from tests.bench.swarm.figures import Figure, table
from tests.bench.swarm.one_cluster import Options, run_cluster

PHASES = ("idle", "scale", "update", "remove", "leader", "leave")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.swarm", description=__doc__)
    parser.add_argument("--agents", type=int, default=500)
    parser.add_argument("--tasks", type=int, default=5000)
    parser.add_argument("--managers", type=int, default=3)
    parser.add_argument("--idle-s", type=float, default=30.0)
    parser.add_argument("--peer", choices=("both", "swarmd", "docker"), default="both")
    parser.add_argument("--only", nargs="*", choices=PHASES, help="besides joining and creating")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--figures", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    options = Options(
        agents=given.agents,
        tasks=given.tasks,
        managers=given.managers,
        idle_s=given.idle_s,
        phases=tuple(PHASES if given.only is None else given.only),
        seed=given.seed,
    )
    if given.figures is not None:
        figures = asyncio.run(run_cluster(given.peer, options))
        given.figures.write_text(json.dumps(figures))
        return
    print(
        f"{given.managers} managers, {given.agents} simulated nodes, {given.tasks} tasks",
        flush=True,
    )
    missing = None if given.peer == "swarmd" else docker_missing_here()
    if missing is not None:
        print(f"Docker Swarm is left out: {missing}")
    ours = [] if given.peer == "docker" else in_own_process("swarmd")
    theirs = [] if given.peer == "swarmd" or missing else in_own_process("docker")
    print()
    print(table(ours or theirs, theirs if ours else []))


def in_own_process(peer: str) -> list[Figure]:
    """The figures of one cluster, from a process that ends with it."""
    with tempfile.TemporaryDirectory(prefix="swarmd-bench-") as directory:
        path = Path(directory) / "figures.json"
        argv = [sys.executable, "-m", "tests.bench.swarm", *sys.argv[1:]]
        _run([*argv, "--peer", peer, "--figures", str(path)])
        return [Figure(*row) for row in json.loads(path.read_text())]


def _run(argv: list[str]) -> None:
    """Run to the end; an interrupt is passed on, and waited for until all is cleaned up."""
    with subprocess.Popen(argv, start_new_session=True) as child:
        try:
            code = child.wait()
        except KeyboardInterrupt:
            child.send_signal(signal.SIGINT)
            child.wait()
            raise
    if code:
        raise SystemExit(code)


if __name__ == "__main__":
    main()
