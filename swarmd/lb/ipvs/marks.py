"""What is sent to a virtual address gets the mark by which IPVS knows its service.

nftables does it where it can, else the legacy tables, which some kernels have instead.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from swarmd.lb.core.virtual import is_ipv4, mark_of
from swarmd.network.kernel import iptables, nft

TABLE = "swarmd_marks"
CHAIN = "SWARMD-MARKS"
_HOOKS = {"mangle": ("OUTPUT",)}

Marker = Callable[[Iterable[str]], None]


def by_nft(addresses: Iterable[str]) -> None:
    """Mark what is sent to these addresses, and nothing else, in the namespace of this thread."""
    known = tuple(addresses)
    lines = []
    for family in ("ip", "ip6"):
        mine = [address for address in known if is_ipv4(address) == (family == "ip")]
        pairs = ", ".join(f"{address} : {mark_of(address)}" for address in mine)
        lines += [f"table {family} {TABLE}", f"delete table {family} {TABLE}"]
        if mine:
            lines += [
                f"table {family} {TABLE} {{",
                "chain mark {",
                "type route hook output priority mangle; policy accept;",
                f"meta mark set {family} daddr map {{ {pairs} }}",
                "}",
                "}",
            ]
    nft.run("".join(f"{line}\n" for line in lines))


def by_iptables(addresses: Iterable[str]) -> None:
    """As `by_nft`.

    Raises:
        OSError: the tool is missing, or the kernel refuses.
    """
    known = tuple(addresses)
    for tool, ipv4 in ((iptables.V4, True), (iptables.V6, False)):
        rules = [
            f"-d {address} -j MARK --set-mark {mark_of(address)}"
            for address in known
            if is_ipv4(address) == ipv4
        ]
        iptables.put(tool, CHAIN, _HOOKS, {("mangle", "OUTPUT"): rules})


def chosen() -> Marker:
    """What works in the namespace of this thread, by trying."""
    try:
        by_nft(("192.0.2.1",))
        by_nft(())
    except (nft.NftError, OSError):
        return by_iptables
    return by_nft
