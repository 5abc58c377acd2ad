"""A swarm of real daemons, driven by its command line as a person would."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from demo.machines import Machine, machines
from demo.swarm import CommandFailed, Swarm, wait_until

WHOAMI = Path(__file__).parents[3] / "demo" / "whoami.py"
FETCH = "import sys, urllib.request as r; print(r.urlopen(sys.argv[1], timeout=2).read().decode())"
NAMES = ("m1", "m2", "m3", "w1")


@pytest.fixture
def swarm() -> Iterator[Swarm]:
    """Three managers and a worker."""
    with machines(NAMES) as made:
        swarm = Swarm(made)
        try:
            first = made.by_name["m1"]
            swarm.init(first)
            for name in NAMES[1:]:
                role = "manager" if name.startswith("m") else "worker"
                swarm.join(made.by_name[name], first, role)
            wait_until(lambda: managers(swarm, first) == 3, what="three managers")
            yield swarm
        finally:
            swarm.stop()


def managers(swarm: Swarm, asked: Machine) -> int:
    return len(swarm.json(asked, "info").get("RemoteManagers", ()))


def node_id(swarm: Swarm, name: str) -> str:
    return str(swarm.json(swarm.machines.by_name[name], "info")["NodeID"])


def create_web(swarm: Swarm, machine: Machine, replicas: int) -> None:
    swarm.command(
        machine,
        *("service", "create", "--name", "web", "--replicas", str(replicas)),
        *("--publish", "8080:80", "--env", "TASK={{.Task.Name}}"),
        *("--env", "MACHINE={{.Node.ID}}", "--process", "--", sys.executable, str(WHOAMI)),
    )


def task_ids(swarm: Swarm, machine: Machine) -> list[str]:
    return sorted(swarm.command(machine, "service", "ps", "-q", "web").split())


def running(swarm: Swarm, machine: Machine) -> str:
    try:
        return str(swarm.rows(machine, "service", "ls")[0]["Replicas"])
    except CommandFailed:
        return ""


def answer(swarm: Swarm, machine: Machine) -> str:
    url = f"http://{machine.address}:8080/"
    return swarm.machines.client.run([sys.executable, "-c", FETCH, url]).stdout


def test_a_service_answers_on_every_node_and_survives_the_leader(swarm: Swarm) -> None:
    first = swarm.machines.by_name["m1"]
    create_web(swarm, first, 4)
    for machine in swarm.machines.nodes():
        wait_until(lambda m=machine: answer(swarm, m) != "", what=f"{machine.name} to answer")
    leader = swarm.leader(first)
    assert leader is not None
    alive = next(m for m in swarm.machines.nodes() if m.name.startswith("m") and m is not leader)
    swarm.kill(leader)
    wait_until(lambda: scaled(swarm, alive, 5), what="a write accepted by another manager")
    wait_until(lambda: running(swarm, alive) == "5/5", what="five tasks on living nodes")
    for machine in swarm.machines.nodes():
        if machine.name in swarm.daemons:
            wait_until(lambda m=machine: answer(swarm, m) != "", what=f"{machine.name} to answer")
    # Two of three managers are left, and each is needed.
    for name in ("m1", "m2", "m3"):
        if name in swarm.daemons:
            with pytest.raises(CommandFailed, match="would lose the quorum"):
                swarm.command(alive, "node", "demote", node_id(swarm, name))


def scaled(swarm: Swarm, machine: Machine, replicas: int) -> bool:
    try:
        swarm.command(machine, "service", "scale", "--detach", f"web={replicas}")
    except CommandFailed:
        return False
    return True


def test_daemons_killed_all_at_once_come_back_and_adopt_their_tasks(swarm: Swarm) -> None:
    first = swarm.machines.by_name["m1"]
    create_web(swarm, first, 4)
    before = task_ids(swarm, first)
    for process in swarm.daemons.values():
        os.kill(process.pid, signal.SIGKILL)
    for process in swarm.daemons.values():
        process.wait()
    for machine in swarm.machines.nodes():
        machine.socket.unlink()
        swarm.start_daemon(machine)
    wait_until(lambda: running(swarm, first) == "4/4", what="the swarm to be itself again")
    assert task_ids(swarm, first) == before


def test_roles_change_while_the_node_runs(swarm: Swarm) -> None:
    first, worker = swarm.machines.by_name["m1"], swarm.machines.by_name["w1"]
    swarm.command(first, "node", "promote", node_id(swarm, "w1"))
    wait_until(lambda: managers(swarm, first) == 4, what="the worker to be a manager")
    wait_until(lambda: bool(swarm.json(worker, "info")["IsManager"]), what="it to know")
    leader = swarm.leader(first)
    assert leader is not None
    swarm.command(worker, "node", "demote", node_id(swarm, leader.name))
    wait_until(lambda: managers(swarm, worker) == 3, what="the old leader to be out of Raft")
    wait_until(lambda: not swarm.json(leader, "info")["IsManager"], what="it to be a worker")

    def refusal() -> str:
        with pytest.raises(CommandFailed) as raised:
            swarm.command(leader, "node", "ls")
        return str(raised.value)

    # For a moment its certificate says worker while its manager half still passes calls on.
    wait_until(lambda: "not a swarm manager" in refusal(), what="its manager half to be gone")


def test_a_node_that_leaves_hands_over_its_tasks(swarm: Swarm) -> None:
    first, worker = swarm.machines.by_name["m1"], swarm.machines.by_name["w1"]
    create_web(swarm, first, 4)
    swarm.command(worker, "leave")
    wait_until(lambda: running(swarm, first) == "4/4", what="its task to run elsewhere")
    down = [n for n in swarm.rows(first, "node", "ls") if str(n["Status"]).startswith("Down")]
    assert [str(node["Status"]) for node in down] == ["Down (left the swarm)"]
    with pytest.raises(CommandFailed, match=r"is not a swarm manager|not part of a swarm"):
        swarm.command(worker, "node", "ls")
    swarm.command(first, "node", "rm", str(down[0]["ID"]))
    assert len(swarm.rows(first, "node", "ls")) == 3


def test_wrong_tokens_and_addresses_are_refused_with_a_sentence(swarm: Swarm) -> None:
    first, spare = swarm.machines.by_name["m1"], swarm.machines.client
    token = swarm.command(first, "token", "-q", "worker").strip()
    swarm.start_daemon(spare)
    swarm.command(first, "token", "--rotate", "worker")
    remote = f"{first.address}:2377"
    cases = {
        token[:-3]: "token",
        token: "token",
        "nonsense": "token",
    }
    for bad, sentence in cases.items():
        with pytest.raises(CommandFailed, match=sentence):
            swarm.command(spare, "join", "--advertise-addr", spare.address, "--token", bad, remote)
    assert swarm.json(spare, "info")["State"] == "inactive"
    with pytest.raises(CommandFailed, match="already part of a swarm"):
        swarm.command(first, "init")
    with pytest.raises(CommandFailed, match=r"last manager|demote"):
        swarm.command(first, "leave")


def test_a_second_daemon_or_a_foreign_format_is_refused(tmp_path: Path) -> None:
    with machines(("solo",)) as made:
        swarm = Swarm(made)
        solo = made.by_name["solo"]
        swarm.start_daemon(solo)
        argv = [sys.executable, "-m", "swarmd.cli", "--state-dir", str(solo.state_dir), "daemon"]
        try:
            second = solo.run(argv, timeout=20)
            assert second.returncode == 1
            assert "another swarmd daemon" in second.stderr
        finally:
            swarm.stop()
        (solo.state_dir / "format").write_text("99\n")
        foreign = solo.run(argv, timeout=20)
        assert foreign.returncode == 1
        assert "has format '99'" in foreign.stderr
