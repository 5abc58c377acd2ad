from __future__ import annotations

import pytest
from msgspec.structs import replace

from swarmd.model.ids import NetworkId, NodeId, ServiceId, TaskId
from swarmd.model.network import Mechanism
from swarmd.network.core.overlay_plan import (
    Known,
    Observed,
    Place,
    Port,
    PortState,
    Steps,
    Underlay,
    Vxlan,
    Wanted,
    mtu_of,
    port_name,
    steps,
    wanted,
)
from swarmd.network.core.tables import Endpoint, NetworkTable, Peer, Subnet

HERE = Underlay("192.0.2.1", 1500)
PORT = Port("swa", "02:42:0a:00:00:0b")


def an_endpoint(task: str, node: str, *addresses: str) -> Endpoint:
    return Endpoint(TaskId(task), ServiceId("s"), NodeId(node), addresses)


def a_table(*endpoints: Endpoint, **fields: object) -> NetworkTable:
    table = NetworkTable(
        network_id=NetworkId("net"),
        name="web",
        subnets=(Subnet("10.0.0.0/24", vxlan_id=4096),),
        peers={
            NodeId("n1"): Peer(NodeId("n1"), "192.0.2.1", ("10.0.0.201",)),
            NodeId("n2"): Peer(NodeId("n2"), "192.0.2.2", ("10.0.0.202",)),
        },
        endpoints={row.task_id: row for row in endpoints},
    )
    return replace(table, **fields)


def on_n1(table: NetworkTable) -> Wanted:
    return wanted(table, NodeId("n1"), HERE)


def in_place(wish: Wanted, *ports: Port) -> Observed:
    """The kernel holding exactly what is wanted."""
    state = PortState(mtu=wish.mtu, is_right=True, macs=frozenset())
    return Observed(
        has_bridge=True,
        bridge_is_right=True,
        mtu=wish.mtu,
        addresses=wish.addresses,
        vxlans={vxlan.name: (vxlan, state) for vxlan in wish.vxlans},
        ports={port.name: replace(state, macs=frozenset({port.mac})) for port in ports},
        places=wish.places,
        known=wish.known,
    )


def test_tasks_and_nodes_elsewhere_are_written_out_and_those_here_are_not():
    table = a_table(
        an_endpoint("a", "n1", "10.0.0.11"),
        an_endpoint("b", "n2", "10.0.0.12"),
    )
    assert on_n1(table) == Wanted(
        mtu=1450,
        mac="02:42:0a:00:00:c9",
        addresses=frozenset({"10.0.0.201/24"}),
        vxlans=(Vxlan("vx4096", 4096, "192.0.2.1"),),
        places=frozenset(
            {
                Place("vx4096", "02:42:0a:00:00:0c", "192.0.2.2"),
                Place("vx4096", "02:42:0a:00:00:ca", "192.0.2.2"),
            }
        ),
        known=frozenset(
            {
                Known("vx4096", "10.0.0.12", "02:42:0a:00:00:0c"),
                Known("vx4096", "10.0.0.202", "02:42:0a:00:00:ca"),
            }
        ),
    )


def test_both_families_of_a_task_are_at_the_hardware_address_of_the_first():
    subnets = (Subnet("fd00::/64", vxlan_id=4097), Subnet("10.0.0.0/24", vxlan_id=4096))
    table = a_table(an_endpoint("b", "n2", "fd00::12", "10.0.0.12"), subnets=subnets)
    wish = on_n1(table)
    assert wish.has_ipv6
    assert {one.vxlan for one in wish.places} == {"vx4096"}
    assert Known("vx4096", "fd00::12", "02:42:0a:00:00:0c") in wish.known
    assert Known("vx4096", "10.0.0.12", "02:42:0a:00:00:0c") in wish.known


def test_tasks_of_a_node_nobody_knows_the_place_of_are_left_out():
    peers = {
        NodeId("n1"): Peer(NodeId("n1"), "192.0.2.1", ("10.0.0.201",)),
        NodeId("n2"): Peer(NodeId("n2"), "", ("10.0.0.202",)),
    }
    endpoints = (an_endpoint("b", "n2", "10.0.0.12"), an_endpoint("c", "n3", "10.0.0.13"))
    wish = on_n1(a_table(*endpoints, peers=peers))
    assert (wish.places, wish.known) == (frozenset(), frozenset())


def test_a_node_without_an_address_has_a_hardware_address_all_the_same():
    peers = {NodeId("n1"): Peer(NodeId("n1"), "192.0.2.1")}
    wish = on_n1(a_table(peers=peers))
    assert wish.addresses == frozenset()
    assert wish.mac.startswith("02:43:")


@pytest.mark.parametrize(
    ("fields", "underlay", "mtu"),
    [
        pytest.param({}, HERE, 1450, id="ipv4 underlay"),
        pytest.param({}, Underlay("2001:db8::1", 1500), 1430, id="ipv6 underlay"),
        pytest.param({"mechanism": Mechanism.IPSEC}, HERE, 1416, id="encrypted by IPsec"),
        pytest.param({"mechanism": Mechanism.TUNNEL}, HERE, 65_485, id="encrypted by a tunnel"),
        pytest.param({"mechanism": Mechanism.WIREGUARD}, HERE, 1390, id="encrypted by WireGuard"),
        pytest.param({"mtu": 1400}, HERE, 1400, id="less than there is room for"),
        pytest.param({"mtu": 9000}, HERE, 1450, id="more than there is room for"),
        pytest.param({}, Underlay("192.0.2.1", 500), 576, id="never too small for a host"),
    ],
)
def test_the_largest_packet_follows_from_the_underlay(
    fields: dict[str, object], underlay: Underlay, mtu: int
):
    assert mtu_of(a_table(**fields), underlay) == mtu


def test_nothing_is_to_be_done_where_all_is_in_place():
    wish = on_n1(a_table(an_endpoint("b", "n2", "10.0.0.12")))
    todo = steps(wish, [PORT], in_place(wish, PORT))
    assert todo == Steps()
    assert todo.count == 0


def test_everything_is_made_where_nothing_is():
    wish = on_n1(a_table(an_endpoint("b", "n2", "10.0.0.12")))
    todo = steps(wish, [PORT], Observed())
    assert todo == Steps(
        make_bridge=True,
        make_vxlans=wish.vxlans,
        make_ports=(PORT,),
        put_addresses=tuple(wish.addresses),
        put_places=tuple(sorted(wish.places)),
        put_known=tuple(sorted(wish.known)),
    )
    assert todo.count == 8


def test_a_task_that_moves_replaces_its_entry_and_one_that_goes_takes_it_along():
    before = on_n1(a_table(an_endpoint("b", "n2", "10.0.0.12"), an_endpoint("c", "n2", "10.0.0.9")))
    third = {NodeId("n3"): Peer(NodeId("n3"), "192.0.2.3")}
    peers = {**a_table().peers, **third}
    after = on_n1(a_table(an_endpoint("b", "n3", "10.0.0.12"), peers=peers))
    todo = steps(after, [], in_place(before))
    assert todo.put_places == (Place("vx4096", "02:42:0a:00:00:0c", "192.0.2.3"),)
    assert todo.delete_places == (Place("vx4096", "02:42:0a:00:00:09", "192.0.2.2"),)
    assert todo.delete_known == (Known("vx4096", "10.0.0.9", "02:42:0a:00:00:09"),)


def test_a_vxlan_with_other_settings_is_made_anew_with_all_its_entries():
    wish = on_n1(a_table(an_endpoint("b", "n2", "10.0.0.12")))
    found = in_place(wish)
    old = replace(wish.vxlans[0], local="192.0.2.99")
    state = found.vxlans["vx4096"][1]
    todo = steps(wish, [], replace(found, vxlans={"vx4096": (old, state)}))
    assert todo.delete_links == ("vx4096",)
    assert todo.make_vxlans == wish.vxlans
    assert set(todo.put_places) == wish.places
    assert set(todo.put_known) == wish.known


def test_ports_of_strangers_go_and_changed_ones_are_set_right():
    wish = on_n1(a_table())
    found = in_place(wish, PORT, Port("swold", "02:42:0a:00:00:63"))
    for wrong in (
        replace(found.ports["swa"], is_right=False),
        replace(found.ports["swa"], mtu=1000),
        replace(found.ports["swa"], macs=frozenset()),
    ):
        todo = steps(wish, [PORT], replace(found, ports={**found.ports, "swa": wrong}))
        assert todo == Steps(drop_ports=("swold",), set_ports=(PORT,))
        assert todo.count == 1


def test_names_of_ports_fit_the_kernel():
    assert port_name(TaskId("9k3x1q8w5v7z2m4n6b0c1d2e3")) == "sw9k3x1q8w5v7z2"


def test_ports_that_may_belong_to_tasks_not_yet_taken_over_are_spared():
    wish = on_n1(a_table())
    assert steps(wish, [], in_place(wish, PORT), spared=["swa"]) == Steps()
    assert steps(wish, [], in_place(wish, PORT)).drop_ports == ("swa",)
