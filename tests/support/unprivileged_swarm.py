"""A swarm of real daemons by a user without privileges.

A program, to be run in a user namespace with networks and mounts of its own. Machines are
namespaces in there, and everything the kernel does for networks it does in there, too.
"""

from __future__ import annotations

import sys

from demo.swarm import wait_until
from tests.support.network_swarm import (
    FETCH,
    OWN_ADDRESS,
    create,
    from_client,
    inside,
    network_swarm,
    tasks,
)

NAMES = ("m1", "w1")
DONE = "all as with privileges"


def main() -> None:
    with network_swarm(NAMES) as swarm:
        first = swarm.machines.by_name["m1"]
        balancer = swarm.json(first, "info")["Balancer"]
        assert balancer == "nft", balancer
        swarm.command(first, "network", "create", "front")
        spread = ("--network", "front", "--replicas", "2")
        create(swarm, "web", *spread, "--publish", "8080:80")
        create(swarm, "asker", "--network", "front")
        web, [asker] = tasks(swarm, "web"), tasks(swarm, "asker").values()

        # By name and virtual address, to tasks of both nodes, under the caller's own address.
        answers = inside(swarm, asker, FETCH, *["http://web/"] * 4)
        [own] = inside(swarm, asker, OWN_ADDRESS, "web")
        assert sorted(answers) == sorted(f"{slot} {own}" for slot in web for _ in range(2)), answers

        # By the published port of both nodes, under the client's own address.
        urls = [f"http://{machine.address}:8080/" for machine in swarm.machines.nodes()]
        address = swarm.machines.client.address
        wait_until(
            lambda: {line.split()[1] for line in from_client(swarm, *urls * 2)} == {address},
            what="both nodes to answer with the client's address",
        )
        for name in ("web", "asker"):
            swarm.command(first, "service", "rm", name)
    sys.stdout.write(f"{DONE}\n")


if __name__ == "__main__":
    main()
