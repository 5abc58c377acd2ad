"""What tasks go without by the proxy is said, and what helps."""

from __future__ import annotations

from swarmd.lb.kernel import choose
from swarmd.lb.proxy import ProxyCandidate
from swarmd.lb.proxy.shortcomings import inside_shortcomings, shortcomings


class Absent:
    def probe(self) -> str:
        return "no nft: the kernel has none"


def test_a_daemon_that_may_listen_everywhere_does_without_what_takes_the_kernel() -> None:
    assert shortcomings(0) == shortcomings(1)
    networks, client, sctp = shortcomings(0)
    assert "published ports alone" in networks
    assert "in place of the client's" in client
    assert "SCTP" in sctp


def test_ports_that_the_daemon_may_not_listen_on_are_named_with_what_helps() -> None:
    *others, ports = shortcomings(1024)
    assert tuple(others) == shortcomings(0)
    assert ports.startswith("ports below 1024 can't be published")
    assert "net.ipv4.ip_unprivileged_port_start" in ports


def test_where_it_leads_into_a_network_tasks_lack_less() -> None:
    out, client, *ports = inside_shortcomings(1024)
    assert "to the world goes by the daemon: TCP over IPv4" in out
    assert "a client's that comes by this node" in client
    assert tuple(ports) == shortcomings(1024)[-2:]


def test_the_proxy_says_so_when_it_is_chosen_for_lack_of_others() -> None:
    def make() -> None:
        raise AssertionError("nobody has asked for it yet")

    chosen = choose((Absent(), ProxyCandidate(make)))  # type: ignore[arg-type]
    assert chosen.lacking[:3] == shortcomings(0)
    assert chosen.reason.startswith("no nft: the kernel has none; userspace balancing")
