"""Networks encrypted by the kernel's WireGuard; where this one has none, `make test-vm` has one."""

from __future__ import annotations

import os
import socket

import pytest

from swarmd.model.network import Mechanism
from swarmd.network.core.encryption import RING
from swarmd.network.crypt.wireguard import ROUTING_TABLE, device_name
from swarmd.network.kernel import links, netns, routing
from swarmd.network.kernel import wireguard as kernel
from swarmd.network.kernel.netlink import open_netlink
from tests.support.crypt_contract import (
    TEXT,
    TUNNEL_PORT,
    CryptContract,
    Member,
    crypt_world,
    ring,
)
from tests.support.sniffing import sniffing

lacking = kernel.missing() if os.geteuid() == 0 else ""
pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="namespaces need root"),
    pytest.mark.skipif(bool(lacking), reason=lacking or "-"),
]


class TestWireguard(CryptContract):
    mechanism = Mechanism.WIREGUARD

    def break_it(self, member: Member) -> None:
        with open_netlink(member.path) as netlink:
            netlink.do(*(links.delete(device_name(slot)) for slot in range(RING)))


def devices(member: Member) -> list[kernel.Device]:
    with kernel.open_wireguard(member.path) as netlink:
        return [netlink.device(device_name(slot)) for slot in range(RING)]


def led_to(member: Member) -> str:
    """The interface that the node's packets go out by."""
    with open_netlink(member.path) as netlink:
        names = {link.index: link.name for link in links.links(netlink).values()}
        [route] = [one for one in routing.routes(netlink) if one.table == ROUTING_TABLE]
        return names[route.index]


async def test_each_key_has_an_interface_and_only_what_a_key_changes_is_touched() -> None:
    async with crypt_world(Mechanism.WIREGUARD) as w:
        await w.settle()
        one = w.members["n1"]
        before = devices(one)
        assert [device.port for device in before] == [TUNNEL_PORT + slot for slot in range(RING)]
        assert led_to(one) == device_name(2)  # the middle one of 1, 2, 3
        with sniffing(w.members["n2"].path, "eth0") as tap:
            assert await w.reaches()
            assert TUNNEL_PORT + 2 in tap.udp_ports()
        await one.encryption.apply({w.table.network_id: w.table})
        assert one.encryption.repaired == 0
        await w.rotate(2)
        after = devices(one)
        assert [x == y for x, y in zip(before, after, strict=True)] == [True, False, True]
        assert led_to(one) == device_name(0)
        await w.settle()


async def test_who_has_other_keys_gets_nothing_and_is_not_listened_to() -> None:
    async with crypt_world(Mechanism.WIREGUARD) as w:
        await w.settle()
        one = w.members["n1"]
        one.encryption.use_keys(ring(100))
        await one.apply(w.table)
        assert not await w.reaches(within_s=0.3)
        assert not await w.reaches("n2", "n1", within_s=0.3)


async def test_a_peer_may_send_nothing_but_its_networks() -> None:
    async with crypt_world(Mechanism.WIREGUARD) as w:
        await w.settle()
        one, two = w.members["n1"], w.members["n2"]
        assert reaches_node(one, two, by="eth0")
        assert not reaches_node(one, two, by=led_to(one))


def reaches_node(source: Member, target: Member, *, by: str) -> bool:
    """Whether a datagram from node to node arrives, by one of the interfaces of the first."""

    def datagrams() -> socket.socket:
        sock = socket.socket(type=socket.SOCK_DGRAM)
        sock.settimeout(1)
        return sock

    with (
        netns.inside(source.path, datagrams) as sender,
        netns.inside(target.path, datagrams) as receiver,
    ):
        receiver.bind((target.underlay.address, 0))
        sender.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, by.encode())
        sender.bind((source.underlay.address, 0))
        sender.sendto(TEXT, receiver.getsockname())
        try:
            return receiver.recv(100) == TEXT
        except TimeoutError:
            return False


async def test_nodes_with_ipv6_between_them_are_served_too() -> None:
    async with crypt_world(Mechanism.WIREGUARD, ipv6=True) as w:
        await w.settle()


async def test_nothing_is_left_of_a_network_that_is_gone() -> None:
    async with crypt_world(Mechanism.WIREGUARD) as w:
        one = w.members["n1"]
        await one.encryption.apply({})
        with open_netlink(one.path) as netlink:
            assert not {device_name(slot) for slot in range(RING)} & links.links(netlink).keys()
            assert not [rule for rule in routing.rules(netlink) if rule.table == ROUTING_TABLE]
