"""Secrets that change and volumes that stay, on real daemons."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from demo.machines import Machine, machines
from demo.swarm import CommandFailed, Swarm, wait_until

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
# Says what it was given, in a place where anybody can read it, and stays.
TELL = "cat /run/secrets/key /run/configs/conf > {out}/$SWARMD_TASK_ID; exec sleep 1000"


@pytest.fixture
def swarm(tmp_path: Path) -> Iterator[Swarm]:
    """A manager and a worker."""
    with machines(("m1", "w1")) as made:
        swarm = Swarm(made)
        try:
            manager = made.by_name["m1"]
            swarm.init(manager)
            swarm.join(made.by_name["w1"], manager, "worker")
            yield swarm
        finally:
            swarm.stop()


def manager(swarm: Swarm) -> Machine:
    return swarm.machines.by_name["m1"]


def running(swarm: Swarm, service: str) -> list[str]:
    """The ids of tasks that run."""
    output = swarm.command(
        manager(swarm),
        *("service", "ps", "--no-trunc", "--format", "json"),
        *("-f", "desired-state=running", service),
    )
    rows = [json.loads(line) for line in output.splitlines()]
    return [row["ID"] for row in rows if row["CurrentState"].startswith("Running")]


def test_a_new_version_of_a_secret_reaches_those_who_follow_it_and_can_be_rolled_back(
    swarm: Swarm, tmp_path: Path
) -> None:
    first, out = manager(swarm), tmp_path / "out"
    out.mkdir()
    for name, data in (("one", "first\n"), ("two", "second\n")):
        (tmp_path / name).write_text(data)
    swarm.command(first, "secret", "create", "key", str(tmp_path / "one"))
    swarm.command(first, "config", "create", "conf", str(tmp_path / "one"))
    swarm.command(
        first,
        *("service", "create", "--name", "web", "--replicas", "2"),
        *("--secret", "source=key,version=latest", "--config", "conf"),
        *("--process", "--", "sh", "-c", TELL.format(out=out)),
    )

    def told(expected: str) -> bool:
        tasks = running(swarm, "web")
        files = [out / task for task in tasks]
        return len(tasks) == 2 and all(
            file.exists() and file.read_text() == expected for file in files
        )

    wait_until(lambda: told("first\nfirst\n"), what="two tasks with the first version")
    swarm.command(first, "secret", "update", "key", str(tmp_path / "two"))
    wait_until(lambda: told("second\nfirst\n"), what="two tasks with the second version")
    with pytest.raises(CommandFailed, match="in use"):
        swarm.command(first, "secret", "rm", "key@2")
    swarm.command(first, "service", "rollback", "web")
    wait_until(lambda: told("first\nfirst\n"), what="two tasks with the first version again")
    swarm.command(first, "service", "rm", "web")
    for machine in (first, swarm.machines.by_name["w1"]):
        held = [path for path in machine.state_dir.rglob("*") if _holds(path, b"second\n")]
        assert not [path for path in held if "worker" in path.parts]


def test_an_ordinal_finds_its_volume_again(swarm: Swarm, tmp_path: Path) -> None:
    first, target = manager(swarm), tmp_path / "target"
    target.mkdir()
    swarm.command(
        first,
        *("service", "create", "--name", "db", "--mode", "stateful", "--replicas", "2"),
        *("--constraint", "node.role==manager"),
        *("--mount", f"type=volume,source=data-{{{{.Task.Slot}}}},target={target}"),
        *("--process", "--", "sh", "-c", f"echo run >> {target}/runs; exec sleep 1000"),
    )
    volumes = next(first.state_dir.rglob("volumes"))
    files = [volumes / f"data-{slot}" / "_data" / "runs" for slot in (1, 2)]
    wait_until(lambda: all(file.exists() for file in files), what="a volume for each ordinal")
    swarm.command(first, "service", "update", "--force", "db")
    wait_until(
        lambda: all(file.read_text() == "run\nrun\n" for file in files),
        what="each ordinal with its volume again",
    )
    assert not list(target.iterdir())
    assert swarm.command(first, "volume", "ls", "-q").split() == ["data-1", "data-2"]
    with pytest.raises(CommandFailed, match="is used by task"):
        swarm.command(first, "volume", "rm", "data-1")
    swarm.command(first, "service", "rm", "db")
    swarm.command(first, "volume", "create", "-l", "a=b", "spare")
    (spare,) = json.loads(swarm.command(first, "volume", "inspect", "spare"))
    assert spare["Labels"] == {"a": "b"}
    assert spare["Tasks"] == []
    swarm.command(first, "volume", "rm", "spare")

    def unused() -> bool:
        return "data-1" in swarm.command(first, "volume", "ls", "-q", "-f", "dangling=true")

    wait_until(unused, what="the tasks to let go of their volumes")
    assert "data-2" in swarm.command(first, "volume", "prune", "-f")
    assert not volumes.exists() or not [path for path in volumes.iterdir() if path.name[0] != "."]


def _holds(path: Path, words: bytes) -> bool:
    try:
        return path.is_file() and words in path.read_bytes()
    except OSError:
        return False
