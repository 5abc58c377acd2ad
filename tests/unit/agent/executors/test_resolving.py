"""What tells a task whom to ask for names."""

from __future__ import annotations

from ipaddress import IPv4Address

from swarmd.agent.executors.resolving import hosts, resolv_conf
from swarmd.model.spec import DnsConfig

NODE = "# made by hand\nnameserver 127.0.0.53\nnameserver 192.0.2.1\nsearch node.test\noptions a\n"


def test_name_resolution_is_the_nodes_but_for_its_loopback():
    assert resolv_conf(None, node=NODE) == ("nameserver 192.0.2.1\nsearch node.test\noptions a\n")


def test_name_resolution_is_the_specs_where_it_says_something():
    config = DnsConfig(nameservers=("10.0.0.53",), search=("a.test", "b.test"))
    assert resolv_conf(config, node=NODE) == (
        "options a\nnameserver 10.0.0.53\nsearch a.test b.test\n"
    )


def test_hosts_end_with_the_container_itself():
    text = hosts(("10.0.0.9 db",), hostname="me", address=IPv4Address("172.24.0.2"))
    assert text.splitlines()[-2:] == ["10.0.0.9 db", "172.24.0.2\tme"]


def test_a_name_server_of_its_own_takes_the_place_of_all_others():
    config = DnsConfig(nameservers=("192.0.2.53",), search=("example.test",))
    node = "nameserver 192.0.2.1\nsearch node.test\noptions edns0\n"
    assert resolv_conf(config, node=node, nameserver="127.0.0.11") == (
        "nameserver 127.0.0.11\nsearch example.test\noptions ndots:0\n"
    )
    assert resolv_conf(None, node=node, nameserver="127.0.0.11") == (
        "search node.test\nnameserver 127.0.0.11\noptions ndots:0\n"
    )
    asked = DnsConfig(options=("ndots:2",))
    assert resolv_conf(asked, node=node, nameserver="127.0.0.11").endswith("options ndots:2\n")
