"""Workers that reach the leader through another manager, with real daemons and real kernels."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Iterator

import pytest

from demo.machines import Machine, machines, namespaces_available, stop
from demo.swarm import Swarm, wait_until
from swarmd.model.instant import SECOND

PERIOD_NS = 3 * SECOND
LACK = namespaces_available()
pytestmark = pytest.mark.skipif(LACK is not None, reason=f"needs network namespaces: {LACK}")


class Agent:
    """A node in session with the manager on `through`, and what it has printed."""

    def __init__(self, swarm: Swarm, machine: Machine, through: Machine) -> None:
        self._swarm = swarm
        self._manager = swarm.machines.by_name["m1"]
        self._said = machine.directory / "agent.log"
        token = swarm.command(self._manager, "token", "-q", "worker").strip()
        argv = [sys.executable, "-m", "tests.support.relayed_agent"]
        with self._said.open("wb") as output:
            self.process = machine.start([*argv, f"{through.address}:2377", token], output=output)

    def said(self, word: str) -> list[str]:
        """All values it has printed after a word."""
        lines = (line.split(maxsplit=1) for line in self._said.read_text().splitlines())
        return [line[1] for line in lines if line[0] == word]

    @property
    def node_id(self) -> str:
        return self.said("node")[0]

    def beat(self) -> int:
        """Have it send a heartbeat; the period it is told."""
        before = len(self.said("beat"))
        self.process.send_signal(signal.SIGUSR1)
        wait_until(lambda: len(self.said("beat")) > before, what="a heartbeat")
        return int(self.said("beat")[-1])

    def is_in_state(self, state: str) -> bool:
        rows = self._swarm.rows(self._manager, "node", "ls")
        status = next(str(row["Status"]) for row in rows if row["ID"] == self.node_id)
        return status.startswith(state)


def gone_down(swarm: Swarm) -> list[str]:
    """The nodes that went down, in this order."""
    first = swarm.machines.by_name["m1"]
    wanted = ("--filter", "type=node", "--since", "0", "--until", "0s")
    events = swarm.rows(first, "events", *wanted)
    return [event["ID"] for event in events if event["What"] == "is down"]


@pytest.fixture
def swarm() -> Iterator[Swarm]:
    """Two managers; m1 leads, as a swarm of two has no reason to elect another."""
    with machines(("m1", "m2", "a1", "a2")) as made:
        swarm = Swarm(made)
        try:
            first, second = made.by_name["m1"], made.by_name["m2"]
            swarm.init(first)
            swarm.command(first, "update", "--dispatcher-heartbeat", f"{PERIOD_NS // SECOND}s")
            swarm.join(second, first, "manager")
            wait_until(
                lambda: swarm.json(second, "info")["LeaderAddr"].startswith(first.address),
                what="the second manager to follow the first",
            )
            yield swarm
        finally:
            swarm.stop()


@pytest.fixture
def agents(swarm: Swarm) -> Iterator[tuple[Agent, Agent]]:
    made = swarm.machines.by_name
    started: list[Agent] = []
    try:
        started.extend(Agent(swarm, made[name], made["m2"]) for name in ("a1", "a2"))
        wait_until(lambda: all(agent.said("session") for agent in started), what="their sessions")
        yield started[0], started[1]
    finally:
        for agent in started:
            agent.process.send_signal(signal.SIGCONT)
            stop(agent.process)


def test_a_cable_pulled_behind_a_follower_is_noticed_before_heartbeats_are_missed(
    swarm: Swarm, agents: tuple[Agent, Agent]
) -> None:
    cut, frozen = agents
    # Up to twice the setting: the leader relies on what the follower sees of their machines.
    assert PERIOD_NS < cut.beat() <= 2 * PERIOD_NS

    # Both fall silent at once. Of the frozen one only heartbeats tell, and its are missed first.
    due = time.monotonic_ns() + frozen.beat()
    frozen.process.send_signal(signal.SIGSTOP)
    wait_until(lambda: time.monotonic_ns() + cut.beat() > due, what="a heartbeat due later")
    swarm.machines.unplug("a1")
    wait_until(
        lambda: cut.is_in_state("Down") and frozen.is_in_state("Down"), what="both to be down"
    )
    assert gone_down(swarm) == [cut.node_id, frozen.node_id]

    swarm.machines.plug("a1")
    frozen.process.send_signal(signal.SIGCONT)
    wait_until(
        lambda: cut.is_in_state("Ready") and frozen.is_in_state("Ready"), what="both to be back"
    )
