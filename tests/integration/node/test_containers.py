"""A service of containers on a swarm of real daemons, as a person would run it."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from demo.machines import Machine, machines
from demo.swarm import CommandFailed, Swarm, wait_until
from tests.support import images
from tests.support.containers import why_none

pytestmark = pytest.mark.skipif(bool(why_none()), reason=why_none() or "-")

FETCH = "import sys, urllib.request as r; print(r.urlopen(sys.argv[1], timeout=2).read().decode())"
SERVE = "mkdir /www; hostname > /www/index.html; echo here is $HOSTNAME; exec httpd -f -h /www"
NAMES = ("m1", "w1")


@pytest.fixture
def swarm() -> Iterator[Swarm]:
    """A manager and a worker that have the image `box:1`."""
    with machines(NAMES) as made:
        swarm = Swarm(made)
        try:
            first = made.by_name["m1"]
            swarm.init(first)
            # A daemon that starts on a busy machine takes longer than a node may be silent.
            swarm.command(first, "update", "--dispatcher-heartbeat", "10s")
            swarm.join(made.by_name["w1"], first, "worker")
            archive = made.directory / "box.tar"
            images.docker_archive(archive, "box:1", [images.busybox_layer()])
            for name in NAMES:
                swarm.command(made.by_name[name], "image", "load", str(archive))
            yield swarm
        finally:
            swarm.stop()
            left = leftovers(made.directory)
        assert not left


def leftovers(directory: Path) -> list[str]:
    """Processes and mounts that still have to do with a directory."""
    found = [
        line for line in Path("/proc/mounts").read_text().splitlines() if str(directory) in line
    ]
    for path in Path("/proc").iterdir():
        if path.name.isdigit() and int(path.name) != os.getpid():
            try:
                words = (path / "cmdline").read_text(errors="replace")
            except OSError:
                continue
            if str(directory) in words:
                found.append(words.replace("\0", " "))
    return found


def create_web(swarm: Swarm, *flags: str) -> None:
    swarm.command(
        swarm.machines.by_name["m1"],
        *("service", "create", "--name", "web", "--publish", "8080:80", *flags),
        # The first process of a container gets no signal that it has no handler for.
        *("--stop-grace-period", "100ms"),
        *("box:1", "sh", "-c", SERVE),
    )


def answer(swarm: Swarm, machine: Machine) -> str:
    url = f"http://{machine.address}:8080/"
    return swarm.machines.client.run([sys.executable, "-c", FETCH, url]).stdout.strip()


def task_ids(swarm: Swarm) -> list[str]:
    rows = swarm.command(
        swarm.machines.by_name["m1"],
        *("service", "ps", "-q", "--filter", "desired-state=running", "web"),
    )
    return sorted(rows.split())


def running(swarm: Swarm) -> str:
    try:
        return str(swarm.rows(swarm.machines.by_name["m1"], "service", "ls")[0]["Replicas"])
    except CommandFailed:
        return ""


def test_containers_answer_on_every_node_and_their_logs_are_read_on_one(swarm: Swarm) -> None:
    create_web(swarm, "--replicas", "4")
    names = {task_id[:12] for task_id in task_ids(swarm)}
    for machine in swarm.machines.nodes():
        seen: set[str] = set()

        def saw_all(machine: Machine = machine, seen: set[str] = seen) -> bool:
            seen.add(answer(swarm, machine))
            return names <= seen

        wait_until(saw_all, what=f"answers of all containers through {machine.name}")
    first = swarm.machines.by_name["m1"]
    said = swarm.command(first, "service", "logs", "web")
    assert all(f"here is {name}" in said for name in names)
    assert str(swarm.json(first, "info")["Runtime"]).startswith("containerd")
    swarm.command(first, "service", "rm", "web")
    wait_until(lambda: not shims(swarm), what="the end of all containers", timeout_s=30)


def test_containers_outlive_their_daemon(swarm: Swarm) -> None:
    create_web(swarm, "--mode", "global")
    before = task_ids(swarm)
    pids = shims(swarm)
    worker = swarm.machines.by_name["w1"]
    daemon = swarm.daemons.pop("w1")
    daemon.send_signal(signal.SIGKILL)
    daemon.wait()
    worker.socket.unlink()
    swarm.start_daemon(worker)
    wait_until(lambda: answer(swarm, worker) != "", what="an answer through the restarted daemon")
    wait_until(lambda: running(swarm) == "2/2", what="both containers running")
    assert task_ids(swarm) == before
    assert shims(swarm) == pids


def shims(swarm: Swarm) -> list[int]:
    """The processes that are parents of containers."""
    found = []
    for path in Path("/proc").iterdir():
        try:
            words = (path / "cmdline").read_text(errors="replace").split("\0")
        except OSError:
            continue
        if "containerd-shim" in words[0] and str(swarm.machines.directory) in " ".join(words):
            found.append(int(path.name))
    return sorted(found)
