"""Overlays on a swarm of real daemons, as a person would use them; and nothing is left behind."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from ipaddress import ip_network

import pytest

from demo.swarm import CommandFailed, Swarm, wait_until
from tests.support.network_swarm import (
    FETCH,
    LOOK_UP,
    NAMES,
    OWN_ADDRESS,
    SERVE,
    create,
    from_client,
    in_namespace,
    inside,
    ipv6_underlay,
    is_in_touch,
    lacking,
    namespaces,
    network_swarm,
    places,
    ready,
    tasks,
    warnings,
)

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(bool(lacking()), reason=lacking() or "-"),
]


WALL = "table inet wall {{ chain in {{ type filter hook input priority 0; {}; }}; }}"
BY_WIREGUARD = ("--opt", "swarmd.encryption=wireguard")


@pytest.fixture
def swarm() -> Iterator[Swarm]:
    with network_swarm() as made:
        yield made


def test_services_reach_each_other_by_name_and_keep_doing_so_while_daemons_restart(
    swarm: Swarm,
) -> None:
    first = swarm.machines.by_name["m1"]
    swarm.command(first, "network", "create", "front")
    swarm.command(first, "network", "create", "--internal", "back")
    create(swarm, "web", "--network", "front", "--replicas", "3", "--publish", "8080:80")
    create(
        swarm,
        "db",
        *("--network", "back", "--network", "front"),
        *("--publish", "mode=host,target=80,published=8090,address=eth0"),
    )
    create(swarm, "cut", "--network", "back", program="import time; time.sleep(1e6)")
    web, [db], [cut] = (
        tasks(swarm, "web"),
        tasks(swarm, "db").values(),
        tasks(swarm, "cut").values(),
    )

    # Names stand for virtual addresses, and for the tasks themselves; each on its own networks.
    vip, members, unknown = inside(swarm, db, LOOK_UP, "web", "tasks.web", "cut")
    assert len(vip.split()) == 1
    assert len(members.split()) == 3
    assert unknown.startswith("error") is False
    assert inside(swarm, cut, LOOK_UP, "web")[0].startswith("error")
    answers = inside(swarm, db, FETCH, *["http://web/"] * 6)
    assert sorted(answer.split()[0] for answer in answers) == ["1", "1", "2", "2", "3", "3"]
    # Tasks see who calls: another task by its own address, a client from outside by its own, too.
    own = inside(swarm, db, OWN_ADDRESS, vip)
    assert {answer.split()[1] for answer in answers} == set(own)
    by_address = inside(swarm, web["1"], FETCH, *(f"http://{one}/" for one in members.split()))
    assert sorted(answer.split()[0] for answer in by_address) == ["1", "2", "3"]
    urls = [f"http://{machine.address}:8080/" for machine in swarm.machines.nodes()]
    wait_until(
        lambda: (
            {answer.split()[1] for answer in from_client(swarm, *urls * 3)}
            == {swarm.machines.client.address}
        ),
        what="every node to answer with the client's address",
    )
    # A port in host mode answers on one node, and there on the interface that it was bound to.
    on_host = from_client(swarm, *(f"http://{one.address}:8090/" for one in swarm.machines.nodes()))
    assert sum("error" not in answer for answer in on_host) == 1
    for machine in swarm.machines.nodes():
        argv = [sys.executable, "-c", FETCH, "http://127.0.0.1:8090/"]
        assert "refused" in machine.run(argv).stdout
    # By IPv6 as well, and that is the way out, too: of tasks with published ports and others.
    with ipv6_underlay(swarm) as addresses:
        nodes = {addresses[name] for name in NAMES}
        urls_v6 = [f"http://[{one}]:8080/" for one in sorted(nodes)]
        wait_until(
            lambda: (
                {answer.split()[1] for answer in from_client(swarm, *urls_v6 * 3)}
                == {addresses["client"]}
            ),
            what="every node to answer by IPv6 with the client's address",
        )
        argv = ["env", "SLOT=client", "PORT=9000", sys.executable, "-c", SERVE]
        server = swarm.machines.client.start(argv, output=subprocess.DEVNULL)
        try:
            world = f"http://[{addresses['client']}]:9000/"
            for task in (web["1"], db):
                wait_until(
                    lambda task=task: inside(swarm, task, FETCH, world)[0].split()[1] in nodes,
                    what="a task to be seen in the world by its node's address of IPv6",
                )
        finally:
            server.kill()
            server.wait()
    # A task on an internal network alone gets nowhere else.
    [refused] = inside(swarm, cut, FETCH, f"http://{first.address}:8080/")
    assert "unreachable" in refused

    # Without any manager everything goes on, and the daemon that comes back changes nothing.
    daemon = swarm.daemons.pop(first.name)
    daemon.send_signal(signal.SIGKILL)
    daemon.wait()
    answers = from_client(swarm, *urls)
    assert {answer.split()[1] for answer in answers} == {swarm.machines.client.address}
    swarm.start_daemon(first)
    wait_until(lambda: ready(swarm) == len(NAMES), what="the nodes to be ready again")
    wait_until(lambda: is_in_touch(swarm, (db, web["1"])), what="tasks to be reached again")
    assert tasks(swarm, "web") == web
    assert len(inside(swarm, db, LOOK_UP, "tasks.web")[0].split()) == 3
    assert [
        one for one in inside(swarm, web["1"], FETCH, *["http://web/"] * 3) if "error" in one
    ] == []
    assert not warnings(swarm)

    balances_as_asked(swarm, db)

    # What somebody takes away by hand comes back: an interface, all rules.
    for machine in swarm.machines.nodes():
        in_namespace(machine.state_dir / "run" / "ingress", "ip", "link", "del", "br0")
        machine.run(["nft", "flush", "ruleset"])
        for path in (machine.state_dir / "run" / "tasks").iterdir():
            in_namespace(path, "nft", "flush", "ruleset")
    wait_until(
        lambda: "error" not in " ".join(from_client(swarm, *urls)), what="the mesh to be mended"
    )
    wait_until(
        lambda: "error" not in " ".join(inside(swarm, db, FETCH, *["http://web/"] * 3)),
        what="names and virtual addresses to be mended",
    )
    assert any("repaired" in line for line in warnings(swarm))

    # What can't be is refused, or told, in a sentence.
    subnet = str(ip_network(f"{vip}/24", strict=False))
    with pytest.raises(CommandFailed, match="shares addresses with"):
        swarm.command(first, "network", "create", "--subnet", subnet, "twin")
    with pytest.raises(CommandFailed, match="8080"):
        create(swarm, "rival", "--publish", "8080:80")
    firewall = swarm.machines.by_name["w1"]
    firewall.run(["nft", WALL.format("udp dport 4789 drop")])
    with pytest.raises(CommandFailed, match="4789"):
        swarm.command(first, "doctor")
    firewall.run(["nft", "delete table inet wall"])
    assert "4789" not in swarm.command(first, "doctor")
    # Ports of WireGuard are looked at where a network needs them.
    swarm.command(first, "network", "create", "--opt", "encrypted", *BY_WIREGUARD, "secret")
    assert "WireGuard" not in swarm.command(first, "doctor")
    firewall.run(["nft", WALL.format("udp dport 2378 drop")])
    with pytest.raises(CommandFailed, match=r"WireGuard encrypts.*1 of 3 UDP ports; let"):
        swarm.command(first, "doctor")
    firewall.run(["nft", "delete table inet wall"])
    swarm.command(first, "network", "rm", "secret")

    for name in ("web", "db", "cut"):
        swarm.command(first, "service", "rm", name)
    wait_until(lambda: not namespaces(swarm, "tasks"), what="the namespaces of tasks to go")
    wait_until(lambda: not namespaces(swarm, "networks"), what="the overlays to go")


def balances_as_asked(swarm: Swarm, caller: str) -> None:
    """Services say how connections find their tasks, for names and for published ports alike."""
    first = swarm.machines.by_name["m1"]

    def called(name: str, times: int) -> Counter[str]:
        return Counter(answer[0] for answer in inside(swarm, caller, FETCH, *[name] * times))

    everywhere = ("--network", "front", "--replicas", "3", "--replicas-max-per-node", "1")
    create(swarm, "kept", *everywhere, "--publish", "8081:80", "--balance", "source-hash")
    urls = [f"http://{machine.address}:8081/" for machine in swarm.machines.nodes()]
    wait_until(
        lambda: len(set(from_client(swarm, *urls * 2))) == 1,
        what="the client to have one task, whichever node it calls",
    )
    assert len(called("http://kept/", 6)) == 1
    assert "source-hash" in swarm.command(first, "service", "inspect", "--pretty", "kept")
    swarm.command(first, "service", "rm", "kept")

    # A label of nodes is the weight of tasks there, and counts as soon as it is changed.
    swarm.command(first, "node", "update", "--label-add", "share=4", "w1")
    weights = ("--balance-weight", "node.labels.share", "--publish", "8082:80")
    create(swarm, "shared", *everywhere, *weights, "--balance", "least-connection")
    [heavy] = (slot for slot, node in places(swarm, "shared").items() if node == "w1")
    wait_until(
        lambda: called("http://shared/", 12)[heavy] == 8, what="w1 to have four shares of six"
    )
    entry = [f"http://{first.address}:8082/"] * 12
    assert Counter(answer[0] for answer in from_client(swarm, *entry))[heavy] == 8
    # Rules don't count connections, which is said.
    with pytest.raises(CommandFailed, match="shared asks for balance least-connection"):
        swarm.command(first, "doctor")
    before = tasks(swarm, "shared")
    swarm.command(first, "service", "update", "--balance", "round-robin", "shared")
    assert tasks(swarm, "shared") == before
    wait_until(
        lambda: "asks for" not in swarm.command(first, "network", "inspect", "--verbose", "front"),
        what="nodes to have nothing more to say of it",
    )
    swarm.command(first, "node", "update", "--label-rm", "share", "w1")
    wait_until(lambda: called("http://shared/", 6)[heavy] == 2, what="shares to be equal again")
    swarm.command(first, "service", "rm", "shared")
