"""A node that is removed while it runs is cut off at once, by every manager."""

from __future__ import annotations

from demo.machines import machines
from demo.swarm import Swarm, wait_until
from tests.support.bad_days import (
    SLEEPER,
    join_arguments,
    log_of,
    managers,
    node_id,
    refused,
    run,
    running_on,
)


def test_every_manager_refuses_a_removed_node_at_once() -> None:
    with machines(("m1", "m2", "m3", "w1")) as made:
        swarm = Swarm(made)
        first, third, worker = made.by_name["m1"], made.by_name["m3"], made.by_name["w1"]
        try:
            swarm.init(first)
            for name in ("m2", "m3"):
                swarm.join(made.by_name[name], first, "manager")
            swarm.join(worker, first, "worker")
            wait_until(lambda: managers(swarm, first) == 3, what="three managers")
            constraint = ("--constraint", "node.role==worker")
            swarm.command(first, "service", "create", "--name", "web", *constraint, *SLEEPER)
            removed = node_id(swarm, worker)
            assert len(running_on(swarm, first, removed)) == 1

            # Through a follower, which has to carry it to the leader.
            assert "force the removal" in refused(third, "node", "rm", removed)
            swarm.command(third, "node", "rm", "--force", removed)
            said = f"node {removed} was removed from this cluster"
            # It asks one manager after the other, and all of them know.
            wait_until(lambda: said in log_of(worker), what="the node to be refused")
            for name in ("m1", "m2", "m3"):
                address = f"manager={made.by_name[name].address}:2377"
                wait_until(
                    lambda a=address: any(
                        a in line and said in line for line in log_of(worker).splitlines()
                    ),
                    what=f"{name} to refuse the removed node",
                )
            assert said in str(swarm.json(worker, "info")["Error"])
            assert removed not in {str(row["ID"]) for row in swarm.rows(first, "node", "ls")}

            # What it was is over; it may come back as somebody else.
            assert run(worker, "leave").returncode == 0
            token = swarm.command(first, "token", "-q", "worker").strip()
            swarm.command(worker, *join_arguments(worker, token, f"{first.address}:2377"))
            assert node_id(swarm, worker) != removed
        finally:
            swarm.stop()


def test_a_removal_from_raft_is_logged_once() -> None:
    with machines(("m1", "m2", "m3")) as made:
        swarm = Swarm(made)
        first, third = made.by_name["m1"], made.by_name["m3"]
        try:
            swarm.init(first)
            for name in ("m2", "m3"):
                swarm.join(made.by_name[name], first, "manager")
            wait_until(lambda: managers(swarm, first) == 3, what="three managers")
            swarm.command(first, "node", "demote", node_id(swarm, third))
            wait_until(lambda: not swarm.json(third, "info")["IsManager"], what="the demotion")
            assert log_of(third).count("raft.removed") == 1
        finally:
            swarm.stop()
