"""A full disk below a daemon: what was acknowledged stays, the rest is refused with a reason."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from demo.machines import machines
from demo.swarm import Swarm, wait_until
from tests.support.bad_days import (
    SLEEPER,
    fill,
    log_of,
    node_id,
    run,
    running_on,
    sentence,
    services,
    small_disk,
    start_daemon,
    stop_daemon,
    warnings,
)

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a small disk")

# Enough for two journal segments, the reserve and snapshots, once the filler is gone.
MANAGER_MB, WORKER_MB = 96, 2
PADDING = "x" * 120_000  # one argument of a command line may be a little longer
NOISE = "import time\nwhile True: print('noise ' * 100, flush=True); time.sleep(0.01)"


@pytest.fixture(scope="module")
def swarm() -> Iterator[Swarm]:
    """A manager and a worker, each on a small disk of its own."""
    with machines(("m1", "w1")) as made, ExitStack() as disks:
        swarm = Swarm(made)
        for name, megabytes in (("m1", MANAGER_MB), ("w1", WORKER_MB)):
            disks.enter_context(small_disk(made.by_name[name].state_dir, megabytes=megabytes))
        try:
            swarm.init(made.by_name["m1"])
            swarm.join(made.by_name["w1"], made.by_name["m1"], "worker")
            yield swarm
        finally:
            swarm.stop()


def test_a_worker_runs_tasks_says_what_it_cannot_keep_and_recovers(swarm: Swarm) -> None:
    manager, worker = swarm.machines.by_name["m1"], swarm.machines.by_name["w1"]
    filler = fill(worker.state_dir)
    here = ("--constraint", "node.role==worker", "--replicas", "2", "--process", "--")
    swarm.command(
        manager, "service", "create", "--name", "noisy", *here, sys.executable, "-c", NOISE
    )
    before = running_on(swarm, manager, node_id(swarm, worker))
    assert len(before) == 2
    wait_until(lambda: "full" in warnings(swarm, worker), what="the worker to say so")
    stop_daemon(swarm, worker)
    start_daemon(swarm, worker)
    wait_until(lambda: swarm.json(worker, "info")["State"] == "active", what="it to be back")
    assert running_on(swarm, manager, node_id(swarm, worker)) == before, "adopted, not replaced"
    filler.unlink()
    wait_until(lambda: "full" not in warnings(swarm, worker), what="the state to be kept again")
    assert log_of(worker).count("state.unwritable") <= 4, "said when it begins, not every second"
    swarm.command(manager, "service", "rm", "noisy")


def test_a_manager_refuses_writes_keeps_what_it_took_and_recovers(swarm: Swarm) -> None:
    manager = swarm.machines.by_name["m1"]
    filler = fill(manager.state_dir)
    accepted = []
    padding = [word for key in "ABCDEFGH" for word in ("--env", f"{key}={PADDING}")]
    for number in range(30):
        name = f"large-{number}"
        words = ("service", "create", "--detach", "--name", name, "--replicas", "0", *padding)
        done = run(manager, *words, *SLEEPER)
        if done.returncode != 0:
            said = sentence(done)
            break
        accepted.append(name)
    else:
        pytest.fail("a full disk took everything")
    assert "disk" in said, said
    assert accepted, "what fits is taken"
    assert "nearly full; writes are refused" in warnings(swarm, manager)
    assert services(swarm, manager) == sorted(accepted), "reading goes on"
    stop_daemon(swarm, manager)
    start_daemon(swarm, manager)
    wait_until(lambda: bool(swarm.json(manager, "info")["IsLeader"]), what="it to lead again")
    assert services(swarm, manager) == sorted(accepted), "nothing acknowledged is lost"
    filler.unlink()
    create = ("service", "create", "--detach", "--name", "after", "--replicas", "0", *SLEEPER)
    wait_until(lambda: run(manager, *create).returncode == 0, what="a write to be taken again")
    assert services(swarm, manager) == sorted([*accepted, "after"])
    assert warnings(swarm, manager) == ""
