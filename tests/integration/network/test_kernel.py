"""What is asked of the kernel is found in it again, word for word."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
from collections.abc import Iterator
from ipaddress import ip_interface
from pathlib import Path
from typing import NamedTuple

import pytest

from swarmd.network.kernel import links, neighbours, netns, routing, sysctl
from swarmd.network.kernel.forwarding import has_ipv6, have_ipv6_on, pass_on_ipv6
from swarmd.network.kernel.neighbours import Forwarding, Neighbour
from swarmd.network.kernel.netlink import Netlink, open_netlink
from swarmd.network.kernel.routing import Route, Rule
from swarmd.network.local import News, survey

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="namespaces need root"),
]
MAC = "02:42:0a:00:00:05"


class Spaces(NamedTuple):
    node: Netlink
    network: Netlink
    network_descriptor: int
    network_path: Path


@pytest.fixture
def spaces(tmp_path: Path) -> Iterator[Spaces]:
    """A node with an address, and the namespace of a network with a bridge."""
    paths = [tmp_path / name for name in ("node", "network")]
    for path in paths:
        netns.create(path)
    with contextlib.ExitStack() as stack:
        node, network = (stack.enter_context(open_netlink(path)) for path in paths)
        descriptor = stack.enter_context(open(paths[1])).fileno()
        node.do(links.change(1, up=True), routing.put_address(1, ip_interface("10.9.9.1/24")))
        network.do(links.change(1, up=True), links.bridge("br0", mac=MAC, mtu=1450))
        yield Spaces(node, network, descriptor, paths[1])
    for path in paths:
        netns.remove(path)


def a_vxlan(spaces: Spaces, name: str = "vx0") -> int:
    request = links.vxlan(
        name,
        vxlan_id=4097,
        port=4789,
        local="10.9.9.1",
        mac="",
        mtu=1450,
        namespace=spaces.network_descriptor,
    )
    spaces.node.do(request)
    return links.index_of(spaces.network, name)


def test_a_vxlan_is_made_in_the_namespace_of_its_network_as_a_port_that_learns_nothing(
    spaces: Spaces,
):
    index, bridge = a_vxlan(spaces), links.index_of(spaces.network, "br0")
    spaces.network.do(
        links.change(index, up=True, master=bridge), links.port(index, learns=False, floods=True)
    )
    found = links.links(spaces.network)
    vxlan = found["vx0"]
    assert (vxlan.kind, vxlan.vxlan_id, vxlan.vxlan_port) == ("vxlan", 4097, 4789)
    assert (vxlan.vxlan_local, vxlan.mtu, vxlan.master) == ("10.9.9.1", 1450, bridge)
    assert (vxlan.is_up, vxlan.learns, vxlan.floods) == (True, False, True)
    assert (found["br0"].kind, found["br0"].mac, found["br0"].mtu) == ("bridge", MAC, 1450)


def test_a_taken_vxlan_id_is_refused_with_the_words_of_the_kernel(spaces: Spaces):
    a_vxlan(spaces)
    with pytest.raises(OSError, match="VXLAN device") as refused:
        a_vxlan(spaces, "vx1")
    assert refused.value.errno == errno.EEXIST
    assert refused.value.filename == "VXLAN 4097 on UDP port 4789"


def test_forwarding_and_neighbours_are_put_replaced_found_and_removed(spaces: Spaces):
    index = a_vxlan(spaces)
    entries = [
        (Forwarding(index, f"02:42:0a:00:01:{n:02x}", "10.9.9.2"),
         Neighbour(index, f"10.0.1.{n}", f"02:42:0a:00:01:{n:02x}"))
        for n in range(200)
    ]  # fmt: skip
    for forwarding, neighbour in entries:
        spaces.network.do(
            neighbours.put_forwarding(forwarding), neighbours.put_neighbour(neighbour)
        )
    moved = Forwarding(index, entries[0][0].mac, "10.9.9.3")
    six = Neighbour(index, "fd00::5", MAC)
    spaces.network.do(neighbours.put_forwarding(moved), neighbours.put_neighbour(six))
    assert neighbours.forwardings(spaces.network) == {moved, *(f for f, _ in entries[1:])}
    assert neighbours.neighbours(spaces.network) == {six, *(n for _, n in entries)}
    for _ in range(2):
        spaces.network.do(
            neighbours.delete_forwarding(moved),
            *(neighbours.delete_forwarding(forwarding) for forwarding, _ in entries[1:]),
            neighbours.delete_neighbour(six),
            *(neighbours.delete_neighbour(neighbour) for _, neighbour in entries),
        )
    assert not neighbours.forwardings(spaces.network)
    assert not neighbours.neighbours(spaces.network)


def test_a_bridge_is_told_what_is_behind_a_port(spaces: Spaces):
    index = a_vxlan(spaces)
    spaces.network.do(links.change(index, master=links.index_of(spaces.network, "br0")))
    spaces.network.do(neighbours.put_port_entry(index, "02:42:0a:00:00:09"))
    assert neighbours.port_entries(spaces.network) == {(index, "02:42:0a:00:00:09")}


def test_addresses_routes_and_rules_are_put_found_and_removed(spaces: Spaces):
    bridge = links.index_of(spaces.network, "br0")
    addresses = {ip_interface("10.0.0.2/24"), ip_interface("fd00::2/64")}
    routes = {
        Route("10.1.0.7/32", bridge, "10.0.0.9"),
        Route("0.0.0.0/0", bridge, "10.0.0.9", table=0x5700_0001),
        Route("fd01::/64", bridge, "fd00::9"),
    }
    rules = {
        Rule(4, 0x5700_0001, 0x5700_0001, 1000),
        Rule(6, 7, 70, 1001, mask=0xFF),
        Rule(4, 0, 71, 999),
    }
    for _ in range(2):
        spaces.network.do(
            *(routing.put_address(bridge, address) for address in addresses),
            *(routing.put_route(route) for route in routes),
            *(routing.put_rule(rule) for rule in rules),
        )
    assert routing.addresses(spaces.network, bridge) == addresses
    assert routing.routes(spaces.network) == routes
    assert routing.rules(spaces.network) == rules
    for _ in range(2):
        spaces.network.do(
            *(routing.delete_rule(rule) for rule in rules),
            *(routing.delete_route(route) for route in routes),
            *(routing.delete_address(bridge, address) for address in addresses),
        )
    assert not routing.addresses(spaces.network, bridge)
    assert not routing.routes(spaces.network)
    assert not routing.rules(spaces.network)


def test_a_failing_request_names_what_it_was_about_and_the_others_are_carried_out(spaces: Spaces):
    bridge = links.index_of(spaces.network, "br0")
    address = ip_interface("10.0.0.2/24")
    failures = spaces.network.attempt(
        [
            routing.put_route(Route("10.1.0.0/24", bridge, "192.0.2.1")),
            routing.put_address(bridge, address),
        ]
    )
    assert [failure.filename for failure in failures] == ["route to 10.1.0.0/24 by 192.0.2.1"]
    assert routing.addresses(spaces.network, bridge) == {address}


def test_deleting_an_interface_that_is_gone_is_no_error(spaces: Spaces):
    spaces.network.do(links.delete("br0"), links.delete("br0"))
    assert links.find(spaces.network, "br0") is None


def test_settings_are_those_of_the_namespace_and_unknown_ones_are_left_out(spaces: Spaces):
    before = sysctl.get("ipv4/ip_forward")
    wanted = {"ipv4/ip_forward": "1" if before == "0" else "0", "no/such/setting": "1"}
    netns.inside(spaces.network_path, lambda: sysctl.put(wanted))
    name = "ipv4/ip_forward"
    assert netns.inside(spaces.network_path, lambda: sysctl.get(name)) == wanted[name]
    assert sysctl.get(name) == before


async def test_news_of_an_address_and_of_a_size_arrive(spaces: Spaces) -> None:
    with News(spaces.network_path) as news:
        index = links.index_of(spaces.network, "br0")
        for request in (
            routing.put_address(index, ip_interface("10.9.9.2/24")),
            links.change(index, mtu=1400),
        ):
            spaces.network.do(request)
            async with asyncio.timeout(5):
                await news.wait()
    held = survey(spaces.network_path)["br0"]
    assert (held.mtu, held.addresses) == (1400, ("10.9.9.2",))


def test_who_begins_to_pass_ipv6_on_goes_on_learning_routes(spaces: Spaces) -> None:
    if not netns.inside(spaces.network_path, has_ipv6):
        pytest.skip("this machine has no IPv6")
    learns = "ipv6/conf/br0/accept_ra"
    # Whoever learns none is left at that.
    for before, after in (("0", "0"), ("1", "2")):
        netns.inside(
            spaces.network_path,
            lambda before=before: sysctl.put({"ipv6/conf/all/forwarding": "0", learns: before}),
        )
        netns.inside(spaces.network_path, pass_on_ipv6)
        found = netns.inside(
            spaces.network_path,
            lambda: (sysctl.get(learns), sysctl.get("ipv6/conf/br0/forwarding")),
        )
        assert found == (after, "1")
    # Interfaces that lead to tasks learn nothing from them, nor do those to come.
    names = ("default", "br0")

    def settings() -> list[str]:
        have_ipv6_on("br0")
        return [sysctl.get(f"ipv6/conf/{name}/accept_ra") for name in names]

    before = netns.inside(spaces.network_path, lambda: sysctl.get("ipv6/conf/default/accept_ra"))
    netns.inside(spaces.network_path, lambda: sysctl.put({"ipv6/conf/all/forwarding": "0"}))
    assert netns.inside(spaces.network_path, settings) == [before, "0"]
    netns.inside(spaces.network_path, pass_on_ipv6)
    assert netns.inside(spaces.network_path, settings) == [before, "0"]
