"""What is sent to a virtual address gets the mark by which IPVS knows its service.

nftables does it where it can, else the legacy tables, which some kernels have instead.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterable

from swarmd.lb.core.virtual import is_ipv4, mark_of
from swarmd.network.kernel import nft

TABLE = "swarmd_marks"
CHAIN = "SWARMD-MARKS"
PATIENCE_S = 10.0

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
    for tool, ipv4 in (("iptables-legacy", True), ("ip6tables-legacy", False)):
        rules = "".join(
            f"-A {CHAIN} -d {address} -j MARK --set-mark {mark_of(address)}\n"
            for address in known
            if is_ipv4(address) == ipv4
        )
        _run([f"{tool}-restore", "--noflush"], f"*mangle\n:{CHAIN} -\n{rules}COMMIT\n")
        jump = ["OUTPUT", "-j", CHAIN]
        if not _succeeds([tool, "-t", "mangle", "-C", *jump]):
            _run([tool, "-t", "mangle", "-A", *jump])


def chosen() -> Marker:
    """What works in the namespace of this thread, by trying."""
    try:
        by_nft(("192.0.2.1",))
        by_nft(())
    except (nft.NftError, OSError):
        return by_iptables
    return by_nft


def _succeeds(command: list[str]) -> bool:
    return _start(command, "").returncode == 0


def _run(command: list[str], given: str = "") -> None:
    done = _start(command, given)
    if done.returncode:
        said = done.stderr.decode(errors="replace").splitlines()
        raise OSError(f"{command[0]} refuses: {said[0] if said else done.returncode}")


def _start(command: list[str], given: str) -> subprocess.CompletedProcess[bytes]:
    path = shutil.which(command[0], path="/usr/sbin:/sbin:/usr/bin:/bin")
    if path is None:
        raise OSError(f"{command[0]} is not installed (Debian: apt-get install iptables)")
    return subprocess.run(
        [path, *command[1:]],
        input=given.encode(),
        capture_output=True,
        check=False,
        timeout=PATIENCE_S,
    )
