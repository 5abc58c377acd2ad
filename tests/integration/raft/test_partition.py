"""Members in namespaces, cut apart by nftables: wholly, one-way, one link, packets by lot."""

import asyncio
import itertools
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from swarmd.raft.members import Member
from tests.support.raft_proc import Process
from tests.support.raft_proc_cluster import ProcessCluster

PREFIX = f"rft{os.getpid() % 10_000}"
PORT = 7377
_networks = itertools.count()


def run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)


class NamespaceProcess(Process):
    """A member in a namespace of its own."""

    namespace = ""

    def command(self) -> list[str]:
        return ["ip", "netns", "exec", self.namespace, *super().command()]


class Network:
    """One bridge, one namespace per member; rules drop packets by source address."""

    def __init__(self, names: list[str]) -> None:
        self.names = names
        self.made: list[str] = []
        # The kernel takes namespaces down in the background: never use a name twice.
        self.prefix = f"{PREFIX}{next(_networks)}"
        self.bridge = f"{self.prefix}br"

    def address(self, name: str) -> str:
        return f"10.98.{os.getpid() % 200}.{10 + self.names.index(name)}"

    def namespace(self, name: str) -> str:
        return f"{self.prefix}{name}"

    def up(self) -> None:
        run("ip", "link", "add", self.bridge, "type", "bridge")
        run("ip", "link", "set", self.bridge, "up")
        for name in self.names:
            space, outer = self.namespace(name), f"{self.prefix}{name}o"
            run("ip", "netns", "add", space)
            self.made.append(space)
            run("ip", "link", "add", outer, "type", "veth", "peer", "name", "eth0", "netns", space)
            run("ip", "link", "set", outer, "master", self.bridge, "up")
            run("ip", "-n", space, "addr", "add", f"{self.address(name)}/24", "dev", "eth0")
            run("ip", "-n", space, "link", "set", "eth0", "up")
            run("ip", "-n", space, "link", "set", "lo", "up")
            self.nft(name, "add table ip cut")
            self.nft(name, "add chain ip cut in { type filter hook input priority 0; }")

    def nft(self, name: str, rule: str) -> None:
        run("ip", "netns", "exec", self.namespace(name), "nft", rule)

    def deafen(self, name: str, *towards: str) -> None:
        for other in towards:
            self.nft(name, f"add rule ip cut in ip saddr {self.address(other)} drop")

    def cut(self, one: str, *others: str) -> None:
        self.deafen(one, *others)
        for other in others:
            self.deafen(other, one)

    def lose(self, percent: int) -> None:
        """Drop packets by lot, on every link."""
        for name in self.names:
            self.nft(name, f"add rule ip cut in numgen random mod 100 < {percent} drop")

    def heal(self) -> None:
        for name in self.names:
            self.nft(name, "flush chain ip cut in")

    def down(self) -> None:
        for name in self.names:
            subprocess.run(["ip", "link", "del", f"{self.prefix}{name}o"], capture_output=True)
        for space in self.made:
            subprocess.run(["ip", "netns", "del", space], capture_output=True)
        subprocess.run(["ip", "link", "del", self.bridge], capture_output=True)


@pytest.fixture
def network() -> Iterator[Network]:
    if os.geteuid() != 0 or not shutil.which("nft") or not shutil.which("ip"):
        pytest.skip("network namespaces need root, ip and nft")
    made = Network(["a", "b", "c"])
    try:
        made.up()
        yield made
    except subprocess.CalledProcessError as error:
        pytest.skip(f"no namespaces here: {error.stderr.decode().strip()}")
    finally:
        made.down()


class Partitioned(ProcessCluster):
    """The process cluster, each member in its namespace."""

    def __init__(self, directory: Path, network: Network) -> None:
        super().__init__(directory, 3)
        self.network = network
        for name, process in list(self.processes.items()):
            inside = NamespaceProcess(process.directory, name, PORT, process.certificates)
            inside.namespace, inside.host = network.namespace(name), network.address(name)
            inside.settings = process.settings
            self.processes[name] = inside

    def member(self, name: str, generation: int = 0) -> Member:
        return Member(f"{name}.{generation}", name, f"{self.network.address(name)}:{PORT}")


@pytest.fixture
async def cluster(tmp_path: Path, network: Network):  # type: ignore[no-untyped-def]
    made = Partitioned(tmp_path, network)
    try:
        await made.form()
        yield made
    finally:
        await made.close()


async def others_lead(cluster: Partitioned, old: str) -> Process:
    async with asyncio.timeout(20):
        while True:
            for name, process in cluster.processes.items():
                if name != old and process.ready:
                    return process
            await asyncio.sleep(0.01)


@pytest.mark.root
async def test_an_isolated_leader_steps_down_and_the_rest_goes_on(cluster: Partitioned) -> None:
    await cluster.write("before")
    old = (await cluster.leader()).node_id
    cluster.network.cut(old, *(n for n in cluster.processes if n != old))
    # What the cut-off leader is asked meanwhile must not be acknowledged by it.
    asked = asyncio.ensure_future(cluster.processes[old].ask("propose", text="never agreed"))
    new = await others_lead(cluster, old)
    assert (await new.ask("propose", text="meanwhile"))["outcome"] == "ok"
    assert (await asked)["outcome"] in ("unknown", "no")
    async with asyncio.timeout(10):
        while cluster.processes[old].ready:
            await asyncio.sleep(0.01)
    cluster.network.heal()
    cluster.acked.append("meanwhile")
    await cluster.check()


@pytest.mark.root
async def test_one_broken_link_of_three_disturbs_nobody(cluster: Partitioned) -> None:
    leader = await cluster.leader()
    one, other = [n for n in cluster.processes if n != leader.node_id]
    term = (await leader.ask("status"))["result"]["term"]
    cluster.network.cut(one, other)
    for number in range(20):
        await cluster.write(f"during {number}")
        await asyncio.sleep(0.1)
    assert (await leader.ask("status"))["result"]["term"] == term
    cluster.network.heal()
    await cluster.check()


@pytest.mark.root
async def test_a_link_to_the_leader_broken_for_good_burns_no_terms(cluster: Partitioned) -> None:
    leader = await cluster.leader()
    one = next(n for n in cluster.processes if n != leader.node_id)
    term = (await leader.ask("status"))["result"]["term"]
    cluster.network.cut(one, leader.node_id)
    await asyncio.sleep(4.0)
    assert leader.ready
    assert (await leader.ask("status"))["result"]["term"] == term
    cluster.network.heal()
    await cluster.check()


@pytest.mark.root
async def test_a_member_that_hears_nothing_but_is_heard_catches_up(cluster: Partitioned) -> None:
    leader = await cluster.leader()
    deaf = next(n for n in cluster.processes if n != leader.node_id)
    cluster.network.deafen(deaf, leader.node_id)
    for number in range(20):
        await cluster.write(f"during {number}")
        await asyncio.sleep(0.05)
    cluster.network.heal()
    await cluster.check()


@pytest.mark.root
async def test_a_network_that_flaps_or_loses_packets_loses_no_write(
    cluster: Partitioned,
) -> None:
    stopping = False
    async with asyncio.TaskGroup() as clients:
        for number in range(4):
            clients.create_task(cluster.load(f"client{number}", lambda: stopping))
        for _ in range(4):
            victim = (await cluster.leader()).node_id
            cluster.network.cut(victim, *(n for n in cluster.processes if n != victim))
            await asyncio.sleep(1.0)
            cluster.network.heal()
            await asyncio.sleep(0.7)
        cluster.network.lose(percent=10)
        before = len(cluster.acked)
        async with asyncio.timeout(60):
            while len(cluster.acked) < before + 20:
                await asyncio.sleep(0.05)
        cluster.network.heal()
        stopping = True
    await cluster.check()
    assert len(cluster.acked) > 20
