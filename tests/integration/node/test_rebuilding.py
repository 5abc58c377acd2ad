"""A swarm that lost the majority of its managers for good goes on with the one that is left."""

from __future__ import annotations

import sys

import pytest

from demo.machines import machines
from demo.swarm import CommandFailed, Swarm, wait_until
from tests.support.bad_days import SLEEPER, clock, needs_faketime, start_daemon, stop_daemon

NAMES = ("m1", "m2", "m3", "w1", "spare")
FORCE = ("init", "--force-new-cluster")


def managers(swarm: Swarm, name: str) -> int:
    machine = swarm.machines.by_name[name]
    return len(swarm.json(machine, "info").get("RemoteManagers", ()))


def replicas(swarm: Swarm, name: str) -> str:
    try:
        return str(swarm.rows(swarm.machines.by_name[name], "service", "ls")[0]["Replicas"])
    except CommandFailed:
        return ""


def standing(swarm: Swarm, name: str) -> dict[str, str]:
    """Host or node name to manager status, as `node ls` shows it."""
    rows = swarm.rows(swarm.machines.by_name[name], "node", "ls")
    return {str(row["ID"]): str(row["ManagerStatus"]) for row in rows}


def test_the_survivor_keeps_services_and_takes_new_managers() -> None:
    with machines(NAMES) as made:
        swarm = Swarm(made)
        first, worker = made.by_name["m1"], made.by_name["w1"]
        try:
            swarm.init(first)
            for name, role in (("m2", "manager"), ("m3", "manager"), ("w1", "worker")):
                swarm.join(made.by_name[name], first, role)
            wait_until(lambda: managers(swarm, "m1") == 3, what="three managers")
            with pytest.raises(CommandFailed, match="has a leader"):
                swarm.command(first, *FORCE)
            with pytest.raises(CommandFailed, match="not a manager of one"):
                swarm.command(worker, *FORCE)
            swarm.command(
                first,
                *("service", "create", "--name", "web", "--replicas", "4"),
                *("--process", "--", sys.executable, "-c", "import time; time.sleep(999)"),
            )
            token = swarm.command(first, "token", "-q", "manager").strip()
            own = str(swarm.json(first, "info")["NodeID"])
            kept = {
                str(row["ID"])
                for row in swarm.rows(first, "service", "ps", "web")
                if row["Node"] in (own, _hostname(swarm, own))
            }
            swarm.kill(made.by_name["m2"])
            swarm.kill(made.by_name["m3"])

            with pytest.raises(CommandFailed, match="keeps its settings"):
                swarm.command(first, *FORCE, "--task-history-limit", "1")
            said = swarm.command(first, *FORCE)
            assert f"swarm rebuilt: node {own} is a manager" in said
            assert "no longer managers" in said
            assert "node rm --force" in said

            wait_until(lambda: replicas(swarm, "m1") == "4/4", what="four tasks on living nodes")
            assert managers(swarm, "m1") == 1
            assert sorted(standing(swarm, "m1").values()) == ["", "", "", "Leader"]
            now = {str(row["ID"]) for row in swarm.rows(first, "service", "ps", "web")}
            assert kept <= now, "the survivor's own tasks were not touched"
            assert swarm.command(first, "token", "-q", "manager").strip() == token
            with pytest.raises(CommandFailed, match="only manager"):
                swarm.command(first, *FORCE)

            swarm.join(made.by_name["spare"], first, "manager")
            wait_until(lambda: managers(swarm, "spare") == 2, what="a new manager")
            # One that comes back after all finds itself a worker.
            back = made.by_name["m2"]
            back.socket.unlink()
            swarm.start_daemon(back)
            wait_until(
                lambda: (
                    swarm.json(back, "info")["State"] == "active"
                    and not swarm.json(back, "info")["IsManager"]
                ),
                what="the former manager to be a worker",
            )
            assert managers(swarm, "m1") == 2
        finally:
            swarm.stop()


@needs_faketime
def test_a_manager_that_is_alone_with_an_expired_certificate_gets_another() -> None:
    with machines(("m1",)) as made:
        swarm, only = Swarm(made), made.by_name["m1"]
        try:
            swarm.init(only)
            swarm.command(only, "service", "create", "--name", "web", *SLEEPER)
            task = swarm.rows(only, "service", "ps", "web")[0]["ID"]
            stop_daemon(swarm, only)
            start_daemon(swarm, only, *clock("+200d"))
            wait_until(
                lambda: "certificate" in str(swarm.json(only, "info")),
                what="it to say what is wrong",
            )
            assert "swarm rebuilt" in swarm.command(only, *FORCE)
            wait_until(
                lambda: swarm.json(only, "info")["State"] == "active", what="a session with itself"
            )
            wait_until(lambda: replicas(swarm, "m1") == "1/1", what="its task to be known to run")
            assert swarm.rows(only, "service", "ps", "web")[0]["ID"] == task
            with pytest.raises(CommandFailed, match="only manager"):
                swarm.command(only, *FORCE)
        finally:
            swarm.stop()


def _hostname(swarm: Swarm, node_id: str) -> str:
    rows = swarm.rows(swarm.machines.by_name["m1"], "node", "ls")
    return next(str(row["Hostname"]) for row in rows if row["ID"] == node_id)
