"""A table of nftables as a value, and the batch that leads from one to another. Pure.

Base chains, which hang on the kernel's hooks, stay as they are for as long as the table lives; what
changes are maps and the chains that they lead to.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from msgspec import Struct

# Where destinations are translated; nft has a word for it, but not for all hooks.
DESTINATION = -100


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


def translating(
    name: str, hook: str, *rules: str, priority: int = DESTINATION
) -> dict[str, tuple[str, ...]]:
    """Chains that translate by maps: one at the hook, and one behind it that does the same.

    A packet goes through the rules that were in force when it came to the hook, but looks maps up
    as they are by then. If a batch replaces rules and maps in between it finds nothing, and the
    node itself would refuse it. The second chain is of the rules of after; whatever has been
    translated never comes to it. Both share the rules: each that refers to a map costs every change
    of the map.
    """
    chains = {f"{name}_by": rules}
    for chain, at in ((name, priority), (f"{name}_again", priority + 1)):
        chains[chain] = (f"type nat hook {hook} priority {at}; policy accept;", f"jump {name}_by")
    return chains


def whole(rules: Ruleset) -> str:
    """The batch that puts the table in place of whatever was there under its name."""
    lines = [f"table {rules.name}", f"delete table {rules.name}", f"table {rules.name} {{"]
    chains = {**rules.chains, **rules.base}
    # Chains and maps refer to each other: empty maps, then chains, then what leads to chains.
    for name, held in rules.sets.items():
        lines.append(f"{held.word} {name} {{\n{held.kind}\n}}")
    lines += declared(chains)
    lines.append("}")
    for name, held in rules.sets.items():
        lines += _elements("add", rules.name, name, held.elements)
    return batch(lines)


def declared(chains: Mapping[str, tuple[str, ...]]) -> list[str]:
    """The lines by which a table declares its chains."""
    return [line for name, rules in chains.items() for line in (f"chain {name} {{", *rules, "}")]


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
    return batch(lines)


def gone(name: str) -> str:
    """The batch after which there is no such table."""
    return f"table {name}\ndelete table {name}\n"


def _elements(verb: str, table: str, name: str, elements: Mapping[str, str]) -> list[str]:
    if not elements:
        return []
    pairs = ", ".join(f"{key} : {value}" if value else key for key, value in elements.items())
    return [f"{verb} element {table} {name} {{ {pairs} }}"]


def batch(lines: Iterable[str]) -> str:
    """What nft is to run at once, line by line."""
    return "".join(f"{line}\n" for line in lines)
