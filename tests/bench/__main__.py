"""All benchmarks, one after the other: `make bench`."""

from __future__ import annotations

import subprocess
import sys

BENCHES = (
    "tests.bench.failover",
    "tests.bench.kills",
    "tests.bench.swarm",
    "tests.bench.raft.bench_raft",
    "tests.bench.orchestrator.bench_planner",
    "tests.bench.orchestrator.bench_scheduler",
    "tests.bench.orchestrator.bench_steady",
    "tests.bench.rpc.bench_rpc",
    "tests.bench.idle",
    "tests.bench.lb.bench_proxy",
    "tests.bench.containers",
    "tests.bench.network",
    "tests.bench.network.rules",
    "tests.bench.network.paths",
    "tests.bench.network.proxied",
    "tests.bench.network.crypt",
    "tests.bench.network.changes",
    "tests.bench.network.updates",
)


def main() -> None:
    failed = []
    for bench in BENCHES:
        print(f"=== {bench}", flush=True)
        if subprocess.run([sys.executable, "-m", bench], check=False).returncode != 0:
            failed.append(bench)
    if failed:
        sys.exit(f"these did not finish: {', '.join(failed)}")


if __name__ == "__main__":
    main()
