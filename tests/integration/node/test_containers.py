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
SERVE_WHEN_TOLD = """
mkdir /www; echo $VERSION > /www/index.html
[ "$WELL" = no ] || { sleep $DELAY; touch /www/healthz; }
exec httpd -f -h /www
"""
OFTEN = (
    *("--health-interval", "300ms", "--health-start-interval", "100ms", "--health-retries", "10"),
    *("--stop-grace-period", "100ms"),
)
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


def see_affinities_to_images(swarm: Swarm) -> None:
    """Containers beside those of an image, and away from them."""
    wanted = {
        "db": (("--constraint", "node.hostname==w1"), ["w1"]),
        "near": (("--affinity", "image==box", "--replicas", "2"), ["w1", "w1"]),
        "apart": (("--affinity", "image!=box:*"), ["m1"]),
    }
    first = swarm.machines.by_name["m1"]
    for name, (flags, nodes) in wanted.items():
        words = ("service", "create", "--name", name, *flags, "--stop-grace-period", "100ms")
        swarm.command(first, *words, "box:1", "sleep", "1000")
        assert [row["Node"] for row in swarm.rows(first, "service", "ps", name)] == nodes
    swarm.command(first, "service", "rm", *wanted)


def test_containers_answer_on_every_node_and_their_logs_are_read_on_one(swarm: Swarm) -> None:
    see_affinities_to_images(swarm)
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


def test_updates_wait_for_containers_to_be_well_and_those_that_never_are_roll_back(
    swarm: Swarm,
) -> None:
    first = swarm.machines.by_name["m1"]
    probes = {
        "by-command": ("--health-cmd", "test -e /www/healthz"),
        "by-port": ("--health-tcp", "80"),
    }
    for name, probe in probes.items():
        swarm.command(
            first,
            *("service", "create", "--detach", "--name", name, *probe, *OFTEN),
            *("--env", "DELAY=1", "box:1", "sh", "-c", SERVE_WHEN_TOLD),
        )
    swarm.command(
        first,
        *("service", "create", "--name", "web", "--replicas", "2", "--publish", "8080:80"),
        *("--health-http", "80/healthz", *OFTEN, "--env", "VERSION=1", "--env", "DELAY=0"),
        *("--update-parallelism", "1", "--update-failure-action", "rollback"),
        *("--update-monitor", "100ms", "box:1", "sh", "-c", SERVE_WHEN_TOLD),
    )
    old = task_ids(swarm)
    assert answer(swarm, first) == "1"
    # A second goes by before a new task is well; until then the next one may not be touched.
    swarm.command(
        first, "service", "update", "--env-add", "VERSION=2", "--env-add", "DELAY=1", "web"
    )
    new = [swarm.json(first, "task", "inspect", task_id)[0] for task_id in task_ids(swarm)]
    assert not {str(task["ID"]) for task in new} & set(old)
    earlier, later = sorted(new, key=lambda task: str(task["CreatedAt"]))
    assert str(earlier["Status"]["Timestamp"]) <= str(later["CreatedAt"]), (earlier, later)
    assert answer(swarm, first) == "2"
    with pytest.raises(CommandFailed, match="rolled back"):
        swarm.command(
            first,
            *("service", "update", "--env-add", "VERSION=3", "--env-add", "WELL=no"),
            *("--health-retries", "2", "web"),
        )
    rows = swarm.rows(first, "service", "ps", "web")
    assert any("unhealthy: /healthz answered 404" in str(row["Error"]) for row in rows)
    wait_until(lambda: answer(swarm, first) == "2", what="an answer of the version before")
    for name in probes:
        rows = swarm.rows(first, "service", "ls", "--filter", f"name={name}")
        assert [row["Replicas"] for row in rows] == ["1/1"]


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
