"""The mesh in the language of the legacy tables, for kernels with IPVS but without nftables.

IPVS chooses the task; the rules say which packets it gets, remember where a client came in, and
lead on those whom late nodes send to a task that is leaving. They are the same for both families.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Interface, IPv6Interface

from swarmd.lb.core.mesh import MeshPort, MeshState, Source
from swarmd.lb.core.plan import PortKey
from swarmd.model.states import Protocol
from swarmd.network import ingress
from swarmd.network.core.overlay_plan import BRIDGE
from swarmd.network.ingress import INSIDE, OUTSIDE
from swarmd.network.kernel.iptables import Rules

CHAIN = "SWARMD-MESH"
# The namespace's end of the way to it, by family.
_BETWEEN: dict[int, IPv4Interface | IPv6Interface] = {
    4: ingress.NAMESPACE_ADDRESS,
    6: ingress.NAMESPACE_ADDRESS_V6,
}
# Of the node's own addresses those that packets can't be led on from: IPv6 knows no way out for the
# loopback address, nor from link to link. Clients that use them are the proxy's.
_KEPT = {4: (), 6: ("-d ::1", "-d fe80::/10")}
# Where chains hang; each has one of ours.
HOOKS = {
    "raw": ("PREROUTING",),
    "mangle": ("PREROUTING", "POSTROUTING"),
    "nat": ("PREROUTING", "OUTPUT", "POSTROUTING"),
}
_MARKS = {Protocol.TCP: 0x0100_0000, Protocol.UDP: 0x0200_0000, Protocol.SCTP: 0x0300_0000}


# A kernel without zones of tracked connections refuses this.
NEEDS_ZONES: Rules = {("raw", "PREROUTING"): ("-i lo -j CT --zone-orig 1",)}


def mark_of_port(key: PortKey) -> int:
    """By which IPVS knows a published port; see `NOT_A_PEER`."""
    return _MARKS[key.protocol] + key.port


def at_node(ports: tuple[MeshPort, ...], version: int) -> Rules:
    """The node's own namespace: published ports lead to the ingress namespace."""
    between = _BETWEEN[version]
    lead = [
        *(f"{kept} -j RETURN" for kept in _KEPT[version]),
        *(
            f"{where} {_match(port)} -j DNAT --to-destination {between.ip}"
            for port in ports
            for where in _where(port, version)
        ),
    ]
    return {
        ("nat", "PREROUTING"): lead,
        ("nat", "OUTPUT"): lead,
        ("nat", "POSTROUTING"): (
            f"-o {OUTSIDE} -m addrtype --src-type LOCAL -j MASQUERADE",
            f"-s {between.network} ! -o {OUTSIDE} -j MASQUERADE",
        ),
    }


def at_ingress(state: MeshState, *, zones: bool) -> Rules:
    """The ingress namespace: who gets which packets, and by which way answers go back.

    Args:
        zones: whether the kernel can keep connections apart by where they came in. Where it can't,
            a client that uses one port towards two nodes has to try again with another.
    """
    senders = [(f"-i {BRIDGE} -m mac --mac-source {peer.mac}", peer.number) for peer in state.peers]
    return {
        # One client may use the same port towards two nodes. Where both connections meet
        # again, their zones keep them apart.
        ("raw", "PREROUTING"): [
            f"{sender} -j CT --zone-orig {number}" for sender, number in senders if zones
        ],
        ("mangle", "PREROUTING"): [
            *(
                f"{sender} -m conntrack --ctstate NEW -j CONNMARK --set-mark {number}"
                for sender, number in senders
            ),
            "-m conntrack --ctdir REPLY -m connmark ! --mark 0 -j CONNMARK --restore-mark",
            *(
                f"-i {INSIDE} {_match(port)} -j MARK --set-mark {mark_of_port(port.key):#x}"
                for port in state.ports
            ),
        ],
        ("mangle", "POSTROUTING"): (
            "-p tcp --tcp-flags SYN,RST SYN -j TCPMSS --clamp-mss-to-pmtu",
        ),
        ("nat", "PREROUTING"): [
            rule for address, others in state.rescue.items() for rule in _rescue(address, others)
        ],
        ("nat", "POSTROUTING"): [
            *(
                f"-o {BRIDGE} -m mark --mark {mark_of_port(port.key):#x} "
                f"-j SNAT --to-source {state.own}"
                for port in state.ports
                if port.source is Source.MASQUERADE
            ),
            f"-o {INSIDE} -s {state.subnet} -j MASQUERADE",
        ],
    }


def _rescue(address: str, others: tuple[str, ...]) -> Iterable[str]:
    """To another task, each in its turn: of those who are left, every so many-th."""
    for number, other in enumerate(others):
        left = len(others) - number
        turn = f" -m statistic --mode nth --every {left} --packet 0" if left > 1 else ""
        yield f"-i {BRIDGE} -d {address}{turn} -j DNAT --to-destination {other}"


def _where(port: MeshPort, version: int) -> Iterable[str]:
    located = port.located(version)
    if located is None:
        return ("-m addrtype --dst-type LOCAL",)
    return (f"-d {address}" for address in located)


def _match(port: MeshPort) -> str:
    return f"-p {port.key.protocol.value} --dport {port.key.port}"
