"""Daemons that are cut off or stand still for a while: the others go on, nothing is done twice."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from demo.machines import Machine, machines
from demo.swarm import Swarm, wait_until
from tests.support.bad_days import (
    SLEEPER,
    cut_off,
    log_of,
    managers,
    node_id,
    refused,
    run,
    running_on,
    services,
    swarmd,
)

NAMES = ("m1", "m2", "m3", "w1", "w2")
MANAGERS = NAMES[:3]
SHORT_COMMAND_S = 30


@pytest.fixture(scope="module")
def swarm() -> Iterator[Swarm]:
    """Three managers that take no tasks, and two workers."""
    with machines(NAMES) as made:
        if not made.in_namespaces:
            pytest.skip(f"no namespaces to cut off: {made.reason}")
        swarm = Swarm(made)
        try:
            first = made.by_name["m1"]
            swarm.init(first)
            for name in NAMES[1:]:
                role = "manager" if name in MANAGERS else "worker"
                swarm.join(made.by_name[name], first, role)
            wait_until(lambda: managers(swarm, first) == 3, what="three managers")
            for name in MANAGERS:
                own = node_id(swarm, made.by_name[name])
                swarm.command(first, "node", "update", "--availability", "drain", own)
            swarm.command(
                first, *("service", "create", "--name", "web", "--replicas", "4"), *SLEEPER
            )
            yield swarm
        finally:
            swarm.stop()


@contextmanager
def standing_still(swarm: Swarm, machine: Machine) -> Iterator[None]:
    process = swarm.daemons[machine.name]
    os.kill(process.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(process.pid, signal.SIGCONT)


def leader_and_another(swarm: Swarm) -> tuple[Machine, Machine]:
    made = swarm.machines.by_name
    wait_until(lambda: settled(swarm), what="one leader that every manager knows")
    leader = swarm.leader(made["m1"])
    assert leader is not None
    another = next(made[name] for name in MANAGERS if made[name] is not leader)
    return leader, another


def settled(swarm: Swarm) -> bool:
    known = {swarm.leader(swarm.machines.by_name[name]) for name in MANAGERS}
    return len(known) == 1 and None not in known


def placed(swarm: Swarm, asked: Machine) -> dict[str, int]:
    return {
        name: len(running_on(swarm, asked, node_id(swarm, swarm.machines.by_name[name])))
        for name in ("w1", "w2")
    }


def sleepers(machine: Machine) -> int:
    """Tasks that really run on a machine: every one is a child of the machine's keeper."""
    keepers = _pids_of(str(machine.state_dir / "worker"))
    return sum(len(_children(pid)) for pid in keepers)


def _pids_of(needle: str) -> list[int]:
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{name}/cmdline", "rb") as file:
                if needle.encode() in file.read():
                    found.append(int(name))
        except OSError:
            continue
    return found


def _children(pid: int) -> list[str]:
    with open(f"/proc/{pid}/task/{pid}/children") as file:
        return file.read().split()


def create(machine: Machine, name: str) -> bool:
    """Whether a service without tasks could be created through a manager."""
    words = ("service", "create", "--detach", "--name", name, "--replicas", "0", *SLEEPER)
    return run(machine, *words).returncode == 0


@pytest.mark.parametrize("trouble", ["cut off", "standing still"])
def test_a_worker_that_is_away_loses_its_tasks_and_stops_them_when_it_is_back(
    swarm: Swarm, trouble: str
) -> None:
    away, manager = swarm.machines.by_name["w2"], swarm.machines.by_name["m1"]
    other = node_id(swarm, swarm.machines.by_name["w1"])
    away_id = node_id(swarm, away)
    swarm.command(manager, "service", "update", "--force", "web")
    wait_until(lambda: placed(swarm, manager) == {"w1": 2, "w2": 2}, what="an even spread")
    wait_until(lambda: sleepers(away) == 2, what="the tasks of before to have ended")
    with cut_off(away) if trouble == "cut off" else standing_still(swarm, away):
        wait_until(lambda: len(running_on(swarm, manager, other)) == 4, what="four tasks here")
        assert sleepers(away) == 2, "a worker that is away keeps its tasks"
    wait_until(lambda: sleepers(away) == 0, what="the stale tasks to end")
    ready = lambda: {  # noqa: E731
        str(row["ID"]): str(row["Status"]) for row in swarm.rows(manager, "node", "ls")
    }
    wait_until(lambda: ready()[away_id] == "Ready", what="the worker to be ready")
    assert len(running_on(swarm, manager, other)) == 4
    assert running_on(swarm, manager, away_id) == []


def test_a_leader_cut_off_from_the_others_writes_nothing_and_comes_back_without_loss(
    swarm: Swarm,
) -> None:
    old, another = leader_and_another(swarm)
    assert create(another, "before")
    with cut_off(old):
        attempt = subprocess.Popen(
            old.command(_create_words(old, "stale")), stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        wait_until(lambda: create(another, "meanwhile"), what="a write through the majority")
        _, said = attempt.communicate(timeout=SHORT_COMMAND_S)
        assert attempt.returncode != 0
        assert b"leader" in said or b"may or may not" in said, said
        assert not create(old, "stale-too")
    wait_until(lambda: settled(swarm), what="one leader again")
    for name in MANAGERS:
        machine = swarm.machines.by_name[name]
        assert {"before", "meanwhile"} <= set(services(swarm, machine))
        assert not {"stale", "stale-too"} & set(services(swarm, machine))
    assert create(old, "after")


def test_a_leader_that_stood_still_steps_down_and_accepts_nothing_stale(swarm: Swarm) -> None:
    old, another = leader_and_another(swarm)
    with standing_still(swarm, old):
        # It lies on the old leader's socket until that goes on, believing that it leads.
        waiting = subprocess.Popen(
            old.command(_create_words(old, "late")), stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        begun = time.monotonic()
        wait_until(lambda: create(another, "in-between"), what="a write through another leader")
        taken_over = swarm.leader(another)
        assert taken_over not in (None, old)
        time.sleep(max(0.0, begun + 5 - time.monotonic()))
    _, said = waiting.communicate(timeout=SHORT_COMMAND_S)
    accepted = waiting.returncode == 0
    wait_until(lambda: settled(swarm), what="one leader again")
    for name in MANAGERS:
        known = services(swarm, swarm.machines.by_name[name])
        assert "in-between" in known
        assert ("late" in known) == accepted, said
    assert "leader.lost" in log_of(old)


def test_a_log_follower_loses_and_repeats_nothing_when_the_leader_changes(
    swarm: Swarm, tmp_path: Path
) -> None:
    old, another = leader_and_another(swarm)
    script = "i=0; while :; do i=$((i+1)); echo $i; sleep 0.02; done"
    swarm.command(
        another,
        *("service", "create", "--name", "ticker", "--replicas", "2"),
        *("--stop-grace-period", "1ms", "--process", "--", "sh", "-c", script),
    )
    printed = tmp_path / "printed"

    def shown() -> dict[str, list[int]]:
        tasks: dict[str, list[int]] = {}
        for line in printed.read_text().splitlines()[:-1]:
            name, _, number = line.partition(" | ")
            tasks.setdefault(name.strip(), []).append(int(number))
        return tasks

    def counts() -> list[int]:
        return sorted(len(numbers) for numbers in shown().values())

    words = swarmd(another, "service", "logs", "--follow", "ticker")
    with printed.open("wb") as file:
        reader = subprocess.Popen(another.command(words), stdout=file, stderr=subprocess.PIPE)
    try:
        wait_until(lambda: len(counts()) == 2 and counts()[0] > 10, what="lines of both tasks")
        with cut_off(old):
            wait_until(lambda: create(another, "logged"), what="a write through another leader")
            before = counts()[1]
            wait_until(lambda: counts()[0] > before + 50, what="lines through another leader")
    finally:
        reader.terminate()
        _, said = reader.communicate(timeout=SHORT_COMMAND_S)
    for name, numbers in shown().items():
        assert numbers == list(range(1, len(numbers) + 1)), (name, said)
    assert b"trying again" in said
    swarm.command(another, "service", "rm", "ticker")
    leader_and_another(swarm)


def test_a_manager_that_is_cut_off_says_that_it_cannot_reach_the_leader(swarm: Swarm) -> None:
    _, another = leader_and_another(swarm)
    with cut_off(another):
        said = refused(another, "service", "ls")
        assert "no leader" in said or "the leader at" in said
    leader_and_another(swarm)


def _create_words(machine: Machine, name: str) -> list[str]:

    words = ("service", "create", "--detach", "--name", name, "--replicas", "0", *SLEEPER)
    return swarmd(machine, *words)
