"""What each way of losing a worker looks like to the swarm, with real daemons and real kernels."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from demo.machines import machines, namespaces_available
from demo.swarm import Swarm, wait_until


@pytest.fixture
def swarm() -> Iterator[Swarm]:
    """A manager and two workers; the manager's own node takes no tasks."""
    with machines(("m1", "w1", "w2")) as made:
        swarm = Swarm(made)
        try:
            first = made.by_name["m1"]
            swarm.init(first)
            swarm.join(made.by_name["w1"], first, "worker")
            swarm.join(made.by_name["w2"], first, "worker")
            swarm.command(
                first,
                *("service", "create", "--name", "long", "--process", "--replicas", "2"),
                *("--constraint", "node.role==worker", "--", "sleep", "1000"),
            )
            yield swarm
        finally:
            for daemon in swarm.daemons.values():
                if daemon.poll() is None:
                    daemon.send_signal(signal.SIGCONT)
            swarm.stop()


class Worker:
    """One worker as the manager sees it."""

    def __init__(self, swarm: Swarm, name: str) -> None:
        self.swarm = swarm
        self.manager = swarm.machines.by_name["m1"]
        self.machine = swarm.machines.by_name[name]
        self.node_id = str(swarm.json(self.machine, "info")["NodeID"])

    def is_in_state(self, state: str) -> bool:
        rows = self.swarm.rows(self.manager, "node", "ls")
        status = next(str(row["Status"]) for row in rows if row["ID"] == self.node_id)
        return status.startswith(state)

    def tasks(self) -> list[str]:
        """Ids of the tasks that are to run there."""
        rows = self.swarm.rows(self.manager, "node", "ps", self.node_id)
        return sorted(str(row["ID"]) for row in rows if row["DesiredState"] == "Running")


def test_a_worker_whose_cable_is_pulled_loses_its_tasks_to_another(swarm: Swarm) -> None:
    missing = namespaces_available()
    if missing is not None:
        pytest.skip(f"needs network namespaces: {missing}")
    cut, other = Worker(swarm, "w1"), Worker(swarm, "w2")
    swarm.machines.unplug("w1")
    wait_until(lambda: len(other.tasks()) == 2, what="both tasks on the other worker")
    assert cut.is_in_state("Down")
    swarm.machines.plug("w1")
    wait_until(lambda: cut.is_in_state("Ready"), what="the worker to be back")


def test_a_worker_that_is_frozen_is_down_though_its_machine_answers(swarm: Swarm) -> None:
    worker, daemon = Worker(swarm, "w1"), swarm.daemons["w1"]
    daemon.send_signal(signal.SIGSTOP)
    wait_until(lambda: worker.is_in_state("Down"), what="the frozen worker to be down")
    daemon.send_signal(signal.SIGCONT)
    wait_until(lambda: worker.is_in_state("Ready"), what="the worker to be back")


def test_a_daemon_that_is_killed_and_comes_back_in_time_keeps_its_tasks(swarm: Swarm) -> None:
    worker, daemon = Worker(swarm, "w1"), swarm.daemons["w1"]
    before = worker.tasks()
    daemon.kill()
    daemon.wait()
    worker.machine.socket.unlink()
    swarm.start_daemon(worker.machine)
    wait_until(
        lambda: swarm.json(worker.machine, "info")["State"] == "active", what="its new session"
    )
    assert before
    assert worker.tasks() == before
