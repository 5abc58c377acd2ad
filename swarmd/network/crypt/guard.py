"""The rules that keep packets of encrypted networks from leaving, or coming in, in the clear.

They are the kernel's, in the node's own namespace, and outlive the daemon: while nothing encrypts,
nothing passes. By nftables, or by the legacy tables where the kernel has only those.
"""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_address
from pathlib import Path
from typing import Protocol

from swarmd.model.network import Mechanism
from swarmd.network.core.encryption import Guarded
from swarmd.network.core.overlay_plan import VXLAN_PORT
from swarmd.network.core.tables import IPV4
from swarmd.network.kernel import iptables, netns, nft

TABLE = "swarmd_crypt"
CHAIN = "SWARMD-CRYPT"
WIREGUARD_DEVICES = "swwg"  # and a digit
# Marks of packets on their way to a mechanism. Those of tunnels take another namespace's.
MARKS = {
    Mechanism.IPSEC: 0x5357_0001,
    Mechanism.WIREGUARD: 0x5357_0003,
}
# How packets that have not gone, or come, by their mechanism are known.
_NFT_OUT = {
    Mechanism.IPSEC: "rt ipsec missing",
    Mechanism.WIREGUARD: f'oifname != "{WIREGUARD_DEVICES}*"',
    Mechanism.TUNNEL: "",
}
_NFT_IN = {
    Mechanism.IPSEC: "meta ipsec missing",
    Mechanism.WIREGUARD: f'iifname != "{WIREGUARD_DEVICES}*"',
    Mechanism.TUNNEL: "",
}
_IPTABLES_OUT = {
    Mechanism.IPSEC: "-m policy --dir out --pol none",
    Mechanism.WIREGUARD: f"! -o {WIREGUARD_DEVICES}+",
    Mechanism.TUNNEL: "",
}
_IPTABLES_IN = {
    Mechanism.IPSEC: "-m policy --dir in --pol none",
    Mechanism.WIREGUARD: f"! -i {WIREGUARD_DEVICES}+",
    Mechanism.TUNNEL: "",
}
_HOOKS = {"mangle": ("OUTPUT", "POSTROUTING", "INPUT", "PREROUTING")}


class Guard(Protocol):
    """Rules in one namespace. All methods block, and raise `OSError` or `NftError`."""

    def bring(self, guarded: Guarded) -> bool:
        """Have the rules for these networks in force; whether anything had to be changed."""
        ...

    def remove(self) -> None:
        """Take the rules away; there are no encrypted networks any more."""
        ...


class NftGuard:
    """By nftables: one table for each family."""

    def __init__(self, *, node: Path | None = None) -> None:
        self._node = node
        self._listed: tuple[Guarded, str] | None = None

    def bring(self, guarded: Guarded) -> bool:
        if self._listed is not None and self._listed == (guarded, self._inside(_listing)):
            return False
        self._inside(lambda: nft.run("".join(nft_text(family, guarded) for family in _FAMILIES)))
        self._listed = (guarded, self._inside(_listing))
        return True

    def remove(self) -> None:
        self._listed = None
        self._inside(lambda: nft.run("".join(_gone(family) for family in _FAMILIES)))

    def _inside(self, call: Callable[[], netns.T]) -> netns.T:
        return netns.inside(self._node, call)


class IptablesGuard:
    """By the legacy tables of the underlay's family: one chain for each hook, in `mangle`."""

    def __init__(self, tool: str, *, node: Path | None = None) -> None:
        self._tool = tool
        self._node = node
        self._listed: tuple[Guarded, str] | None = None

    def bring(self, guarded: Guarded) -> bool:
        return netns.inside(self._node, lambda: self._bring(guarded))

    def remove(self) -> None:
        self._listed = None

        netns.inside(self._node, lambda: iptables.remove(self._tool, CHAIN, _HOOKS))

    def _bring(self, guarded: Guarded) -> bool:
        if self._listed == (guarded, iptables.listing(self._tool, _HOOKS)):
            return False
        rules = iptables_rules(self._tool, guarded)
        self._listed = (guarded, iptables.put(self._tool, CHAIN, _HOOKS, rules))
        return True


def choose(underlay: str, *, node: Path | None = None) -> Guard:
    """What works in a namespace, by trying.

    Args:
        underlay: the address of the node.
    """
    try:
        netns.inside(node, lambda: nft.run(_probe()))
    except (nft.NftError, OSError):
        tool = iptables.V4 if ip_address(underlay).version == IPV4 else iptables.V6
        return IptablesGuard(tool, node=node)
    return NftGuard(node=node)


_FAMILIES = ("ip", "ip6")


def nft_text(family: str, guarded: Guarded, table: str = TABLE) -> str:
    """The batch that puts one family's table in place of whatever was there."""
    lead, leave, arrive, enter = [], [], [], []
    for mechanism in Mechanism:
        ids = ", ".join(str(number) for number in guarded.of(mechanism))
        if not ids:
            continue
        # The VXLAN id is behind eight bytes of UDP and four of VXLAN.
        packets = f"udp dport {VXLAN_PORT} @th,96,24 {{ {ids} }}"
        if mechanism in MARKS:
            lead.append(f"{packets} meta mark set {MARKS[mechanism]:#x}")
        leave.append(f"{_NFT_OUT[mechanism]} {packets} drop")
        arrive.append(f"{_NFT_IN[mechanism]} {packets} drop")
        if mechanism is Mechanism.WIREGUARD:
            # WireGuard sees to it who sends, and this that it is nothing else.
            enter.append(f'iifname "{WIREGUARD_DEVICES}*" {packets} accept')
    enter.append(f'iifname "{WIREGUARD_DEVICES}*" drop')
    lines = (
        f"table {family} {table} {{",
        "chain lead {",
        "type route hook output priority mangle; policy accept;",
        *lead,
        "}",
        "chain leave {",
        "type filter hook postrouting priority mangle; policy accept;",
        *leave,
        "}",
        "chain arrive {",
        "type filter hook input priority mangle; policy accept;",
        *arrive,
        "}",
        "chain enter {",
        "type filter hook prerouting priority mangle; policy accept;",
        *enter,
        "}",
        "}",
    )
    return _gone(family, table) + "".join(f"{line}\n" for line in lines)


def iptables_rules(tool: str, guarded: Guarded) -> iptables.Rules:
    """What the chains of one family hold."""
    lead, leave, arrive, enter = [], [], [], []
    for mechanism in Mechanism:
        for number in guarded.of(mechanism):
            # An IPv4 header says how long it is; that of IPv6 has 40 bytes.
            at = "0>>22&0x3C@12" if tool == iptables.V4 else "52"
            packets = f"-p udp --dport {VXLAN_PORT} -m u32 --u32 {at}&0xFFFFFF00={number << 8:#x}"
            out, into = _IPTABLES_OUT[mechanism], _IPTABLES_IN[mechanism]
            if mechanism in MARKS:
                lead.append(f"{packets} -j MARK --set-mark {MARKS[mechanism]:#x}")
            if mechanism is Mechanism.WIREGUARD:
                enter.append(f"-i {WIREGUARD_DEVICES}+ {packets} -j RETURN")
            leave.append(f"{out} {packets} -j DROP")
            arrive.append(f"{into} {packets} -j DROP")
    enter.append(f"-i {WIREGUARD_DEVICES}+ -j DROP")
    return {
        ("mangle", "OUTPUT"): lead,
        ("mangle", "POSTROUTING"): leave,
        ("mangle", "INPUT"): arrive,
        ("mangle", "PREROUTING"): enter,
    }


def _probe() -> str:
    """All kinds of rules, by another name, made and taken away at once."""
    rules = Guarded(dict.fromkeys(Mechanism, (1,)))
    name = f"{TABLE}_probe"
    return "".join(nft_text(one, rules, name) + f"delete table {one} {name}\n" for one in _FAMILIES)


def _gone(family: str, table: str = TABLE) -> str:
    return f"table {family} {table}\ndelete table {family} {table}\n"


def _listing() -> str:
    return "".join(nft.listing(f"{family} {TABLE}") for family in _FAMILIES)
