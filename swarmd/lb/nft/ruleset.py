"""A table of nftables as a value, and the batch that leads from one to another. Pure.

Base chains, which hang on the kernel's hooks, stay as they are for as long as the table lives; what
changes are maps and the chains that they lead to.
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct


class Elements(Struct, frozen=True):
    """A set, or a map when its elements have values. `kind` is its declaration: `type …`."""

    kind: str
    elements: Mapping[str, str] = {}

    @property
    def word(self) -> str:
        return "map" if " : " in self.kind else "set"


class Ruleset(Struct, frozen=True):
    """One table. Everything is by name; rules and base chains are nft's text."""

    name: str  # with its family, as in `ip swarmd`
    base: Mapping[str, tuple[str, ...]] = {}
    chains: Mapping[str, tuple[str, ...]] = {}
    sets: Mapping[str, Elements] = {}


def whole(rules: Ruleset) -> str:
    """The batch that puts the table in place of whatever was there under its name."""
    lines = [f"table {rules.name}", f"delete table {rules.name}", f"table {rules.name} {{"]
    chains = {**rules.chains, **rules.base}
    # Chains and maps refer to each other: empty maps, then chains, then what leads to chains.
    for name, held in rules.sets.items():
        lines.append(f"{held.word} {name} {{\n{held.kind}\n}}")
    for name, chain in chains.items():
        lines += [f"chain {name} {{", *chain, "}"]
    lines.append("}")
    for name, held in rules.sets.items():
        lines += _elements("add", rules.name, name, held.elements)
    return _batch(lines)


def step(before: Ruleset, after: Ruleset) -> str:
    """The batch from one to the next; empty when they are the same.

    Elements that others need come first, elements that nobody needs any more go last, so the batch
    is sound at each line.
    """
    if before.base != after.base or before.sets.keys() != after.sets.keys():
        return whole(after)
    table = after.name
    lines = [f"add chain {table} {name}" for name in after.chains if name not in before.chains]
    late: list[str] = []
    for name, held in after.sets.items():
        old, new = before.sets[name].elements, held.elements
        if old is new:
            continue
        other = {key: value for key, value in old.items() if key in new and new[key] != value}
        lines += _elements("delete", table, name, other)
        fresh = {key: value for key, value in new.items() if old.get(key) != value}
        lines += _elements("add", table, name, fresh)
        late += _elements(
            "delete", table, name, {key: value for key, value in old.items() if key not in new}
        )
    for name, chain in after.chains.items():
        if before.chains.get(name) != chain:
            lines.append(f"flush chain {table} {name}")
            lines += (f"add rule {table} {name} {rule}" for rule in chain)
    lines += late
    for name in before.chains:
        if name not in after.chains:
            lines += [f"flush chain {table} {name}", f"delete chain {table} {name}"]
    return _batch(lines)


def gone(name: str) -> str:
    """The batch after which there is no such table."""
    return f"table {name}\ndelete table {name}\n"


def _elements(verb: str, table: str, name: str, elements: Mapping[str, str]) -> list[str]:
    if not elements:
        return []
    pairs = ", ".join(f"{key} : {value}" if value else key for key, value in elements.items())
    return [f"{verb} element {table} {name} {{ {pairs} }}"]


def _batch(lines: list[str]) -> str:
    return "".join(f"{line}\n" for line in lines)
