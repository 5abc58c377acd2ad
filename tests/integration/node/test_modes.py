"""Jobs, schedules and ordinals on real daemons, by the command line."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from demo.machines import Machine, machines
from demo.swarm import CommandFailed, Swarm, wait_until
from tests.support.bad_days import cut_off, node_id

NAMES = ("m1", "w1", "w2")
# Writes down every few milliseconds that it lives; machines share the clock and the file.
DIARY = """
import os, sys, time
with open(sys.argv[1], "a", buffering=1) as diary:
    while True:
        diary.write(f"{os.getpid()} {time.monotonic_ns()}\\n")
        time.sleep(0.01)
"""


@pytest.fixture(scope="module")
def swarm() -> Iterator[Swarm]:
    """A manager without tasks, and two workers."""
    with machines(NAMES) as made:
        swarm = Swarm(made)
        try:
            first = made.by_name["m1"]
            swarm.init(first)
            for name in NAMES[1:]:
                swarm.join(made.by_name[name], first, "worker")
            own = node_id(swarm, first)
            swarm.command(first, "node", "update", "--availability", "drain", own)
            yield swarm
        finally:
            swarm.stop()


@pytest.fixture
def manager(swarm: Swarm) -> Iterator[Machine]:
    """The manager; services are removed afterwards."""
    manager = swarm.machines.by_name["m1"]
    yield manager
    names = [str(row["Name"]) for row in swarm.rows(manager, "service", "ls")]
    if names:
        swarm.command(manager, "service", "rm", *names)


def create(swarm: Swarm, manager: Machine, name: str, *words: str) -> str:
    return swarm.command(manager, "service", "create", "--name", name, *words)


def python(source: str, *arguments: str) -> tuple[str, ...]:
    return ("--process", "--", sys.executable, "-c", source, *arguments)


def test_a_job_completes_what_was_asked_and_runs_again(swarm: Swarm, manager: Machine) -> None:
    out = create(swarm, manager, "job", "--mode", "replicated-job", "--replicas", "6",
                 "--max-concurrent", "2", *python("pass"))  # fmt: skip
    assert "job: 6/6 completed" in out
    (row,) = swarm.rows(manager, "service", "ls")
    assert row["Replicas"] == "0/2 (6/6 completed)"
    assert "job: 6/6 completed" in swarm.command(manager, "service", "run", "job")


def test_a_job_that_fails_says_so_and_stays_failed(swarm: Swarm, manager: Machine) -> None:
    with pytest.raises(CommandFailed, match=r"0 of 1 tasks completed.*non-zero exit \(3\)"):
        create(swarm, manager, "job", "--mode", "replicated-job", "--restart-condition",
               "on-failure", "--restart-max-attempts", "1", "--restart-delay", "100ms",
               *python("raise SystemExit(3)"))  # fmt: skip
    assert len(swarm.rows(manager, "service", "ps", "job")) == 2


def test_a_global_job_runs_on_every_node_that_takes_tasks(swarm: Swarm, manager: Machine) -> None:
    create(swarm, manager, "job", "--mode", "global-job", *python("pass"))
    for worker in (swarm.machines.by_name["w1"], swarm.machines.by_name["w2"]):
        rows = swarm.rows(manager, "node", "ps", node_id(swarm, worker))
        assert [row["CurrentState"].split()[0] for row in rows] == ["Complete"]


def test_a_schedule_is_followed(swarm: Swarm, manager: Machine) -> None:
    create(swarm, manager, "tick", "--mode", "cron", "--schedule", "@every 1s", *python("pass"))

    def succeeded() -> int:
        (document,) = json.loads(swarm.command(manager, "service", "inspect", "tick"))
        runs = document["CronStatus"]["Runs"]
        return sum(run["Outcome"] == "succeeded" for run in runs)

    wait_until(lambda: succeeded() == 3, what="three runs that are remembered")
    swarm.command(manager, "service", "update", "--suspend", "tick")
    assert "(suspended)" in swarm.command(manager, "service", "inspect", "--pretty", "tick")


def test_a_schedule_keeps_to_its_zone_its_limits_and_one_run_at_a_time(
    swarm: Swarm, manager: Machine
) -> None:
    long = python("import time; time.sleep(600)")
    create(swarm, manager, "replaces", "--mode", "cron", "--schedule", "@every 1s",
           "--concurrency", "replace", "--successful-runs", "1", *long)  # fmt: skip
    create(swarm, manager, "forbids", "--mode", "cron", "--schedule", "@every 1s",
           "--concurrency", "forbid", "--missed-runs", "skip", *long)  # fmt: skip
    create(swarm, manager, "nightly", "--mode", "cron", "--schedule", "30 3 * * *",
           "--time-zone", "Europe/Berlin", "--missed-runs", "once", *long)  # fmt: skip
    with pytest.raises(CommandFailed, match="Atlantis"):
        create(swarm, manager, "lost", "--mode", "cron", "--schedule", "30 3 * * *",
               "--time-zone", "Europe/Atlantis", *long)  # fmt: skip

    def runs(name: str) -> list[str]:
        (document,) = json.loads(swarm.command(manager, "service", "inspect", name))
        return [run["Outcome"] for run in document["CronStatus"].get("Runs", ())]

    wait_until(lambda: runs("replaces").count("replaced") == 1, what="a run to be replaced")
    wait_until(lambda: runs("replaces")[-1] == "running", what="the next one to run")
    assert runs("forbids") == ["running"]
    assert runs("nightly") == []
    assert "Europe/Berlin" in swarm.command(manager, "service", "inspect", "--pretty", "nightly")
    swarm.command(manager, "service", "run", "--detach", "nightly")
    wait_until(lambda: runs("nightly") == ["running"], what="the run that was asked for")


# Writes down which ordinal it is, and of which version of its service.
SIGN = """
import os, sys, time
with open(sys.argv[1], "a") as book:
    book.write(os.environ["NAME"] + " " + os.environ.get("VERSION", "1") + "\\n")
time.sleep(600)
"""


def test_ordinals_start_from_the_lowest_and_are_updated_from_the_highest(
    swarm: Swarm, manager: Machine, tmp_path: Path
) -> None:
    book = tmp_path / "book"
    create(swarm, manager, "db", "--mode", "stateful", "--replicas", "3", "--start-order",
           "ordered", "--update-monitor", "100ms", "--env", "NAME={{.Task.Name}}",
           *python(SIGN, str(book)))  # fmt: skip
    assert book.read_text().split("\n")[:-1] == ["db-0 1", "db-1 1", "db-2 1"]
    homes = [home_of(swarm, manager, f"db-{number}").name for number in range(3)]
    swarm.command(manager, "service", "update", "--env-add", "VERSION=2", "db")
    assert book.read_text().split("\n")[3:-1] == ["db-2 2", "db-1 2", "db-0 2"]
    again = [home_of(swarm, manager, f"db-{number}").name for number in range(3)]
    assert again == homes, "each is back where it was"
    swarm.command(manager, "service", "scale", "db=1")
    rows = swarm.rows(manager, "service", "ps", "--filter", "desired-state=running", "db")
    assert [row["Name"] for row in rows] == ["db-0"]


def test_a_task_that_fails_again_and_again_is_given_more_and_more_time(
    swarm: Swarm, manager: Machine
) -> None:
    """Its history is kept as far as that needs, and no further."""
    create(swarm, manager, "sick", "--detach", "--restart-delay", "100ms", "--restart-max-delay",
           "400ms", "--restart-window", "1m", *python("raise SystemExit(4)"))  # fmt: skip

    def attempts() -> int:
        told = ("events", "--since", "0", "--until", "0s", "--format", "json", "-f", "type=task")
        lines = swarm.command(manager, *told).splitlines()
        return sum("sick" in line and "non-zero exit (4)" in line for line in lines)

    wait_until(lambda: attempts() >= 7, what="seven failures")
    rows = swarm.rows(manager, "service", "ps", "sick")
    assert len([row for row in rows if row["CurrentState"].startswith("Failed")]) <= 6


def lives(diary: Path) -> dict[int, tuple[int, int]]:
    """First and last sign of life of each process that wrote, in order of appearance."""
    found: dict[int, tuple[int, int]] = {}
    for line in diary.read_text().splitlines():
        pid, at = (int(word) for word in line.split())
        found[pid] = (found.get(pid, (at, at))[0], at)
    return found


def home_of(swarm: Swarm, manager: Machine, name: str) -> Machine:
    """The machine on which an ordinal runs."""
    for worker in (swarm.machines.by_name["w1"], swarm.machines.by_name["w2"]):
        rows = swarm.rows(manager, "node", "ps", node_id(swarm, worker))
        if any(row["Name"] == name and row["DesiredState"] == "Running" for row in rows):
            return worker
    raise AssertionError(f"{name} runs nowhere")


def test_a_node_cut_off_has_ended_its_ordinal_before_another_starts_it(
    swarm: Swarm, manager: Machine, tmp_path: Path
) -> None:
    if not swarm.machines.in_namespaces:
        pytest.skip(f"no namespaces to cut off: {swarm.machines.reason}")
    diary = tmp_path / "diary"
    create(swarm, manager, "db", "--mode", "stateful", "--lease", "5s", *python(DIARY, str(diary)))
    wait_until(lambda: diary.exists() and len(lives(diary)) == 1, what="db-0 to write")
    with cut_off(home_of(swarm, manager, "db-0")):
        wait_until(lambda: "waiting for the lease of db-0" in told(swarm, manager), what="the word")
        wait_until(lambda: len(lives(diary)) == 2, what="its successor to write")
    first, second = lives(diary).values()
    assert first[1] < second[0]


def test_a_lease_is_kept_where_the_daemon_is_dead(
    swarm: Swarm, manager: Machine, tmp_path: Path
) -> None:
    diary = tmp_path / "diary"
    create(swarm, manager, "db", "--mode", "stateful", "--lease", "5s", *python(DIARY, str(diary)))
    wait_until(lambda: diary.exists() and len(lives(diary)) == 1, what="db-0 to write")
    home = home_of(swarm, manager, "db-0")
    process = swarm.daemons[home.name]
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    try:
        wait_until(lambda: len(lives(diary)) == 2, what="its successor to write")
        first, second = lives(diary).values()
        assert first[1] < second[0]
    finally:
        home.socket.unlink()
        swarm.start_daemon(home)


def told(swarm: Swarm, manager: Machine) -> str:
    return swarm.command(manager, "service", "ps", "--format", "json", "db")
