"""What goes wrong with networks, one after the other in one swarm of real daemons.

After each test the machines are as they were before it: the same interfaces, addresses, rules,
ports and namespaces.
"""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest

from demo.machines import Machine
from demo.swarm import CommandFailed, Swarm, wait_until
from swarmd.cli.client import connected
from swarmd.cli.target import Target
from swarmd.model.ids import NetworkId, ServiceId
from swarmd.model.spec import (
    ContainerSpec,
    NetworkAttachmentConfig,
    Replicated,
    ServiceMode,
    ServiceSpec,
    TaskSpec,
)
from tests.support.network_swarm import (
    FETCH,
    LOOK_UP,
    NAMES,
    OWN_ADDRESS,
    create,
    footprint,
    from_client,
    in_namespace,
    inside,
    lacking,
    namespaces,
    network_swarm,
    ready,
    tasks,
)

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(bool(lacking()), reason=lacking() or "-"),
]

LISTEN = """
import socket, time
with socket.create_server(("", {port})):
    print("listening", flush=True)
    time.sleep(1e6)
"""
# As many questions as fit in the seconds given: known names, unknown ones, and mere bytes.
FLOOD = """
import os, socket, sys, time
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.setblocking(False)
sock.connect(("127.0.0.11", 53))
def question(name):
    labels = b"".join(bytes([len(one)]) + one for one in name.split(b"."))
    head, tail = bytes.fromhex("01000001000000000000"), bytes.fromhex("0000010001")
    return os.urandom(2) + head + labels + tail
sent, until = 0, time.monotonic() + float(sys.argv[1])
while time.monotonic() < until:
    for data in (question(b"web"), question(b"no.such.name.example"), os.urandom(60)):
        try:
            sock.send(data)
            sent += 1
        except OSError:
            pass
print(sent)
"""
IDLE = "import time; time.sleep(1e6)"
SERVICES = 1_000

A = TypeVar("A")
B = TypeVar("B")


@pytest.fixture(scope="module")
def running() -> Iterator[Swarm]:
    """A manager and two workers. The pool of addresses has four networks' worth."""
    pool = ("--default-addr-pool", "10.40.0.0/22", "--default-addr-pool-mask-length", "24")
    with network_swarm(init=pool) as made:
        # Nodes have their bridge from the first task on.
        first = made.machines.by_name["m1"]
        made.command(first, "network", "create", "first")
        create(made, "first", "--network", "first", "--mode", "global", program=IDLE)
        made.command(first, "service", "rm", "first")
        wait_until(lambda: not namespaces(made, "tasks"), what="the first tasks to go")
        made.command(first, "network", "rm", "first")
        wait_until(lambda: not namespaces(made, "networks"), what="the first network to go")
        yield made


@pytest.fixture
def swarm(running: Swarm) -> Iterator[Swarm]:
    """The swarm without services and networks, and a look whether it is again, afterwards."""
    before = footprint(running)
    yield running
    first = running.machines.by_name["m1"]
    for noun in ("service", "network"):
        names = [str(row["Name"]) for row in running.rows(first, noun, "ls")]
        mine = [name for name in names if name != "ingress"]
        if mine:
            running.command(first, noun, "rm", *mine)
    wait_until(
        lambda: not namespaces(running, "tasks") and not namespaces(running, "networks"),
        what="the namespaces of tasks and networks to go",
    )
    try:
        wait_until(lambda: footprint(running) == before, what="the machines to be as before")
    except TimeoutError:
        assert footprint(running) ^ before == frozenset()


def test_ports_answer_on_one_address_or_one_interface_alone(swarm: Swarm) -> None:
    first, worker = swarm.machines.by_name["m1"], swarm.machines.by_name["w1"]
    create(
        *(swarm, "web", "--publish", f"published=8081,target=80,address={worker.address}"),
        *("--publish", "published=8082,target=80,address=dm0"),
    )
    wait_until(
        lambda: answers(swarm, f"http://{worker.address}:8081/"), what="the port at its address"
    )
    assert from_client(swarm, f"http://{worker.address}:8081/")[0].split()[1] == (
        swarm.machines.client.address
    )
    # Other addresses, also of that machine, refuse; any program may have the port there.
    assert refuses(swarm.machines.client, f"http://{first.address}:8081/")
    assert refuses(worker, "http://127.0.0.1:8081/")
    # The interface comes, and goes, while the port is published on it.
    worker.run(["ip", "link", "add", "dm0", "type", "dummy"])
    worker.run(["ip", "addr", "add", "10.88.0.1/32", "dev", "dm0"])
    worker.run(["ip", "link", "set", "dm0", "up"])
    wait_until(
        lambda: not refuses(worker, "http://10.88.0.1:8082/"), what="the port at its interface"
    )
    assert refuses(worker, f"http://{worker.address}:8082/")
    worker.run(["ip", "link", "del", "dm0"])


def test_what_is_taken_on_a_machine_is_named_and_served_when_it_is_free(swarm: Swarm) -> None:
    first, worker = swarm.machines.by_name["m1"], swarm.machines.by_name["w1"]
    swarm.command(first, "network", "create", "front")
    state = swarm.json(first, "network", "inspect", "front")[0]
    number = vxlan_id(state)
    worker.run(["ip", "link", "add", "foreign", "type", "vxlan", "id", number, "dstport", "4789"])
    program = subprocess.Popen(
        worker.command([sys.executable, "-c", LISTEN.format(port=8083)]), stdout=subprocess.PIPE
    )
    try:
        assert program.stdout is not None
        program.stdout.readline()
        create(swarm, "web", "--network", "front", "--replicas", "3", "--publish", "8083:80", "-d")
        wait_until(
            lambda: (
                f"VXLAN id {number} is in use" in doctor(swarm) and "port 8083/tcp" in doctor(swarm)
            ),
            what="the doctor to name the VXLAN and the port",
        )
        assert answers(swarm, f"http://{first.address}:8083/")
    finally:
        worker.run(["ip", "link", "del", "foreign"])
        program.kill()
        program.communicate()
    wait_until(lambda: doctor(swarm) == "", what="the doctor to find nothing wrong")
    wait_until(lambda: len(tasks(swarm, "web")) == 3, what="all tasks to run")
    assert answers(swarm, *everywhere(swarm, 8083))


def test_pools_that_are_exhausted_say_so_and_serve_again(swarm: Swarm) -> None:
    first = swarm.machines.by_name["m1"]
    # The ingress network has the first of four.
    for name in ("one", "two", "three"):
        swarm.command(first, "network", "create", name)
    with pytest.raises(CommandFailed, match=r"10\.40\.0\.0/22") as refusal:
        swarm.command(first, "network", "create", "four")
    assert "pool" in str(refusal.value)
    swarm.command(first, "network", "rm", "three")
    swarm.command(first, "network", "create", "four")
    # Eight addresses: the first, the last, the gateway and the service's own are nobody else's.
    swarm.command(first, "network", "create", "--subnet", "10.77.7.0/29", "small")
    create(swarm, "crowd", "--network", "small", "--replicas", "6", "-d", program=IDLE)

    def waiting() -> str:
        rows = swarm.rows(first, "service", "ps", "--no-trunc", "crowd")
        return "; ".join(str(row) for row in rows if "small" in str(row))

    wait_until(lambda: "address" in waiting(), what="a task that says there is no address left")
    swarm.command(first, "service", "scale", "-d", "crowd=1")
    wait_until(lambda: "address" not in waiting(), what="nobody to wait any more")


def test_what_was_removed_by_hand_is_there_again(swarm: Swarm) -> None:
    first, worker = swarm.machines.by_name["m1"], swarm.machines.by_name["w1"]
    swarm.command(first, "network", "create", "front")
    create(swarm, "web", "--network", "front", "--replicas", "3", "--publish", "8084:80")
    ids = tasks(swarm, "web")
    run = worker.state_dir / "run"
    [network] = (run / "networks").iterdir()
    [task] = (run / "tasks").iterdir()

    def all_answer() -> bool:
        return answers(swarm, *everywhere(swarm, 8084) * 3) and all(
            len({one.split()[0] for one in inside(swarm, one, FETCH, *["http://web/"] * 3)}) == 3
            for one in ids.values()
        )

    def vxlan() -> None:
        listed = subprocess.run(
            ["nsenter", f"--net={network}", "ip", "-br", "link", "show", "type", "vxlan"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        in_namespace(network, "ip", "link", "del", listed.split()[0].partition("@")[0])

    wait_until(all_answer, what="all to answer")
    vxlan()
    worker.run(["ip", "link", "del", "ing0"])
    worker.run(["ip", "link", "del", bridge_of(worker)])
    in_namespace(task, "ip", "link", "del", "eth1")
    wait_until(all_answer, what="all to answer with other interfaces")
    for namespace in (network, run / "ingress", task):
        subprocess.run(["umount", namespace], check=True)
    wait_until(all_answer, what="all to answer with other namespaces")
    assert tasks(swarm, "web") == ids
    wait_until(lambda: doctor(swarm) == "", what="the doctor to find nothing wrong")


def test_a_flood_of_questions_and_nonsense_keeps_nobody_from_asking(swarm: Swarm) -> None:
    swarm.command(swarm.machines.by_name["m1"], "network", "create", "front")
    create(swarm, "web", "--network", "front", "--constraint", "node.role == manager")
    create(
        *(swarm, "two", "--network", "front", "--replicas", "2"),
        *("--constraint", "node.role == manager"),
        program=IDLE,
    )
    rude, polite = tasks(swarm, "two").values()
    [vip] = inside(swarm, polite, LOOK_UP, "web")
    first = swarm.machines.by_name["m1"]
    argv = [sys.executable, "-m", "swarmd.cli", "--state-dir", str(first.state_dir)]
    flood = subprocess.Popen(
        first.command([*argv, "exec", rude, sys.executable, "-c", FLOOD, "3"]),
        stdout=subprocess.PIPE,
        text=True,
    )
    asked = 0
    while flood.poll() is None:
        assert inside(swarm, polite, LOOK_UP, *["web"] * 5) == [vip] * 5
        asked += 1
    assert int(flood.communicate()[0]) > 1_000
    assert asked >= 2
    assert inside(swarm, rude, LOOK_UP, "web") == [vip]


def test_a_thousand_services_on_one_network(swarm: Swarm) -> None:
    first = swarm.machines.by_name["m1"]
    network = swarm.command(first, "network", "create", "--subnet", "10.78.0.0/20", "wide").strip()
    create(swarm, "web", "--network", "wide", "--replicas", "3")
    create(swarm, "many", "--network", "wide", program=IDLE)
    ids = asyncio.run(create_services(first, NetworkId(network)))
    [task] = tasks(swarm, "many").values()
    last = f"s{SERVICES - 1}"
    wait_until(
        lambda: not inside(swarm, task, LOOK_UP, last)[0].startswith("error"),
        what="the last service to have a name",
    )
    # Nobody is behind it, which is told at once; and others answer as ever.
    [refused] = inside(swarm, task, FETCH, f"http://{last}/")
    assert "refused" in refused
    served = inside(swarm, task, FETCH, *["http://web/"] * 6)
    assert sorted(answer.split()[0] for answer in served) == ["1", "1", "2", "2", "3", "3"]
    assert doctor(swarm) == ""
    asyncio.run(remove_services(first, ids))


def test_a_node_whose_address_and_mtu_change_stays_in_touch(swarm: Swarm) -> None:
    first, worker = swarm.machines.by_name["m1"], swarm.machines.by_name["w1"]
    swarm.command(first, "network", "create", "front")
    create(swarm, "web", "--network", "front", "--mode", "global", "--publish", "8085:80")
    ids = sorted(row["ID"] for row in running_tasks(swarm, "web"))
    old, new = worker.address, "10.99.0.77"
    own = {task: inside(swarm, task, OWN_ADDRESS, "192.0.2.1")[0] for task in ids}

    def change(before: str, after: str) -> None:
        worker.run(["ip", "addr", "del", f"{before}/24", "dev", "eth0"])
        worker.run(["ip", "addr", "add", f"{after}/24", "dev", "eth0"])
        worker.address = after

    def all_reach_all() -> bool:
        if not answers(swarm, *everywhere(swarm, 8085) * 3):
            return False
        try:
            said = [
                line for task in ids for line in inside(swarm, task, FETCH, *["http://web/"] * 3)
            ]
        except CommandFailed:
            return False
        return not any(line.startswith("error") for line in said)

    wait_until(all_reach_all, what="all to reach all")
    for before, after in ((old, new), (new, old)):
        change(before, after)
        wait_until(lambda: addresses(swarm) >= {worker.address}, what="the address to be told")
        wait_until(all_reach_all, what="all to reach all again")
    assert sorted(row["ID"] for row in running_tasks(swarm, "web")) == ids
    assert own == {task: inside(swarm, task, OWN_ADDRESS, "192.0.2.1")[0] for task in ids}

    [network] = (worker.state_dir / "run" / "networks").iterdir()
    for size in (1400, 1500):
        worker.run(["ip", "link", "set", "eth0", "mtu", str(size)])
        wait_until(
            lambda size=size: f"mtu {size - 50}" in links_in(network),  # type: ignore[misc]
            what="networks to follow the underlay",
        )
    assert all_reach_all()


def test_a_daemon_that_may_not_touch_the_network_says_what_it_lacks(swarm: Swarm) -> None:
    first, worker = swarm.machines.by_name["m1"], swarm.machines.by_name["w2"]
    swarm.command(first, "network", "create", "front")
    restart(swarm, worker, "setpriv", "--bounding-set=-net_admin", "--inh-caps=-net_admin")
    try:
        assert "it takes root" in str(swarm.json(worker, "info"))
        create(swarm, "web", "--network", "front", "--mode", "global", "-d")
        wait_until(
            lambda: any(
                "is on an overlay network" in str(row) and "it takes root" in str(row)
                for row in swarm.rows(first, "service", "ps", "--no-trunc", "web")
            ),
            what="a sentence on the task that can't run there",
        )
    finally:
        swarm.command(first, "service", "rm", "web")
        restart(swarm, worker)
    wait_until(lambda: doctor(swarm) == "", what="the doctor to find nothing wrong")


def answers(swarm: Swarm, *urls: str) -> bool:
    return not any(answer.startswith("error") for answer in from_client(swarm, *urls))


def everywhere(swarm: Swarm, port: int) -> list[str]:
    return [f"http://{machine.address}:{port}/" for machine in swarm.machines.nodes()]


def refuses(machine: Machine, url: str) -> bool:
    return "refused" in machine.run([sys.executable, "-c", FETCH, url]).stdout


def doctor(swarm: Swarm) -> str:
    """What the doctor finds wrong; empty when nothing."""
    try:
        swarm.command(swarm.machines.by_name["m1"], "doctor")
    except CommandFailed as failed:
        return str(failed)
    return ""


def vxlan_id(network: dict[str, object]) -> str:
    text = str(network)
    return text.partition("vxlanid_list': '")[2].partition("'")[0].split(",")[0]


def bridge_of(machine: Machine) -> str:
    listed = machine.run(["ip", "-br", "link", "show", "type", "bridge"]).stdout
    return listed.split()[0]


def links_in(path: Path) -> str:
    return subprocess.run(
        ["nsenter", f"--net={path}", "ip", "link"], capture_output=True, text=True, check=True
    ).stdout


def running_tasks(swarm: Swarm, service: str) -> list[dict[str, str]]:
    return swarm.rows(
        swarm.machines.by_name["m1"],
        *("service", "ps", "--no-trunc", "--filter", "desired-state=running", service),
    )


def addresses(swarm: Swarm) -> set[str]:
    first = swarm.machines.by_name["m1"]
    ids = [str(row["ID"]) for row in swarm.rows(first, "node", "ls")]
    nodes = swarm.json(first, "node", "inspect", *ids)
    known = {str(machine.address) for machine in swarm.machines.nodes()}
    return {address for address in known if f"'{address}'" in str(nodes)}


def restart(swarm: Swarm, machine: Machine, *wrapper: str) -> None:
    """End the daemon without its tasks and start it under `wrapper`."""
    process = swarm.daemons.pop(machine.name)
    process.send_signal(signal.SIGTERM)
    process.wait()
    argv = [sys.executable, "-m", "swarmd.cli", "--state-dir", str(machine.state_dir), "daemon"]
    with (machine.directory / "daemon.log").open("ab") as output:
        swarm.daemons[machine.name] = machine.start([*wrapper, *argv], output=output)
    wait_until(machine.socket.exists, what=f"the daemon on {machine.name} to start")
    wait_until(lambda: ready(swarm) == len(NAMES), what="all nodes to be ready")


async def create_services(machine: Machine, network: NetworkId) -> list[ServiceId]:
    """Services without tasks: names, addresses and rules alone."""
    spec = TaskSpec(
        container_spec=ContainerSpec(command=("true",), executor="process"),
        networks=(NetworkAttachmentConfig(target=network),),
    )
    none = ServiceMode(replicated=Replicated(replicas=0))
    async with connected(Target(machine.socket, machine.state_dir)) as client:

        async def create(number: int) -> ServiceId:
            made = ServiceSpec(name=f"s{number}", mode=none, task_template=spec)
            return (await client.create_service(made)).id

        return await many(create, range(SERVICES))


async def remove_services(machine: Machine, ids: Iterable[ServiceId]) -> None:
    async with connected(Target(machine.socket, machine.state_dir)) as client:
        await many(client.remove_service, ids)


async def many(call: Callable[[A], Awaitable[B]], given: Iterable[A]) -> list[B]:
    """What the calls answer, a few of them at once."""
    at_once = asyncio.Semaphore(32)

    async def one(argument: A) -> B:
        async with at_once:
            return await call(argument)

    async with asyncio.TaskGroup() as group:
        running = [group.create_task(one(argument)) for argument in given]
    return [each.result() for each in running]
