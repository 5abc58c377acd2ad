"""Networks encrypted by this process: the contract of all mechanisms, and who is let in."""

from __future__ import annotations

import asyncio
import os
import signal

import pytest
from msgspec.structs import replace

from swarmd.model.ids import NodeId
from swarmd.model.network import Mechanism
from swarmd.network.crypt.guard import TABLE
from swarmd.network.crypt.tunnel_space import DEVICE
from swarmd.network.kernel import links, netns, nft, tun
from swarmd.network.kernel.netlink import open_netlink
from tests.support.crypt_contract import TEXT, CryptContract, Flow, Member, crypt_world
from tests.support.sniffing import sniffing

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="namespaces need root"),
    pytest.mark.skipif(bool(tun.missing()), reason=tun.missing() or "-"),
    pytest.mark.skipif(bool(nft.missing()), reason="libnftables is not installed"),
]


class TestTunnel(CryptContract):
    mechanism = Mechanism.TUNNEL

    def break_it(self, member: Member) -> None:
        with open_netlink(member.tunnel.namespace) as netlink:
            netlink.do(links.delete(DEVICE))


async def test_a_node_of_another_swarm_gets_nothing_and_learns_nothing() -> None:
    async with crypt_world(Mechanism.TUNNEL, strangers=frozenset({"n2"})) as w:
        with sniffing(w.members["n2"].path, "eth0") as tap:
            flow = Flow(w)
            flow.start()
            await asyncio.sleep(1)
            await asyncio.to_thread(flow.end)
        assert not flow.arrived
        assert not tap.saw(TEXT)
        assert any("no encrypted tunnel" in problem for problem in w.members["n1"].tunnel.problems)


async def test_a_node_that_left_the_network_is_not_listened_to() -> None:
    async with crypt_world(Mechanism.TUNNEL) as w:
        await w.settle()
        one = w.members["n1"]
        alone = {key: row for key, row in w.table.peers.items() if key != NodeId("n2")}
        await one.encryption.apply({w.table.network_id: replace(w.table, peers=alone, version=2)})
        assert not await w.reaches("n2", "n1", within_s=0.3)
        assert one.tunnel.problems == ()


async def test_rules_that_somebody_flushed_are_put_back() -> None:
    async with crypt_world(Mechanism.TUNNEL) as w:
        one = w.members["n1"]
        netns.inside(one.path, lambda: nft.run("flush ruleset"))
        await one.encryption.tend()
        assert one.encryption.repaired == 1
        assert "dport 4789" in netns.inside(one.path, lambda: nft.listing(f"ip {TABLE}"))
        await one.encryption.tend()
        assert one.encryption.repaired == 1


async def test_nodes_with_ipv6_between_them_have_tunnels_too() -> None:
    async with crypt_world(Mechanism.TUNNEL, ipv6=True) as w:
        await w.settle()


async def test_a_network_whose_mechanism_is_missing_is_refused_with_the_reason() -> None:
    async with crypt_world(Mechanism.TUNNEL) as w:
        one = w.members["n1"].encryption
        one.lacking = {Mechanism.IPSEC: "the kernel has no IPsec"}
        table = replace(w.table, mechanism=Mechanism.IPSEC)
        assert await one.apply({table.network_id: table}) == {}
        assert "n1 hasn't got: the kernel has no IPsec" in one.refused[table.network_id]
        unknown = replace(w.table, mechanism=None)
        assert await one.apply({table.network_id: unknown}) == {}
        assert "doesn't know" in one.refused[table.network_id]
        clear = replace(w.table, mechanism=None, encrypted=False)
        assert await one.apply({table.network_id: clear}) == {table.network_id: clear}


async def test_packets_go_on_when_what_carries_them_was_killed() -> None:
    async with crypt_world(Mechanism.TUNNEL) as w:
        await w.settle()
        one = w.members["n1"].encryption
        pid = one.tunnel.carrier_pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        async with asyncio.timeout(10):
            while one.tunnel.carrier_pid in (pid, None):
                await asyncio.sleep(0.01)
        await w.settle()
        assert one.tunnel.problems == ()
