"""Starting containers, beside Docker on the same machine: `python -m tests.bench.containers`.

One container: from its assignment to RUNNING by our agent, against `docker run -d`. Many: from
`service create` until all replicas run, as the managers of both count them over the same API; to
ask by their command lines would take from the two cores, and from ours more. Docker runs with its
own containerd and overlay2.

`python -m tests.bench.containers logs` is the way of what one container prints to a client, `idle`
what running containers cost their agent.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from demo.machines import Machine, machines, stop
from demo.swarm import Swarm, wait_until
from swarmd.model.ids import TaskId
from swarmd.model.states import TaskState
from swarmd.rpc.channel import Channel
from tests.bench.containers import idle, logs
from tests.bench.swarm.api import Api
from tests.bench.swarm.tls_channel import TlsSocketChannel
from tests.support import images
from tests.support.containers import a_container, a_container_worker, an_id, why_none
from tests.support.workers import eventually

SINGLES = int(os.environ.get("SINGLES", "15"))
REPLICAS = int(os.environ.get("REPLICAS", "100"))
ROUNDS = int(os.environ.get("ROUNDS", "3"))  # of many, in turns
RUN_S_MAX = 300


def main() -> None:
    lacking = why_none() or ("" if shutil.which("dockerd") else "no dockerd")
    if lacking:
        sys.exit(f"cannot compare containers: {lacking}")
    if "logs" in sys.argv[1:]:
        logs.main()
        return
    if "idle" in sys.argv[1:]:
        idle.main()
        return
    with tempfile.TemporaryDirectory(prefix="swb", dir="/tmp") as directory:
        ours = asyncio.run(our_singles(Path(directory)))
    with machines(("d1",)) as made, docker(made.by_name["d1"]) as run:
        theirs = docker_singles(run)
        show("one container", ours, theirs)
        directory = made.by_name["d1"].directory
        rounds = [(many_by_us(), many_by_docker(run, directory)) for _ in range(ROUNDS)]
    show(f"{REPLICAS} replicas", [one for one, _ in rounds], [other for _, other in rounds])


def show(what: str, ours: list[float], theirs: list[float]) -> None:
    own, other = statistics.median(ours), statistics.median(theirs)
    print(
        f"{what}: swarmd {own:.3f} s, docker {other:.3f} s, ratio {own / other:.2f} "
        f"(ours {min(ours):.3f}-{max(ours):.3f}, theirs {min(theirs):.3f}-{max(theirs):.3f})",
        flush=True,
    )


async def our_singles(directory: Path) -> list[float]:
    """Seconds from assignment to RUNNING, one container after the other."""
    figures = []
    async with a_container_worker(directory) as worker:
        tasks = []
        for _ in range(SINGLES + 1):
            tasks.append(a_container(an_id(), "sleep", "1000", grace_ns=1))
            begun = time.monotonic()
            worker.assign(*tasks)
            task_id: TaskId = tasks[-1].id
            while worker.status(task_id).state < TaskState.RUNNING:
                await asyncio.sleep(0.001)
            figures.append(time.monotonic() - begun)
        worker.assign()
        await eventually(lambda: not worker.worker.statuses(), "the removal")
    return figures[1:]  # the first has made the bridge


Run = Callable[..., subprocess.CompletedProcess[str]]


@contextmanager
def docker(machine: Machine) -> Iterator[Run]:
    """An engine of its own on a machine; yields how to run `docker` there."""
    directory = machine.directory
    host = f"unix://{directory}/docker.sock"
    argv = [
        *("dockerd", "--data-root", f"{directory}/data", "--exec-root", f"{directory}/exec"),
        *("--pidfile", f"{directory}/pid", "-H", host, "--storage-driver", "overlay2"),
    ]

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        return machine.run(["docker", "-H", host, *words], timeout=300)

    with (directory / "dockerd.log").open("wb") as output:
        process = machine.start(argv, output=output)
    try:
        wait_until(
            lambda: run("info").returncode == 0 or process.poll() is not None, what="dockerd"
        )
        archive = images.docker_archive(directory / "b.tar", "box:1", [images.busybox_layer()])
        done = run("load", "-i", str(archive))
        if done.returncode != 0:
            log = (directory / "dockerd.log").read_text().splitlines()
            sys.exit(f"dockerd does not run here: {done.stderr}{log[-1] if log else ''}")
        yield run
    finally:
        stop(process)


def docker_singles(run: Run) -> list[float]:
    figures = []
    for number in range(SINGLES + 1):
        begun = time.monotonic()
        done = run("run", "-d", "--name", f"c{number}", "box:1", "sleep", "1000")
        figures.append(time.monotonic() - begun)
        assert done.returncode == 0, done.stderr
    run("rm", "-f", *(f"c{number}" for number in range(SINGLES + 1)))
    return figures[1:]


async def all_run(channel: Channel, service_id: str) -> None:
    """Wait until all replicas run, as a manager says."""
    api = Api(channel)
    try:
        async with asyncio.timeout(RUN_S_MAX):
            await api.until_running(service_id.strip(), REPLICAS)
    finally:
        await api.close()


def many_by_docker(run: Run, directory: Path) -> float:
    done = run("swarm", "init", "--advertise-addr", "127.0.0.1")
    assert done.returncode == 0, done.stderr
    begun = time.monotonic()
    done = run(
        *("service", "create", "-d", "--no-resolve-image", "--name", "many"),
        *("--stop-grace-period", "1ms", "--replicas", str(REPLICAS), "box:1", "sleep", "1000"),
    )
    assert done.returncode == 0, done.stderr
    asyncio.run(all_run(TlsSocketChannel(f"unix:{directory}/exec/swarm/control.sock"), done.stdout))
    took = time.monotonic() - begun
    run("service", "rm", "many")
    wait_until(lambda: not run("ps", "-aq").stdout.strip(), what="their removal", timeout_s=300)
    run("swarm", "leave", "--force")
    return took


def many_by_us() -> float:
    with machines(("m1",)) as made:
        swarm = Swarm(made)
        first = made.by_name["m1"]
        try:
            swarm.init(first)
            archive = images.docker_archive(
                made.directory / "b.tar", "box:1", [images.busybox_layer()]
            )
            swarm.command(first, "image", "load", str(archive))
            begun = time.monotonic()
            created = swarm.command(
                first,
                *("service", "create", "-d", "--name", "many", "--stop-grace-period", "1ms"),
                *("--replicas", str(REPLICAS), "box:1", "sleep", "1000"),
            )
            asyncio.run(all_run(Channel(f"unix:{first.socket}"), created))
            took = time.monotonic() - begun
            swarm.command(first, "service", "rm", "many")
            wait_until(
                lambda: (
                    not json.loads(
                        swarm.command(first, "service", "ls", "--format", "json") or "[]"
                    )
                ),
                what="their removal",
            )
            return took
        finally:
            swarm.stop()


if __name__ == "__main__":
    main()
