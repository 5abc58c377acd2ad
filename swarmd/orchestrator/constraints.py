"""Placement constraints, judged: does this node meet `node.labels.disk == ssd`?

Values compare without regard to case; a plain value is literal, others are globs or expressions
(`swarmd.model.pattern`). Label keys keep their case. An unknown key is never satisfied, with
neither operator, so that a typo places nothing. A soft constraint refuses nothing, but counts as
missed.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from functools import lru_cache, partial

from swarmd.model.constraint import Constraint, parse_constraint
from swarmd.model.node import Node
from swarmd.model.pattern import pattern_of
from swarmd.model.spec import Platform, TaskSpec

_NODE_LABELS = "node.labels."
_ENGINE_LABELS = "engine.labels."
_ADDRESS = "node.ip"
_NO_PLATFORM = Platform()
_READERS: dict[str, Callable[[Node], str]] = {
    "node.id": lambda node: node.id,
    "node.hostname": lambda node: node.hostname,
    _ADDRESS: lambda node: node.status.addr,
    "node.role": lambda node: node.role.value,
    "node.platform.os": lambda node: _platform(node).os,
    "node.platform.arch": lambda node: _platform(node).architecture,
}


def of_task(spec: TaskSpec) -> tuple[Constraint, ...]:
    """The constraints of a stored spec; ones that do not parse constrain nothing.

    Specs are checked before they are stored, so only state written by others can hold such text.
    """
    if spec.placement is None or not spec.placement.constraints:
        return ()
    return _parsed(spec.placement.constraints)


def satisfies(node: Node, constraints: tuple[Constraint, ...]) -> bool:
    """Whether `node` meets every one of `constraints` that is not soft."""
    return all(constraint.soft or _meets(node, constraint) for constraint in constraints)


def misses(node: Node, constraints: tuple[Constraint, ...]) -> int:
    """How many of the soft ones among `constraints` the node does not meet."""
    return sum(constraint.soft and not _meets(node, constraint) for constraint in constraints)


def attribute(node: Node, key: str) -> str | None:
    """What a constraint's key stands for on `node`; None for an unknown key."""
    return _reader(key)(node)


@lru_cache(maxsize=1024)
def _reader(key: str) -> Callable[[Node], str | None]:
    known = _READERS.get(key.casefold())
    return known if known is not None else partial(label_value, descriptor=key)


def _platform(node: Node) -> Platform:
    platform = node.description.platform if node.description else None
    return platform or _NO_PLATFORM


def label_value(node: Node, descriptor: str) -> str | None:
    """The value of `node.labels.X` or `engine.labels.X` on `node`, "" if unset.

    None when the descriptor names no label at all.
    """
    folded = descriptor[: len(_ENGINE_LABELS)].casefold()
    if folded.startswith(_NODE_LABELS):
        return node.spec.labels.get(descriptor[len(_NODE_LABELS) :], "")
    if folded == _ENGINE_LABELS:
        engine = node.description.engine if node.description else None
        return engine.labels.get(descriptor[len(_ENGINE_LABELS) :], "") if engine else ""
    return None


@lru_cache(maxsize=1024)
def _parsed(expressions: tuple[str, ...]) -> tuple[Constraint, ...]:
    try:
        return tuple(parse_constraint(expression) for expression in expressions)
    except ValueError:
        return ()


def _meets(node: Node, constraint: Constraint) -> bool:
    return _question(constraint)(node)


@lru_cache(maxsize=4096)
def _question(constraint: Constraint) -> Callable[[Node], bool]:
    """A constraint prepared for being asked of many nodes."""
    read = _reader(constraint.key)
    pattern = pattern_of(constraint.value, ignore_case=True)
    by_address = pattern.literal and constraint.key.casefold() == _ADDRESS

    def ask(node: Node) -> bool:
        actual = read(node)
        if actual is None:
            return False
        if by_address:
            inside = _has_address(actual, constraint.value)
            return inside is not None and inside == constraint.equal
        return pattern.matches(actual) == constraint.equal

    return ask


def _has_address(address: str, wanted: str) -> bool | None:
    """Whether the address lies in an address or network; None if `wanted` is neither."""
    try:
        network = ipaddress.ip_network(wanted, strict=False)
    except ValueError:
        return None
    try:
        return ipaddress.ip_address(address) in network
    except ValueError:
        return False
