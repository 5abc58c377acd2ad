"""Virtual addresses in nft's language. Pure.

A connection is given its target where it is made, in the namespace of the client task: no further
hop, and the target sees who called. Each virtual address has a chain of its own that chooses a
target and notes it as the connection's mark; one rule behind them has the mark translated by the
map of all targets. An update replaces one chain; what is connected stays connected, since only
first packets are translated.

The kernel looks at every rule that refers to a map for each element that comes to it, and at all
anonymous maps of a table for each new one. So there is one rule for the map of targets, and one
anonymous map for each service.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from ipaddress import ip_address

from swarmd.lb.core.balance import from_place, ring, start_of
from swarmd.lb.core.virtual import (
    VirtualChange,
    VirtualService,
    is_ipv4,
    mark_of,
)
from swarmd.lb.nft.choosing import mark_by
from swarmd.lb.nft.ruleset import batch, declared, translating
from swarmd.model.states import Balance

TABLE = "swarmd"


def whole(services: Iterable[VirtualService], *, who: str) -> str:
    """The batch that replaces whatever was there, by a table for each kind of addresses.

    Args:
        who: balances so; others begin their rounds elsewhere.
    """
    rows = tuple(services)
    kinds = families(rows)
    return "".join(
        _gone(family) + (_table(family, rows, who) if family in kinds else "")
        for family in ("ip", "ip6")
    )


def families(services: Iterable[VirtualService]) -> frozenset[str]:
    """The kinds of their addresses: `ip`, `ip6`. Steps are between states that have the same."""
    return frozenset(_family(row) for row in services)


def step(change: VirtualChange, *, arrived: Sequence[str], left: Sequence[str], who: str) -> str:
    """The batch that brings a namespace on by one change.

    `arrived` are the addresses that no service led to before, `left` those that none leads to any
    more.
    """
    lines = _targets("add", arrived)
    for row in change.removed:
        lines += _forget(row)
    for before, after in change.changed:
        if bool(before.targets) == bool(after.targets):
            lines += _choose(after, who)
        else:
            lines += [*_forget(before), *_admit(after, who)]
    for row in change.added:
        lines += _admit(row, who)
    lines += _targets("delete", left)
    return batch(lines)


def _gone(family: str) -> str:
    return f"table {family} {TABLE}\ndelete table {family} {TABLE}\n"


def _table(family: str, rows: tuple[VirtualService, ...], who: str) -> str:
    kind, word = ("ipv4_addr", "ip") if family == "ip" else ("ipv6_addr", "ip6")
    mine = tuple(row for row in rows if is_ipv4(row.address) == (family == "ip"))
    chains = "".join(
        f"  chain {_chain(row)} {{\n    {_rule(row, who)}\n  }}\n" for row in mine if row.targets
    )
    alive = ", ".join(_lead(row) for row in mine if row.targets)
    dead = ", ".join(row.address for row in mine if not row.targets)
    targets = _pairs(dict.fromkeys(target.address for row in mine for target in row.targets))
    # Nobody else marks connections here, so the second says nothing of those to other addresses.
    translate = declared(
        translating(
            *("translate", "output"),
            f"{word} daddr vmap @alive",
            "dnat to ct mark map @targets",
        )
    )
    return (
        f"table {family} {TABLE} {{\n"
        f"  map targets {{\n    type mark : {kind}\n  }}\n"
        f"{chains}"
        f"  map alive {{\n    type {kind} : verdict\n{_elements(alive)}  }}\n"
        f"  set dead {{\n    type {kind}\n{_elements(dead)}  }}\n"
        f"{batch(translate)}"
        "  chain refuse {\n"
        "    type filter hook output priority 0; policy accept;\n"
        # First, as it decides for all packets but the first of each connection.
        "    ct state vmap { established : accept, related : accept, invalid : drop }\n"
        f"    {word} daddr @dead meta l4proto tcp reject with tcp reset\n"
        f"    {word} daddr @dead reject\n"
        "  }\n"
        "}\n" + (f"add element {family} {TABLE} targets {{ {targets} }}\n" if targets else "")
        # Last: nft looks through the map again for each rule that it reads after its elements.
    )


def _elements(text: str) -> str:
    return f"    elements = {{ {text} }}\n" if text else ""


def _admit(row: VirtualService, who: str) -> list[str]:
    family = _family(row)
    if not row.targets:
        return [f"add element {family} {TABLE} dead {{ {row.address} }}"]
    return [
        f"add chain {family} {TABLE} {_chain(row)}",
        *_choose(row, who),
        f"add element {family} {TABLE} alive {{ {_lead(row)} }}",
    ]


def _forget(row: VirtualService) -> list[str]:
    family = _family(row)
    if not row.targets:
        return [f"delete element {family} {TABLE} dead {{ {row.address} }}"]
    return [
        f"delete element {family} {TABLE} alive {{ {_lead(row)} }}",
        f"flush chain {family} {TABLE} {_chain(row)}",
        f"delete chain {family} {TABLE} {_chain(row)}",
    ]


def _choose(row: VirtualService, who: str) -> list[str]:
    """Make the chain of a service with targets anew; one without has nothing to choose."""
    if not row.targets:
        return []
    where = f"{_family(row)} {TABLE} {_chain(row)}"
    return [f"flush chain {where}", f"add rule {where} {_rule(row, who)}"]


def _rule(row: VirtualService, who: str) -> str:
    shares = ring(
        [f"0x{mark_of(target.address):08x}" for target in row.targets],
        [target.weight for target in row.targets],
    )
    if row.balance is not Balance.SOURCE_HASH:
        shares = from_place(shares, start_of(who, row.address))
    word = "ip" if is_ipv4(row.address) else "ip6"
    return mark_by(row.balance, shares, hashed=f"{word} saddr . {word} daddr")


def _targets(verb: str, addresses: Sequence[str]) -> list[str]:
    lines = []
    for family in ("ip", "ip6"):
        pairs = _pairs(row for row in addresses if is_ipv4(row) == (family == "ip"))
        if pairs:
            lines.append(f"{verb} element {family} {TABLE} targets {{ {pairs} }}")
    return lines


def _pairs(addresses: Iterable[str]) -> str:
    # Of two addresses with one mark the first stands for both.
    by_mark: dict[int, str] = {}
    for address in addresses:
        by_mark.setdefault(mark_of(address), address)
    return ", ".join(f"0x{mark:08x} : {address}" for mark, address in by_mark.items())


def _lead(row: VirtualService) -> str:
    """The element that leads packets through the chain of a service, and back."""
    return f"{row.address} : jump {_chain(row)}"


def _family(row: VirtualService) -> str:
    return "ip" if is_ipv4(row.address) else "ip6"


def _chain(row: VirtualService) -> str:
    return f"v{ip_address(row.address).packed.hex()}"
